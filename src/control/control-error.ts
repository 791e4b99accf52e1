/** How a deed fails that an operator asked for and cannot have. All else that is thrown is a fault of ours or of the machine. */

/** `invalid`: the value can never be right. `conflict`: the relay is not in a state for it. */
export type ControlErrorKind = 'not found' | 'exists' | 'invalid' | 'conflict';

/** What the sentence is about: the thing that is missing or there, or the value that is wrong. */
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
  | 'certificate';

type ControlErrorOptions = ErrorOptions & { readonly named?: string };

/** Says in one sentence what is the matter. How to put it right is said by who knows how it was asked. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  readonly kind: ControlErrorKind;
  readonly subject: ControlErrorSubject;
  /** The name of the thing, where the sentence alone does not say how to go on. */
  readonly named: string;

  constructor(kind: ControlErrorKind, subject: ControlErrorSubject, sentence: string, options: ControlErrorOptions = {}) {
    super(sentence, options);
    this.kind = kind;
    this.subject = subject;
    this.named = options.named ?? '';
  }
}
