/** What the operator asks of the alignment of mail: configuration and policy share these types. */

/** `off`: not looked at. `warn`: mail that fails is sent, and the operator is told. `refuse`: it is refused where that is certain. */
export type AlignmentDuty = 'off' | 'warn' | 'refuse';

/** It counts for mail that fits all of its patterns. The first rule that fits wins. */
export type AlignmentRule = {
  /** The credential. */
  readonly user?: string;
  /** The domain in From; a pattern as in routes. */
  readonly domain?: string;
  readonly mode: AlignmentDuty;
};
