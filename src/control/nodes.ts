/** The relays that share a database, for an operator. */
import type { StoreNode } from '../store/store.ts';
import { iso } from './shapes.ts';

/** `store nodes`: a relay, or a command that runs now. Of a dead one the row stays until another process takes its number. */
type KnownNode = {
  /** The number in its queue ids. */
  readonly node: number;
  readonly machine: string;
  readonly pid: number;
  readonly version: string;
  readonly kind: 'relay' | 'command';
  readonly state: 'alive' | 'dead';
  /** Equal for all relays whose common settings are alike. null: not known. */
  readonly settings: string | null;
  readonly startedAt: string;
  /** Its last sign of life. */
  readonly seenAt: string;
  /** The recipients that it works on. */
  readonly claims: number;
  /** Work that only one relay does at a time, such as renewing a certificate. */
  readonly leases: readonly string[];
};

export function nodeShape({
  id,
  machine,
  pid,
  version,
  isRelay,
  isAlive,
  startedAt,
  seenAt,
  claims,
  leases,
  digest,
}: StoreNode): KnownNode {
  return {
    ...{ node: id, machine, pid, version, kind: isRelay ? 'relay' : 'command', state: isAlive ? 'alive' : 'dead' },
    ...{ settings: digest?.slice(0, 8) ?? null, startedAt: iso(startedAt), seenAt: iso(seenAt), claims, leases },
  };
}
