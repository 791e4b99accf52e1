/** Messages as text: a line each for lists, the whole story for one. */
import { formatSize } from '../config/config.ts';
import type { AttemptRecord, StoredMessage, Touched } from '../store/store.ts';
import { clean, facts, table, time } from './text.ts';

/** One line a recipient; a message's own columns stand in its first line only. */
export function messageTable(messages: readonly StoredMessage[]): string {
  const rows = messages.flatMap((message) =>
    message.recipients.map((recipient, i) => [
      ...(i === 0
        ? [message.id, time(message.acceptedAt), roundSize(message.size), sender(message)]
        : ['', '', '', ''].map(() => ' ')),
      recipient.address,
      recipient.state,
      String(recipient.attempts),
      time(recipient.nextAttemptAt),
      recipient.lastReply ?? '',
    ]),
  );
  return table(['ID', 'ACCEPTED', 'SIZE', 'FROM', 'TO', 'STATE', 'TRIED', 'NEXT', 'LAST REPLY'], rows);
}

/** All that is known of one message, each attempt with host, TLS and reply. */
export function describeMessage(message: StoredMessage): string {
  const { id, messageId, user, acceptedAt, expiresAt, size, signatures, about } = message;
  const head = facts([
    ['message', id],
    ['Message-ID', messageId],
    ['from', sender(message)],
    ['user', user ?? (about === undefined ? 'smarthost' : `smarthost, a report about ${about}`)],
    ['accepted', `${time(acceptedAt)}, ${roundSize(size)}`],
    ['returned after', time(expiresAt)],
    ['signed by', signatures.join(', ')],
  ]);
  return head + message.recipients.map(describeRecipient).join('');
}

function describeRecipient({ address, state, nextAttemptAt, lastReply, trace }: StoredMessage['recipients'][number]): string {
  const next = nextAttemptAt === null || state === 'active' ? '' : `, next attempt ${time(nextAttemptAt)}`;
  const said = trace.length === 0 && lastReply !== null ? `    ${clean(lastReply)}\n` : '';
  return `  ${clean(address)}: ${state}${next}\n${said}${trace.map((attempt) => `    ${describeAttempt(attempt)}\n`).join('')}`;
}

/** "2026-11-21T10:00:00Z relayed by mx.example.org [192.0.2.1] TLSv1.3 in 0.4 s: 250 2.0.0 Ok" */
export function describeAttempt({ at, outcome, mx, ip, tls, seconds, code, status, reply }: AttemptRecord): string {
  const where = [mx, ip === null ? null : `[${ip}]`, mx === null && ip === null ? null : (tls ?? 'in clear')].filter(
    (part) => part !== null,
  );
  const by = where.length === 0 ? '' : ` ${where.join(' ')}`;
  // Some replies are kept with their code, some without.
  const said = reply.startsWith(String(code)) ? reply : [String(code), status, reply].filter((part) => part !== '').join(' ');
  return clean(`${time(at)} ${outcome}${by} in ${seconds.toFixed(1)} s: ${said}`);
}

export function touchedTable(touched: readonly Touched[]): string {
  return table(
    ['ID', 'RECIPIENT', 'STATE'],
    touched.map(({ id, recipient, state }) => [id, recipient, state]),
  );
}

function sender({ reversePath }: StoredMessage): string {
  return reversePath === '' ? '<>' : reversePath;
}

/** Three digits are enough for people. */
export function roundSize(bytes: number): string {
  if (bytes < 1024) return formatSize(bytes);
  const [unit, factor] = bytes < 2 ** 20 ? ['KiB', 1024] : bytes < 2 ** 30 ? ['MiB', 2 ** 20] : ['GiB', 2 ** 30];
  return `${(bytes / Number(factor)).toFixed(1)}${unit}`;
}
