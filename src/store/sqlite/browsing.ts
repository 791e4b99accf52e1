/** Reads messages for lists, the newest first. Each step looks at a limited number of messages, so that other requests do not wait. */
import type { RecipientState } from '../message-store.ts';
import type { BrowsedMessage } from '../message-view.ts';
import type { Context } from './context.ts';
import { isCorrupt } from './database.ts';
import type { Step } from './queue-commands.ts';
import { decodeFacts, decodeRecipient, type MessageRow, RECIPIENT_COLUMNS, type RecipientRow } from './rows.ts';
import { ENDED, stateName } from './states.ts';

const STEP_MESSAGES = 2000;
const MOST_RECIPIENTS = 20;

/** Texts have ASCII letters in lower case. */
export type BrowseStep = {
  readonly users: readonly string[] | null;
  readonly ids: readonly string[] | null;
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

const FITS =
  '(?1 IS NULL OR (1 << r.state) & ?1) AND (?2 IS NULL OR instr(lower(r.address), ?2)) AND (?3 IS NULL OR r.destination = ?3)';

const FROM = { messages: 'messages m', open: 'open o CROSS JOIN messages m ON m.id = o.id' } as const;

/** `after`: the `before` of the next step. Messages that are named by an id, or by what they are about, are found in one step. */
export function browse({ db }: Context, query: BrowseStep): Step<BrowsedMessage> {
  const named = query.ids !== null || query.about !== null;
  const first = named ? undefined : endOfStep(db, query);
  const states = query.states === null ? null : query.states.reduce((bits, state) => bits | (1 << state), 0);
  const ofRecipient = [states, query.recipient, query.destination] as const;
  const any = ofRecipient.every((value) => value === null);
  const from = query.ids === null ? FROM[tableFor(query)] : 'json_each(?13) j CROSS JOIN messages m ON m.id = j.value';
  const id = query.ids === null && tableFor(query) === 'open' ? 'o.id' : 'm.id';
  const rows = db.all<MessageRow>(
    `SELECT m.* FROM ${from} WHERE ${id} < ?4 AND ${id} >= ?5
       AND (?6 IS NULL OR m.user COLLATE NOCASE IN (SELECT value FROM json_each(?6)))
       AND (?7 IS NULL OR instr(lower(m.reverse_path), ?7)) AND (?8 IS NULL OR instr(lower(m.subject), ?8))
       AND m.accepted_at >= ?9 AND m.accepted_at < ?10
       AND (?11 OR EXISTS (SELECT 1 FROM recipients r WHERE r.message = m.id AND ${FITS}))
       ${query.ids === null ? 'AND ?13 IS NULL' : ''} AND ${query.about === null ? '?14 IS NULL' : 'm.about = ?14'}
       AND (?15 IS NULL OR m.message_id IN (?15, '<' || ?15 || '>'))
     ORDER BY ${id} DESC LIMIT ?12`,
    ...[...ofRecipient, query.before, first ?? query.from, list(query.users), query.sender, query.subject],
    ...[query.since, query.until, Number(any), query.limit, list(query.ids), query.about, query.messageId],
  );
  const items = rows.flatMap((row) => withRecipients(db, row, ofRecipient) ?? []);
  const after = named ? null : rows.length === query.limit ? rows.at(-1)!.id : (first ?? null);
  return { items, after };
}

/** If no ended state is asked for, only the queue is read. */
function tableFor({ states }: Pick<BrowseStep, 'states'>): 'messages' | 'open' {
  return states?.every((state) => state < ENDED) === true ? 'open' : 'messages';
}

const list = (values: readonly string[] | null): string | null => (values === null ? null : JSON.stringify(values));

/** The last message that one step looks at. undefined: there are fewer. */
function endOfStep(db: Context['db'], query: BrowseStep): string | undefined {
  const sql = `SELECT id FROM ${tableFor(query)} WHERE id < ? AND id >= ? ORDER BY id DESC LIMIT 1 OFFSET ?`;
  return db.get<{ id: string }>(sql, query.before, query.from, STEP_MESSAGES - 1)?.id;
}

/** A message whose rows cannot be read is skipped, so that the others are shown. */
function withRecipients(
  db: Context['db'],
  row: MessageRow,
  ofRecipient: readonly (string | number | null)[],
): BrowsedMessage | undefined {
  try {
    const recipients = db.all<RecipientRow>(
      `SELECT ${RECIPIENT_COLUMNS} FROM recipients r WHERE r.message = ?4 AND ${FITS} ORDER BY n LIMIT ${MOST_RECIPIENTS}`,
      ...ofRecipient,
      row.id,
    );
    const states: Partial<Record<RecipientState, number>> = {};
    for (const { state, count } of db.all<{ state: number; count: number }>(
      'SELECT state, count(*) AS count FROM recipients WHERE message = ? GROUP BY state',
      row.id,
    ))
      states[stateName(state) ?? 'held'] = count;
    return { ...decodeFacts(row), recipients: recipients.map(decodeRecipient), states };
  } catch (error) {
    if (isCorrupt(error)) return undefined;
    throw error;
  }
}
