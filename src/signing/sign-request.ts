/** What is asked of a signer, and what it answers. */
import type { Emit } from '../events/events.ts';
import type { OperationStore } from '../store/store.ts';
import type { Clock } from '../system/clock.ts';

/** One field of a header, as it stands in the message. */
export type HeaderField = {
  /** Lower case, without blanks. */
  readonly name: string;
  /** The whole field, folds and the closing CRLF included. */
  readonly raw: Buffer;
};

type SignRequest = {
  /** Domain of the From field, lower-case A-labels. */
  readonly fromDomain: string;
  /** All fields of the message as it will leave, from top to bottom. */
  readonly fields: readonly HeaderField[];
  /** base64 of a `BodyHash`. */
  readonly bodyHash: string;
  readonly now: number;
};

export type Signed = {
  /** `DKIM-Signature: …` with CRLF, once per key; empty where nothing is signed. */
  readonly header: Buffer;
  /** `selector._domainkey.domain` of each signature made. */
  readonly signatures: readonly string[];
};

export type Signer = {
  /**
   * Signs with every key of the From domain, or of the nearest parent that has one, beside whatever signatures are there: RFC
   * 6376 §4.2 foresees several, and whether another one verifies is known to its verifiers alone. No signature without a key.
   * @throws Refusal 550 5.7.20 without a key, by `noKey: refuse`. Any other error (a broken key, a failing store) is ours: 451.
   */
  sign(request: SignRequest): Promise<Signed>;
};

export type NoKey = 'send' | 'warn' | 'refuse';

export type SignerOptions = {
  readonly operation: Pick<OperationStore, 'dkimKeys'>;
  /** What to do with mail of a domain without a key. */
  readonly noKey: NoKey;
  readonly warn: Emit;
  readonly now?: Clock;
};
