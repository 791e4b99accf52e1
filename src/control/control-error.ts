/** The error of an action that an operator asked for and that is not possible. Any other error is a fault of ours or of the machine. */

/** `invalid`: the value can never be right. `conflict`: the relay is not in a state for it. */
export type ControlErrorKind = 'not found' | 'exists' | 'invalid' | 'conflict';

/** The subject of the sentence: a thing that is missing or exists already, or a wrong value. */
export type ControlErrorSubject =
  | 'user'
  | 'name'
  | 'senders'
  | 'values'
  | 'password'
  | 'domain'
  | 'selector'
  | 'key'
  | 'message'
  | 'test message'
  | 'certificate'
  | 'report'
  | 'policy'
  | 'provider'
  | 'phase'
  | 'replies'
  | 'configuration'
  | 'account'
  | 'credentials'
  | 'session'
  | 'token'
  | 'scopes'
  | 'networks'
  | 'expiresAt'
  | 'finding'
  | 'reason'
  | 'until';

/** One wrong value. `at`: the name of the field, with a number where it is a list (`senders/0`). */
export type Fault = {
  readonly at: string;
  /** Completes "FIELD …", unless it is a whole sentence. */
  readonly message: string;
  readonly isWhole?: boolean;
};

type ControlErrorOptions = ErrorOptions & { readonly named?: string; readonly faults?: readonly Fault[] };

/** Says in one sentence what is wrong. The caller adds how to mend it, because only it knows how the operator asked. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  readonly kind: ControlErrorKind;
  readonly subject: ControlErrorSubject;
  /** The name of the subject, for the advice that the caller adds. */
  readonly named: string;
  /** All wrong values of a request with several fields. */
  readonly faults: readonly Fault[];

  constructor(kind: ControlErrorKind, subject: ControlErrorSubject, sentence: string, options: ControlErrorOptions = {}) {
    super(sentence, options);
    this.kind = kind;
    this.subject = subject;
    this.named = options.named ?? '';
    this.faults = options.faults ?? [];
  }
}

/** @throws ControlError with all of them, if there is one. */
export function refuseFaults(faults: readonly Fault[]): void {
  if (faults.length === 0) return;
  throw new ControlError('invalid', 'values', faults.map(faultSentence).join('\n'), { faults });
}

export function faultSentence({ at, message, isWhole = false }: Fault): string {
  return isWhole ? message : `${at.split('/')[0]} ${message}`;
}
