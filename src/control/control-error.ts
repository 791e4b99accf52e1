/** The error of an action that an operator asked for and that is not possible. Any other error is a fault of ours or of the machine. */

/** `invalid`: the value can never be right. `conflict`: the relay is not in a state for it. */
export type ControlErrorKind = 'not found' | 'exists' | 'invalid' | 'conflict';

/** The subject of the sentence: a thing that is missing or exists already, or a wrong value. */
export type ControlErrorSubject =
  | 'user'
  | 'name'
  | 'senders'
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
  | 'replies';

type ControlErrorOptions = ErrorOptions & { readonly named?: string };

/** Says in one sentence what is wrong. The caller adds how to mend it, because only it knows how the operator asked. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  readonly kind: ControlErrorKind;
  readonly subject: ControlErrorSubject;
  /** The name of the subject, for the advice that the caller adds. */
  readonly named: string;

  constructor(kind: ControlErrorKind, subject: ControlErrorSubject, sentence: string, options: ControlErrorOptions = {}) {
    super(sentence, options);
    this.kind = kind;
    this.subject = subject;
    this.named = options.named ?? '';
  }
}
