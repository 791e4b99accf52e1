/**
 * When an address counts as one that does not exist. Its states: none, suspected after one refusal, suppressed after a second one that is
 * not of the same hour or day, expired after some months. A success at any time ends all of them.
 */
import { DAY, HOUR } from '../system/clock.ts';

/** One refusal that says that the address does not exist or is closed. */
type SuppressionHit = {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The words are a known text for this case. Other hits go when it turns out that their provider refused our address. */
  readonly sure: boolean;
  /** They are the words of a large provider that is known to mean them. */
  readonly own: boolean;
};

/** A hit, and where it was. `reply`: in one line. */
export type SuppressionEvidence = SuppressionHit & {
  readonly address: string;
  /** The key of the provider, or the domain of the address. */
  readonly provider: string;
  readonly class: string;
  readonly reply: string;
};

/** What is known of one address. Two hits at most: the first and the last one. */
export type Suppression = {
  /** As `suppressionKey` makes it. */
  readonly address: string;
  readonly provider: string;
  readonly hits: readonly SuppressionHit[];
  /** Since when it is suppressed; null: it is suspected. */
  readonly suppressedAt: number | null;
  /** It would be suppressed, but too many addresses of this provider were in the last hour: somebody should look. */
  readonly isOverBound: boolean;
  /** Of the last hit. */
  readonly class: string;
  readonly reply: string;
};

/** `success`: the address exists, so that nothing is known against it any more. */
export type NewSuppression = SuppressionEvidence & {
  readonly kind: 'hit' | 'success' /** The index of the recipient. */;
  readonly n: number;
};

/** An address has another state. `over bound`: it stays suspected, because many of its provider were suppressed in the last hour. */
export type SuppressionNews = {
  readonly address: string;
  readonly provider: string;
  readonly state: SuppressionState | 'over bound';
  readonly reply: string;
};

type SuppressionState = 'none' | 'suspected' | 'suppressed' | 'expired';

/** How far two hits are apart: an outage, or a mistake in the configuration of a domain, is over by then. */
const APART = 12 * HOUR;
/** The same for the own words of large providers. */
const APART_OWN = HOUR;
/** How long it lasts, and how long a suspicion counts. */
export const SUPPRESSED_FOR = 90 * DAY;
/** New suppressions of a provider in an hour. More of them show a fault of the provider or of ours. */
const MOST_SUPPRESSED = 20;
export const SUPPRESSED_WITHIN = HOUR;

/** Local parts are compared without case, as those of known recipients are. */
export function suppressionKey(address: string): string {
  return address.toLowerCase();
}

export function suppressionState(known: Suppression | undefined, now: number): SuppressionState {
  if (known === undefined) return 'none';
  if (known.suppressedAt === null) return isOld(known.hits[0]?.at ?? now, now) ? 'none' : 'suspected';
  return isOld(known.suppressedAt, now) ? 'expired' : 'suppressed';
}

const isOld = (at: number, now: number) => now - at >= SUPPRESSED_FOR;

/** @param recent addresses of the same provider that were suppressed in the last hour. */
export function withHit(known: Suppression | undefined, evidence: SuppressionEvidence, recent: number): Suppression {
  const { at, sure, own, provider, class: found, reply } = evidence;
  const address = suppressionKey(evidence.address);
  const hit = { at, sure, own };
  const state = suppressionState(known, at);
  const [first] = state === 'none' ? [] : (known?.hits ?? []);
  const fresh = { address, provider, class: found, reply };
  if (state === 'suppressed') return { ...known!, ...fresh, hits: first === undefined ? [] : [first, hit] };
  // A first hit of the future is one of a clock that was set back.
  if (state !== 'expired' && (first === undefined || first.at > at))
    return { ...fresh, hits: [hit], suppressedAt: null, isOverBound: false };
  const hits = first === undefined ? [hit] : [first, hit];
  const isConfirmed = state === 'expired' || at - first!.at >= (first!.own && own ? APART_OWN : APART);
  const isBound = recent >= MOST_SUPPRESSED;
  return { ...fresh, hits, suppressedAt: isConfirmed && !isBound ? at : null, isOverBound: isConfirmed && isBound };
}

/** Without the hits since then that are not sure: their provider refused our address. Undefined: nothing is left. */
export function withoutUnsure(known: Suppression, since: number): Suppression | undefined {
  const hits = known.hits.filter(({ at, sure }) => sure || at < since);
  if (hits.length === known.hits.length) return known;
  return hits.length === 0 ? undefined : { ...known, hits, suppressedAt: null, isOverBound: false };
}

/** What is told of a change: a new state, or the bound of a provider. */
export function newsOf(before: Suppression | undefined, after: Suppression | undefined, at: number): SuppressionNews | undefined {
  const [was, is] = [suppressionState(before, at), suppressionState(after, at)];
  const isBound = after?.isOverBound === true && before?.isOverBound !== true;
  if (was === is && !isBound) return undefined;
  const { address, provider, reply } = (after ?? before)!;
  return { address, provider, reply, state: isBound ? 'over bound' : is };
}
