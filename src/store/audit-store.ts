/** Who has changed what: one row for each change, written in the transaction of the change. No command removes a row. */
import type { RequestAnswer, RequestKey } from './console-store.ts';
import type { Led } from './lease.ts';

/** How somebody came in. `command`: the command line. `relay`: the relay did it by itself. */
type ChangeWay = 'session' | 'token' | 'command' | 'relay';

/** The time and the number are those of the action. */
export type ChangeNote = {
  /** Random, one for each action: all requests of the action share one row. */
  readonly id: string;
  readonly at: number;
  /** An account, a user of the system, or `smarthost`. */
  readonly actor: string;
  readonly way: ChangeWay;
  readonly address: string | null;
  /** `user.add`: the subject and the verb. */
  readonly action: string;
  /** The name of what was changed. */
  readonly target: string;
  /** As JSON, without secrets. null: there was nothing, or nothing is left. */
  readonly before: unknown;
  readonly after: unknown;
  /** Marked in the same transaction, with its answer where that is known. */
  readonly request?: RequestKey & { readonly answer?: RequestAnswer };
};

/** As it is stored. `seq` grows with time. `recipients`: how many an action on queued mail has changed. */
export type StoredChange = Omit<ChangeNote, 'id' | 'request'> & { readonly seq: number; readonly recipients: number | null };

export type ChangeQuery = {
  /** Only older ones than the one with this `seq`. */
  readonly before?: number;
  /** Only newer ones. */
  readonly after?: number;
  readonly limit: number;
  readonly actor?: string;
  /** `user.add`, or `user` for all of `user`. */
  readonly action?: string;
  /** Not before this time. */
  readonly since?: number;
};

export type AuditStore = {
  /** Writes a row for what changed nothing here, like a refused login. */
  add(note: ChangeNote): Promise<void>;
  /** The newest first. */
  changes(query: ChangeQuery): Promise<readonly StoredChange[]>;
  /** Forgets some that were made before, for the upkeep alone. @returns true if there may be more. */
  trim(this: Led<AuditStore>, before: number): Promise<boolean>;
};

/**
 * How many recipients a request of a noted action has changed, by its result. undefined: it changed nothing, so that no row is written.
 * null: it changed something else.
 */
export function changedBy(result: unknown): number | null | undefined {
  if (result === false || result === 0) return undefined;
  if (typeof result === 'string') return result === 'done' ? null : undefined;
  if (typeof result !== 'object' || result === null) return null;
  if ('items' in result) return (result.items as readonly unknown[]).length || undefined; // a step of a command on queued mail
  if (Array.isArray(result)) return result.length || undefined;
  if ('accepted' in result) return result.accepted === true ? null : undefined;
  if ('denied' in result) return isStored(result as Accepted) ? null : undefined;
  return null;
}

type Accepted = { readonly denied: unknown; readonly idTaken: boolean; readonly exceeded: unknown; readonly held: boolean };

/** As the thread of the store answers to `accept`. */
function isStored({ denied, idTaken, exceeded, held }: Accepted): boolean {
  return denied === null && !idTaken && (exceeded === null || held);
}
