/** Messages as text: one line per recipient in lists, and all details of a single message. */
import { formatSize } from '../config/config.ts';
import type { ListedMessage, QueueChange, QueuedMessage, TracedAttempt, TracedMessage } from '../control/control.ts';
import { HELD_LOGIN } from '../smtp/outcome.ts';
import { ENDED_STATES, type RecipientState } from '../store/store.ts';
import { type Colour, type Paint, plain } from './colours.ts';
import { UsageError } from './errors.ts';
import { clean, facts, several, table, time } from './text.ts';

export const OPEN: readonly RecipientState[] = ['queued', 'active', 'delayed', 'held', 'uncertain'];
export const STATES: readonly RecipientState[] = [...OPEN, ...ENDED_STATES];

/** @throws UsageError if a word is no state. */
export function checkStates(typed: readonly string[], known: readonly string[]): void {
  const unknown = typed.find((state) => !known.includes(state));
  if (unknown !== undefined) throw new UsageError(`--state is one of ${known.join(', ')}, not "${unknown}"`);
}

/** One line per recipient. The columns of the message itself are in its first line only. */
export function messageTable(messages: readonly QueuedMessage[]): string {
  const rows = messages.flatMap((message) =>
    message.recipients.map((recipient, i) => [
      ...(i === 0
        ? [message.id, time(message.acceptedAt), roundSize(message.size), sender(message)]
        : ['', '', '', ''].map(() => ' ')),
      recipient.recipient,
      recipient.heldBy === undefined ? recipient.state : heldWords(recipient.heldBy),
      String(recipient.attempts),
      time(recipient.nextAttemptAt),
      recipient.lastReply ?? '',
    ]),
  );
  return table(['ID', 'ACCEPTED', 'SIZE', 'FROM', 'TO', 'STATE', 'TRIED', 'NEXT', 'LAST REPLY'], rows);
}

/** One line per message, for lists of ended mail too. */
export function listedTable(messages: readonly ListedMessage[]): string {
  const rows = messages.map((message) => {
    const { id, acceptedAt, user, recipients, states, subject } = message;
    const counts = Object.entries(states);
    const all = counts.reduce((sum, [, count]) => sum + count, 0);
    const first = recipients[0]?.recipient ?? '';
    const said = counts.length === 1 ? counts[0]![0] : counts.map(([state, count]) => `${count} ${state}`).join(', ');
    const to = all > 1 ? `${first} and ${all - 1} more` : first;
    return [id, time(acceptedAt), user ?? '', sender(message), to, said, subject ?? ''];
  });
  return table(['ID', 'ACCEPTED', 'USER', 'FROM', 'TO', 'STATE', 'SUBJECT'], rows);
}

/** Because of its login, or for a provider. */
const heldWords = (by: string) => (by.startsWith(HELD_LOGIN) ? `held for ${by.slice(HELD_LOGIN.length)}` : `held by ${by}`);

type Manner = {
  readonly paint?: Paint;
  /** True: also print the SMTP conversation of each attempt, if it was kept. */
  readonly conversations?: boolean;
};

/** The fields of a message that `--json` prints. The others appear only in the text. */
export function messageDocument({ signatures: _, about: __, ...document }: TracedMessage) {
  return document;
}

/** All details of one message: its state in the first line, then sender and content, then each attempt with host, TLS and reply. */
export function describeMessage(message: TracedMessage, manner: Manner = {}): string {
  const { paint = plain } = manner;
  const { id, messageId, acceptedAt, size, signatures, recipients } = message;
  const waits = recipients.some(({ state }) => !ENDED_STATES.includes(state));
  const head = facts([
    ['message', id],
    ['Message-ID', messageId],
    ['from', sender(message)],
    ...(message.subject === undefined ? [] : [['subject', clean(message.subject)] as const]),
    ['accepted', `${time(acceptedAt)} from ${submitter(message)}`],
    ['size', roundSize(size)],
    ['signed by', signatures.join(', ')],
    ...(message.requireTls ? [['TLS', 'required with every host (REQUIRETLS)'] as const] : []),
    ...(message.tlsOptional ? [['TLS', 'optional (TLS-Required: No)'] as const] : []),
    ...(waits ? [['returned after', time(recipients[0]!.expiresAt)] as const] : []),
  ]);
  const isStrict = message.requireTls === true && message.reversePath !== '';
  const described = recipients.map((recipient) => describeRecipient(recipient, { ...manner, isStrict }));
  return `${summary(message, paint)}\n${head}${described.join('')}`;
}

/** "shop, 203.0.113.9, TLSv1.3, LOGIN" */
function submitter({ user, about, client }: TracedMessage): string {
  if (user === null) return about === null ? 'smarthost' : `smarthost, a report about ${about}`;
  return client === undefined ? user : [user, client.ip, client.tls ?? 'in clear', client.mechanism].join(', ');
}

