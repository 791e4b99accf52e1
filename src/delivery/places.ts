/** The places of attempts: how one is asked for and given back, from whichever thread. */
import type { Permit } from './shaping/permit.ts';
import type { Heard, Way } from './shaping/provider-way.ts';
import type { Slots } from './upstream-slots.ts';
import type { AboutUs, PaceEffect } from './verdict.ts';

/** Not tried: `notBefore` is set where it makes no sense to come again at once. */
export type TurnedAway = {
  readonly verdict: AboutUs;
  readonly notBefore?: number;
  /** The provider that refuses our address. `since`: when that began, milliseconds since the epoch. */
  readonly heldBy?: { readonly provider: string; readonly since: number };
  /** The provider whose mail may leave by its fallback upstream. */
  readonly fallback?: string;
};

/** An attempt whose hosts are being looked up. `ways`: how often the ways had changed when it began. */
export type LookUp = { readonly destination: string; readonly ways: number };

/**
 * `key` names the host set that was found, `message` is its queue ID, `sender` its reverse-path. `home`: the number of the thread that
 * makes the attempt, which has the sessions of its earlier ones. `reportOf`: it is a report about TLS, and was accepted then.
 */
export type Entrant = {
  readonly home?: number;
  readonly key: string;
  /** The key of its provider, where the table has one. */
  readonly provider?: string | undefined;
  /** The addresses of ours that may be used, the preferred first. Absent: nobody counts. */
  readonly ways?: readonly Way[];
  readonly lookUp: LookUp;
  readonly message: string;
  /** Who handed it in; null: the relay itself. */
  readonly user?: string | null;
  readonly sender: string;
  /** It goes first where little may go. */
  readonly priority?: boolean;
  readonly reportOf?: number | undefined;
  /** The attempt is at the fallback upstream of a provider, for so many recipients. */
  readonly fallback?: { readonly provider: string; readonly upstream: string; readonly count: number };
  readonly signal: AbortSignal;
};

/** Permission for one attempt. */
export type Place = { readonly number: number; readonly permit?: Permit };

/** Who is asked before an attempt and told after it: `Pacing`, or its likeness in another thread. */
export type Places = {
  /** The hosts of a destination are being looked up, until `lookedUp`. */
  lookUp(destination: string): LookUp;
  lookedUp(lookUp: LookUp): void;
  /** A place under the limits of the host set and of all sessions: at once, or when it comes. */
  enter(entrant: Entrant): Place | TurnedAway | Promise<Place | TurnedAway>;
  /**
   * Asked before each session that is opened for a place: sessions that wait for another message count for the limit of their hosts too,
   * and give way. Resolves when the new one fits, or they do not end. Never rejects, while the process lives.
   */
  makeRoom(place: Place): Promise<void>;
  /** Gives the place back. @param reason what the hosts said, for the operator. @param heard what concerns their provider. */
  leave(place: Place, effect: PaceEffect, reason: string, heard?: readonly Heard[]): void;
  /** Of upstreams whose accounts have a limit. */
  readonly slots: Slots;
};
