/** What is known of the domains that our users send as: whether their mail passes DMARC. So a start asks the DNS nothing at once. */

/** The result for one domain in From and one of the envelope sender. Times are milliseconds since the epoch. */
export type StoredSenderVerdict = {
  readonly domain: string;
  readonly envelope: string;
  /** `selector._domainkey.domain` of our signatures, with blanks between. Empty: none. */
  readonly signatures: string;
  readonly verdict: string;
  /** Since when every evaluation has given this verdict. */
  readonly since: number;
  /** When it was evaluated last. */
  readonly at: number;
  /** When it is to be evaluated again. */
  readonly refreshAt: number;
  /** When a message asked for it last. */
  readonly usedAt: number;
  /** JSON: why. */
  readonly detail: string;
};

export type AlignmentStore = {
  /** Those that were used since then, the last used first, at most `limit`. Each machine has its own, because receivers judge its addresses. */
  verdicts(usedSince: number, limit: number): Promise<readonly StoredSenderVerdict[]>;
  /** Each takes the place of the one for the same two domains. */
  putVerdicts(verdicts: readonly StoredSenderVerdict[]): Promise<void>;
  /** Removes those of all machines that no message has asked for since then. */
  trimVerdicts(usedSince: number): Promise<void>;
};
