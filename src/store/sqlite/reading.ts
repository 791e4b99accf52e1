/** Reads messages for people: list, get and find. Each step reads a limited number of rows, so that other requests do not wait. */
import type { AttemptRecord } from '../attempt-record.ts';
import type { RecipientPart, StoredMessage } from '../message-view.ts';
import type { Context } from './context.ts';
import { isCorrupt } from './database.ts';
import type { Step } from './queue-commands.ts';
import {
  type AttemptRow,
  decodeAttempt,
  decodeFacts,
  decodeRecipient,
  type MessageRow,
  RECIPIENT_COLUMNS,
  type RecipientRow,
} from './rows.ts';
import { ENDED } from './states.ts';

const STEP_MESSAGES = 2000;
export const ALL_RECIPIENTS: RecipientPart = { from: 0, limit: 2 ** 31 - 1 };
/** Is behind all ids, which have only digits and lower-case letters. */
export const AFTER_ALL = '\uffff';

type ListStep = {
  /** The numbers of states. A message is listed if one of its recipients has one of these states. */
  readonly states: readonly number[];
  readonly domain: string | null;
  readonly user: string | null;
  readonly after: string;
  readonly limit: number;
};

export function list(context: Context, query: ListStep): Step<StoredMessage> {
  // If no ended state is asked for, only the queue is read.
  const table = query.states.some((state) => state >= ENDED) ? 'messages' : 'open';
  const last = context.db.get<{ id: string }>(
    `SELECT id FROM ${table} WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?`,
    query.after,
    STEP_MESSAGES - 1,
  )?.id;
  const ids = matching(context, table, query, last ?? AFTER_ALL);
  const items = load(context, ids);
  if (ids.length === query.limit) return { items, after: ids.at(-1) ?? null };
  return { items, after: last ?? null };
}

function matching({ db }: Context, table: string, query: ListStep, last: string): string[] {
  const states = query.states.reduce((bits, state) => bits | (1 << state), 0);
  const domain = query.domain === null ? null : `@${query.domain.toLowerCase()}`;
  const sql = `
    SELECT o.id FROM ${table} o WHERE o.id > ?1 AND o.id <= ?2
      AND (?3 IS NULL OR EXISTS (SELECT 1 FROM messages m WHERE m.id = o.id AND m.user = ?3 COLLATE NOCASE))
      AND EXISTS (SELECT 1 FROM recipients r WHERE r.message = o.id AND ((1 << r.state) & ?4)
                  AND (?5 IS NULL OR lower(substr(r.address, -length(?5))) = ?5))
    ORDER BY o.id LIMIT ?6`;
  return db.all<{ id: string }>(sql, query.after, last, query.user, states, domain, query.limit).map(({ id }) => id);
}

function load(context: Context, ids: readonly string[]): StoredMessage[] {
  return ids.map((id) => get(context, { id })).filter((message) => message !== undefined);
}

type GetQuery = { readonly id: string; readonly part?: RecipientPart | undefined };

/** A message whose rows cannot be read is skipped, so that the others are shown. */
export function get(context: Context, query: GetQuery): StoredMessage | undefined {
  try {
    return loadMessage(context, query);
  } catch (error) {
    if (isCorrupt(error)) return undefined;
    throw error;
  }
}

function loadMessage({ db }: Context, { id, part = ALL_RECIPIENTS }: GetQuery): StoredMessage | undefined {
  const row = db.get<MessageRow>('SELECT * FROM messages WHERE id = ?', id);
  if (row === undefined) return undefined;
  const named = 'WHERE message = ? AND n >= ? AND n < ?';
  const values = [id, part.from, part.from + part.limit] as const;
  const recipients = db.all<RecipientRow>(`SELECT ${RECIPIENT_COLUMNS} FROM recipients ${named} ORDER BY n`, ...values);
  const traces = new Map<number, AttemptRecord[]>();
  const attempts = db.all<AttemptRow & { n: number }>(
    `SELECT n, at, mx, ip, tls, outcome, code, status, reply, seconds, assurance, proof, policy_id AS policyId, judged, via,
       conversation
     FROM attempts ${named} ORDER BY n, attempt`,
    ...values,
  );
  for (const { n, ...attempt } of attempts) {
    const trace = traces.get(n) ?? [];
    traces.set(n, trace);
    trace.push(decodeAttempt(attempt));
  }
  return { ...decodeFacts(row), recipients: recipients.map((r) => ({ ...decodeRecipient(r), trace: traces.get(r.n) ?? [] })) };
}

/** Reads backwards from `before`, the newest first. It has no index, because an index would write several random pages for each accepted message. */
export function find(context: Context, a: { text: string; before: string; limit: number }): Step<StoredMessage> {
  const first = context.db.get<{ id: string }>(
    'SELECT id FROM messages WHERE id < ? ORDER BY id DESC LIMIT 1 OFFSET ?',
    a.before,
    STEP_MESSAGES - 1,
  )?.id;
  const sql = `
    SELECT id FROM messages WHERE id >= ?1 AND id < ?2
      AND (message_id = ?3 OR message_id = '<' || ?3 || '>' OR reverse_path = ?3 COLLATE NOCASE)
    UNION SELECT message FROM recipients WHERE message >= ?1 AND message < ?2 AND address = ?3 COLLATE NOCASE
    ORDER BY 1 DESC LIMIT ?4`;
  const ids = context.db.all<{ id: string }>(sql, first ?? '', a.before, a.text, a.limit).map(({ id }) => id);
  return { items: load(context, ids), after: ids.length === a.limit ? null : (first ?? null) };
}
