/** Reads messages for lists, the newest first. Each step looks at a limited number of rows, so that other requests do not wait. */
import type { RecipientState } from '../message-store.ts';
import type { BrowsedMessage } from '../message-view.ts';
import type { Context } from './context.ts';
import { isCorrupt } from './database.ts';
import type { Step } from './queue-commands.ts';
import { decodeFacts, decodeRecipient, type MessageRow, RECIPIENT_COLUMNS, type RecipientRow } from './rows.ts';
import { ENDED, stateName } from './states.ts';

/** Of one statement, so that no read keeps the log of the database from being emptied. */
const STEP_ROWS = 2000;
/** Milliseconds of one request. The next one in the line waits no longer. */
const TURN = 10;
const MOST_RECIPIENTS = 20;

/** Texts have ASCII letters in lower case. */
export type BrowseStep = {
  readonly users: readonly string[] | null;
  readonly ids: readonly string[] | null;
  readonly except: readonly string[] | null;
  readonly about: string | null;
  readonly messageId: string | null;
  readonly sender: string | null;
  readonly subject: string | null;
  readonly recipient: string | null;
  readonly destination: string | null;
  /** The numbers of states; null: any. */
  readonly states: readonly number[] | null;
  readonly since: number;
  readonly until: number;
  /** Ids from `from` on and below `before`. */
  readonly from: string;
  readonly before: string;
  readonly limit: number;
};

/** Which recipients are shown, and which messages are found by them. */
const FITS =
  '(?1 IS NULL OR (1 << r.state) & ?1) AND (?2 IS NULL OR instr(lower(r.address), ?2)) AND (?3 IS NULL OR r.destination = ?3)';

/** What is read backwards: by its rows a step is limited. Where recipients choose, their rows lie together, which is five times faster than a look for those of each message. */
const WALKS = {
  messages: { from: 'messages m', id: 'm.id', joined: 'messages m' },
  open: { from: 'open o', id: 'o.id', joined: 'open o CROSS JOIN messages m ON m.id = o.id' },
  recipients: { from: 'recipients r', id: 'r.message', joined: 'recipients r CROSS JOIN messages m ON m.id = r.message' },
  openRecipients: {
    from: 'open o CROSS JOIN recipients r ON r.message = o.id',
    id: 'o.id',
    joined: 'open o CROSS JOIN recipients r ON r.message = o.id CROSS JOIN messages m ON m.id = o.id',
  },
} as const;

/** Steps until there is a page, or until some time has passed. `after`: the `before` of the next request. */
export function browse(context: Context, query: BrowseStep): Step<BrowsedMessage> {
  const items: BrowsedMessage[] = [];
  let { before } = query;
  for (const end = performance.now() + TURN; ; ) {
    const { items: found, after } = step(context, { ...query, before, limit: query.limit - items.length });
    items.push(...found);
    if (after === null || items.length >= query.limit || performance.now() >= end) return { items, after };
    before = after;
  }
}

