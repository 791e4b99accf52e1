/** Messages as a table for spreadsheets: RFC 4180. */
import type { Control } from '../../control/control.ts';
import type { BrowseQuery } from '../../store/store.ts';

const COLUMNS = [
  ...(['acceptedAt', 'id', 'messageId', 'credential', 'from', 'recipients', 'states', 'subject', 'size'] as const),
  ...(['client', 'lastReply'] as const),
];
const PAGE = 500;
/** Spreadsheets take no more. */
const MOST = 1_000_000;

export async function* messagesCsv(
  trace: Control['trace'],
  query: Omit<BrowseQuery, 'limit'>,
  signal: AbortSignal,
): AsyncGenerator<string> {
  yield `${COLUMNS.join(',')}\r\n`;
  let before: string | null = query.before ?? null;
  for (let written = 0; written < MOST && !signal.aborted; ) {
    const page = await trace.browse({ ...query, ...(before === null ? {} : { before }), limit: PAGE });
    yield page.items.map((message) => `${cellsOf(message).map(csvCell).join(',')}\r\n`).join('');
    written += page.items.length;
    before = page.next;
    if (before === null) return;
  }
}

type Listed = Awaited<ReturnType<Control['trace']['browse']>>['items'][number];

function cellsOf({ acceptedAt, id, messageId, user, reversePath, recipients, states, subject, size, client }: Listed) {
  const counted = Object.entries(states).map(([state, count]) => `${state} ${count}`);
  const reply = recipients.findLast(({ lastReply }) => lastReply !== null)?.lastReply;
  const to = recipients.map(({ recipient }) => recipient).join(' ');
  return [
    acceptedAt,
    id,
    messageId,
    user ?? '',
    reversePath,
    to,
    counted.join(' '),
    subject ?? '',
    size,
    client?.ip ?? '',
    reply ?? '',
  ];
}

/** A text that a spreadsheet would take for a formula begins with an apostrophe. */
export function csvCell(value: string | number): string {
  const text = String(value);
  const safe = typeof value === 'string' && /^[\s]*[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n\0]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
