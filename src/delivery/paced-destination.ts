/** How destinations are paced now, for people who ask why mail is slow. */
import { allowed, type HostSet, isResting } from './host-set.ts';
import { describeHosts } from './shaping/provider-gate.ts';

export type PacedDestination = {
  /** The domain, or the route. */
  readonly destination: string;
  /** Its mail hosts, as people read them. */
  readonly hosts: string;
  /** null: the table of providers does not know the hosts. */
  readonly provider: string | null;
  /** Under way to these hosts, for all destinations that have them. */
  readonly sessions: number;
  /** At a time. */
  readonly allowed: number;
  /** Attempts that wait for a session. */
  readonly inLine: number;
  /** `until`: milliseconds since the epoch. `failures`: rests in a row. null: the hosts get mail. */
  readonly rest: { readonly until: number; readonly failures: number; readonly reason: string } | null;
};

type Around = { readonly set: HostSet; readonly provider: string; readonly reason: string };

/** @param keys the host set of each destination. @param max sessions to one host set, as configured. */
export function pacedDestinations(
  keys: Iterable<readonly [string, string]>,
  sets: ReadonlyMap<string, Around>,
  { now, max }: { readonly now: number; readonly max: (key: string) => number },
): readonly PacedDestination[] {
  const found: PacedDestination[] = [];
  for (const [destination, key] of keys) {
    const around = sets.get(key);
    if (around === undefined) continue;
    const { set, provider, reason } = around;
    const { state, running, waiting } = set;
    found.push({
      ...{ destination, hosts: describeHosts(key), provider: provider.includes(':') ? null : provider },
      ...{ sessions: running, allowed: Math.min(allowed(state, now), max(key)), inLine: waiting },
      rest: isResting(state, now) ? { until: state.blockedUntil, failures: state.failures, reason } : null,
    });
  }
  return found;
}