/** Messages that are named by an id, or by what they are about, are found in one step. */
function step({ db }: Context, query: BrowseStep): Step<BrowsedMessage> {
  const named = query.ids !== null || query.about !== null;
  const first = named ? undefined : endOfStep(db, query);
  const ofRecipient = ofRecipientIn(query);
  const any = isAny(query);
  const { id, joined } = WALKS[named ? 'messages' : walkFor(query)];
  const fits = any ? '' : named ? `AND EXISTS (SELECT 1 FROM recipients r WHERE r.message = m.id AND ${FITS})` : `AND ${FITS}`;
  const rows = db.all<MessageRow>(
    `SELECT m.* FROM ${query.ids === null ? joined : 'json_each(?12) j CROSS JOIN messages m ON m.id = j.value'}
     WHERE ${id} < ?4 AND ${id} >= ?5 ${any ? 'AND coalesce(?1, ?2, ?3) IS NULL' : fits}
       AND (?6 IS NULL OR m.user COLLATE NOCASE IN (SELECT value FROM json_each(?6)))
       AND (?7 IS NULL OR instr(lower(m.reverse_path), ?7)) AND (?8 IS NULL OR instr(lower(m.subject), ?8))
       AND m.accepted_at >= ?9 AND m.accepted_at < ?10
       ${query.ids === null ? 'AND ?12 IS NULL' : ''} AND ${query.about === null ? '?13 IS NULL' : 'm.about = ?13'}
       AND (?14 IS NULL OR m.message_id IN (?14, '<' || ?14 || '>'))
       AND (?15 IS NULL OR m.id NOT IN (SELECT value FROM json_each(?15)))
     ${any || named ? '' : `GROUP BY ${id}`} ORDER BY ${id} DESC LIMIT ?11`,
    ...[...ofRecipient, query.before, first ?? query.from, list(query.users), query.sender, query.subject],
    ...[query.since, query.until, query.limit, list(query.ids), query.about, query.messageId, list(query.except)],
  );
  const items = rows.flatMap((row) => withRecipients(db, row, ofRecipient) ?? []);
  const after = named ? null : rows.length === query.limit ? rows.at(-1)!.id : (first ?? null);
  return { items, after };
}

/** If no ended state is asked for, only the queue is read. */
function walkFor(query: BrowseStep): keyof typeof WALKS {
  const isOpen = query.states?.every((state) => state < ENDED) === true;
  if (isAny(query)) return isOpen ? 'open' : 'messages';
  return isOpen ? 'openRecipients' : 'recipients';
}

const ofRecipientIn = ({ states, recipient, destination }: BrowseStep) =>
  [states === null ? null : states.reduce((bits, state) => bits | (1 << state), 0), recipient, destination] as const;

const isAny = (query: BrowseStep) => ofRecipientIn(query).every((value) => value === null);

const list = (values: readonly string[] | null): string | null => (values === null ? null : JSON.stringify(values));

/** The last message that one step looks at. undefined: there are fewer. */
function endOfStep(db: Context['db'], query: BrowseStep): string | undefined {
  const { from, id } = WALKS[walkFor(query)];
  const sql = `SELECT ${id} AS id FROM ${from} WHERE ${id} < ? AND ${id} >= ? ORDER BY ${id} DESC LIMIT 1 OFFSET ?`;
  return db.get<{ id: string }>(sql, query.before, query.from, STEP_ROWS - 1)?.id;
}

const SHOWN = `SELECT ${RECIPIENT_COLUMNS} FROM recipients r WHERE r.message = ?4 AND ${FITS} ORDER BY n LIMIT ${MOST_RECIPIENTS}`;
type Counted = { readonly state: number; readonly count: number };
const one = ({ state }: RecipientRow): Counted => ({ state, count: 1 });
const COUNTED = 'SELECT state, count(*) AS count FROM recipients WHERE message = ? GROUP BY state';

/** A message whose rows cannot be read is skipped, so that the others are shown. If all its recipients are shown, nothing else is read to count them. */
function withRecipients(
  db: Context['db'],
  row: MessageRow,
  ofRecipient: readonly (string | number | null)[],
): BrowsedMessage | undefined {
  try {
    const recipients = db.all<RecipientRow>(SHOWN, ...ofRecipient, row.id);
    const isWhole = recipients.length < MOST_RECIPIENTS && ofRecipient.every((value) => value === null);
    const states: Partial<Record<RecipientState, number>> = {};
    for (const { state, count } of isWhole ? recipients.map(one) : db.all<Counted>(COUNTED, row.id)) {
      const name = stateName(state) ?? 'held';
      states[name] = (states[name] ?? 0) + count;
    }
    return { ...decodeFacts(row), recipients: recipients.map(decodeRecipient), states };
  } catch (error) {
    if (isCorrupt(error)) return undefined;
    throw error;
  }
}
