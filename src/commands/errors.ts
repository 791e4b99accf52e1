/** The errors of commands: each has a sentence for the person who typed the command, never a stack. */
import { parseDomain } from '../config/config.ts';
import type { ControlError, ControlErrorKind, ControlErrorSubject, Fault } from '../control/control.ts';

/** The command failed: exit 1, or another code where a command can tell more. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError';
  readonly exitCode: number;

  constructor(message: string, { exitCode = 1, ...options }: ErrorOptions & { readonly exitCode?: number } = {}) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** The command line is wrong: exit 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Runs a parser of `config/values.ts` on a typed value. */
export function typed<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new UsageError(`${what} ${error.message}`, { cause: error });
  }
}

/** The argument DOMAIN as lower-case A-labels. @throws UsageError */
export function domainTyped(text: string): string {
  return typed('DOMAIN', () => parseDomain(text));
}

/** The text before a sentence about an invalid value: the place where it was typed. */
const TYPED_AT: Partial<Record<ControlErrorSubject, string>> = {
  name: 'NAME: ',
  user: '--user ',
  password: '--password-stdin: ',
  selector: '--selector: ',
  key: '--key ',
};

/** The options of the values of a credential. */
const FLAGS: Readonly<Record<string, string>> = {
  ...{ upTo: '--up-to', trust: '--trust' },
  ...{ senders: '--sender', limits: '--limit', expiresAt: '--expires', rewrite: '--rewrite' },
  ...{ profile: '--profile', contact: '--contact', to: '--to', from: '--from', day: 'DAY', domain: 'DOMAIN' },
};

/** Added to an error if a message is not found, or not in the queue. */
export const WHERE_MAIL_IS = '`smarthost queue list` shows what waits, `smarthost trace` what became of the rest.';

type Advice = string | ((named: string) => string);

/** The advice after the sentence: what to type. */
const ADVICE: Partial<Record<`${ControlErrorKind} ${ControlErrorSubject}`, Advice>> = {
  'not found user': ' `smarthost user list` shows them.',
  'exists user': ' `smarthost user set` changes it, `smarthost user passwd` gives it a new password.',
  'invalid senders': ': say what it may send as, with --sender ADDRESS, @domain, @.domain or *',
  'not found account': ' `smarthost console list` shows them.',
  'exists account': (name) =>
    ` \`smarthost console role ${name} ROLE\` changes it, \`smarthost console reset ${name}\` gives it a new password.`,
  'conflict account': (name) => (name === '' ? '' : ' --force does it all the same.'),
  'not found session': ' `smarthost console sessions` shows them.',
  'not found token': ' `smarthost token list` shows them.',
  'not found domain': ' `smarthost domain list` shows them.',
  'exists domain': (domain) => ` \`smarthost domain rotate ${domain}\` makes new keys.`,
  'exists selector': ': choose another --selector.',
  'not found policy': ' `smarthost tls policies list` shows those that it knows.',
  'not found provider': ' `smarthost provider list --all` shows those of the table.',
  'not found report': ' `smarthost tls reports list` shows what was written.',
  'not found message': ` ${WHERE_MAIL_IS}`,
};

/** Turns an error of `control` into one with the words of the command line. */
export function inWords({ kind, subject, message, named, cause, faults }: ControlError): CommandError | UsageError {
  if (faults.length > 0) return new UsageError(faults.map(faultTyped).join('\n'), { cause });
  if (kind === 'invalid') return new UsageError(invalidInWords(subject, message), { cause });
  const advice = ADVICE[`${kind} ${subject}`] ?? '';
  return new CommandError(`${message}${typeof advice === 'string' ? advice : advice(named)}`, { cause });
}

/** "--sender must be …" */
function faultTyped({ at, message, isWhole = false }: Fault): string {
  const field = at.split('/')[0]!;
  return isWhole ? invalidInWords(field as ControlErrorSubject, message) : `${FLAGS[field] ?? field} ${message}`;
}

function invalidInWords(subject: ControlErrorSubject, text: string): string {
  const advice = ADVICE[`invalid ${subject}`];
  return `${TYPED_AT[subject] ?? ''}${text}${typeof advice === 'string' ? advice : ''}`;
}

/** The value of `--limit`. @throws UsageError if it is no number from 1 to `most`. */
export function limitTyped(text: string | undefined, fallback: number, most: number): number {
  const limit = Number(text ?? fallback);
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > most)
    throw new UsageError(`--limit is a number from 1 to ${most}, not "${text}"`);
  return limit;
}
