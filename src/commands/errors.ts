/** How a command fails: with a sentence for the person who typed it, never with a stack. */
import type { ControlError, ControlErrorKind, ControlErrorSubject } from '../control/control.ts';

/** Could not be done: exit 1. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError';
}

/** Typed wrongly: exit 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Runs a parser of `config/values.ts` on what was typed. */
export function typed<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new UsageError(`${what} ${error.message}`, { cause: error });
  }
}

/** What stands before the sentence about a value that cannot be right: where it was typed. */
const TYPED_AT: Partial<Record<ControlErrorSubject, string>> = {
  name: 'NAME: ',
  user: '--user ',
  password: '--password-stdin: ',
  selector: '--selector: ',
  key: '--key ',
};

/** Said where a message is not found, or not in the queue. */
export const WHERE_MAIL_IS = '`smarthost queue list` shows what waits, `smarthost trace` what became of the rest.';

type Advice = string | ((named: string) => string);

/** What can be typed, said after the sentence. */
const ADVICE: Partial<Record<`${ControlErrorKind} ${ControlErrorSubject}`, Advice>> = {
  'not found user': ' `smarthost user list` shows them.',
  'exists user': ' `smarthost user set` changes it, `smarthost user passwd` gives it a new password.',
  'invalid senders': ': say what it may send as, with --sender ADDRESS, @domain, @.domain or *',
  'not found domain': ' `smarthost domain list` shows them.',
  'exists domain': (domain) => ` \`smarthost domain rotate ${domain}\` makes new keys.`,
  'exists selector': ': choose another --selector.',
  'not found message': ` ${WHERE_MAIL_IS}`,
};

/** A deed of control that could not be done, in the words of the command line. */
export function inWords({ kind, subject, message, named, cause }: ControlError): CommandError | UsageError {
  const advice = ADVICE[`${kind} ${subject}`] ?? '';
  const text = `${message}${typeof advice === 'string' ? advice : advice(named)}`;
  if (kind !== 'invalid') return new CommandError(text, { cause });
  return new UsageError(`${TYPED_AT[subject] ?? ''}${text}`, { cause });
}
