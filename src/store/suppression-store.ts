/** Addresses that seem not to exist. `settle` of the messages stores the evidence; a command can list and remove what is here. */
import type { Led } from './lease.ts';
import type { Suppression } from './suppression.ts';

export type SuppressionStore = {
  get(address: string): Promise<Suppression | undefined>;
  /** By address, behind `after` (empty: from the start), at most 1000. */
  list(after: string, limit: number): Promise<readonly Suppression[]>;
  /** False if nothing was known of the address. */
  remove(address: string): Promise<boolean>;
  /** Removes the hits at a provider since then that are not sure. @returns the number of addresses that this concerns. */
  forgetUnsure(provider: string, since: number): Promise<number>;
  /** Removes suspicions that count no more, and suppressions that have ended for as long as they lasted. */
  trim(this: Led<SuppressionStore>, now: number): Promise<number>;
};