/** "2 relayed, 1 delayed until 10:05" */
function summary({ recipients }: TracedMessage, paint: Paint): string {
  const parts = [...new Set(recipients.map(({ state }) => state))].map((state) => {
    const those = recipients.filter((recipient) => recipient.state === state);
    const next = Math.min(
      ...those.map(({ nextAttemptAt }) => (nextAttemptAt === null ? Number.POSITIVE_INFINITY : Date.parse(nextAttemptAt))),
    );
    const until = Number.isFinite(next) && state !== 'active' ? `, next attempt ${time(next)}` : '';
    return paint(COLOURS[state], `${those.length} ${state}${until}`);
  });
  return paint('bold', `${several(recipients.length, 'recipient')}: `) + parts.join('; ');
}

const COLOURS: Readonly<Record<RecipientState, Colour>> = {
  queued: 'cyan',
  active: 'cyan',
  delayed: 'yellow',
  uncertain: 'yellow',
  held: 'yellow',
  relayed: 'green',
  failed: 'red',
  expired: 'red',
  removed: 'gray',
};

type Shown = Manner & {
  /** The message asks for REQUIRETLS. */
  readonly isStrict: boolean;
};

function describeRecipient(recipient: TracedMessage['recipients'][number], manner: Shown): string {
  const { paint = plain, conversations = false, isStrict } = manner;
  const { recipient: address, state, nextAttemptAt, lastReply, attempts } = recipient;
  const next = nextAttemptAt === null || state === 'active' ? '' : `, next attempt ${time(nextAttemptAt)}`;
  const said = attempts.length === 0 && lastReply !== null ? `    ${clean(lastReply)}\n` : '';
  const words = (attempt: TracedAttempt) => (conversations ? describeConversation(attempt) : '');
  const tried = attempts.map(
    (attempt) => `    ${describeAttempt(attempt, paint)}\n${words(attempt)}${relaxed(attempt, isStrict)}`,
  );
  return `  ${clean(address)}: ${paint(COLOURS[state], state)}${next}\n${said}${tried.join('')}`;
}

/** Mail with REQUIRETLS leaves without it only where the operator says so: RFC 8689 §4.2.1. */
function relaxed({ outcome, assurance }: TracedAttempt, isStrict: boolean): string {
  if (!isStrict || outcome !== 'relayed' || assurance === 'required') return '';
  return '      without the protection of REQUIRETLS, as an entry of `destinations` says\n';
}

/** "2026-11-21T10:00:00Z relayed by mx.example.org [192.0.2.1] TLSv1.3 in 0.4 s: 250 2.0.0 Ok" */
export function describeAttempt(attempt: TracedAttempt, paint: Paint = plain): string {
  const { at, outcome, mx, ip, tls, assurance, proof, policyId, judged, via, seconds, code, status, reply } = attempt;
  // The plain word for encryption to whoever answers tells nothing that the protocol does not.
  const because = [proof, policyId && `policy ${policyId}`].filter((part) => part !== undefined).join(', ');
  const worth = assurance === undefined || assurance === 'tls' ? '' : ` (${assurance}${because === '' ? '' : `: ${because}`})`;
  const secured = tls === null ? 'in clear' : `${tls}${worth}`;
  const where = [mx, ip === null ? null : `[${ip}]`, mx === null && ip === null ? null : secured].filter((part) => part !== null);
  const by = where.length === 0 ? '' : ` ${where.join(' ')}${via === undefined ? '' : ` (${via})`}`;
  // Some replies are stored with their code, some without.
  const said = reply.startsWith(String(code)) ? reply : [String(code), status, reply].filter((part) => part !== '').join(' ');
  const as = judged === undefined || judged.class === 'unknown' ? '' : ` [${judged.class}: ${judged.action}]`;
  return `${time(at)} ${paint(COLOURS[outcome], outcome)}${clean(`${by} in ${seconds.toFixed(1)} s: ${said}${as}`)}`;
}

/** Indented lines that start with seconds: `0.004 < 220 mx.example.org ESMTP`. Empty if no conversation was kept. */
export function describeConversation({ conversation = [] }: TracedAttempt): string {
  return conversation.map((line) => `      ${clean(line)}\n`).join('');
}

export function touchedTable(touched: QueueChange['touched']): string {
  return table(
    ['ID', 'RECIPIENT', 'STATE'],
    touched.map(({ id, recipient, state }) => [id, recipient, state]),
  );
}

function sender({ reversePath }: Pick<QueuedMessage, 'reversePath'>): string {
  return reversePath === '' ? '<>' : reversePath;
}

/** Rounds to three digits, which are enough for people. */
export function roundSize(bytes: number): string {
  if (bytes < 1024) return formatSize(bytes);
  const [unit, factor] = bytes < 2 ** 20 ? ['KiB', 1024] : bytes < 2 ** 30 ? ['MiB', 2 ** 20] : ['GiB', 2 ** 30];
  return `${(bytes / Number(factor)).toFixed(1)}${unit}`;
}
