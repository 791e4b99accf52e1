/** Reads messages for people and metrics: list, get, find, counts and summary; and removes old trace. Each step reads a limited number of rows. */

import { lowerAscii } from '../../smtp/text.ts';
import type { AttemptRecord } from '../attempt-record.ts';
import type { RecipientState } from '../message-store.ts';
import type { RecipientPart, StoredMessage } from '../message-view.ts';
import type { Argument, Result } from '../sqlite/operations.ts';
import { decodeGroup, STATE_COUNTS } from '../sqlite/queue-groups.ts';
import { ALL_RECIPIENTS } from '../sqlite/reading.ts';
import {
  type AttemptRow,
  decodeAttempt,
  decodeFacts,
  decodeRecipient,
  type MessageRow,
  RECIPIENT_COLUMNS,
  type RecipientRow,
} from '../sqlite/rows.ts';
import { ACTIVE, ENDED, stateName } from '../sqlite/states.ts';
import type { DatabaseTransaction } from './database-transaction.ts';
import { MESSAGE_COLUMNS } from './message-rows.ts';
import type { OperationTable, PostgresContext } from './postgres-context.ts';

const STEP_MESSAGES = 2000;
/** A step that finds nothing sends nothing, and planning it costs as much as reading 2000 messages. */
const STEP_FIND = 10_000;
const STEP_TRIM = 500;

/** In the order of the ids that are asked for. */
async function load(
  tx: DatabaseTransaction,
  ids: readonly string[],
  { from, limit }: RecipientPart = ALL_RECIPIENTS,
): Promise<StoredMessage[]> {
  if (ids.length === 0) return [];
  const named = 'WHERE message = ANY($1::text[]) AND n >= $2 AND n - $2 < $3';
  const facts = tx.send<MessageRow>(`SELECT ${MESSAGE_COLUMNS} FROM messages WHERE id = ANY($1::text[])`, ids);
  const recipients = tx.send<RecipientRow>(
    `SELECT ${RECIPIENT_COLUMNS} FROM recipients ${named} ORDER BY message, n`,
    ...[ids, from, limit],
  );
  const attempts = tx.send<AttemptRow & { message: string; n: number }>(
    `SELECT message, n, at, mx, ip, tls, outcome, code, status, reply, seconds, assurance, proof, policy_id AS "policyId",
       judged, via, conversation
     FROM attempts ${named} ORDER BY message, n, attempt`,
    ...[ids, from, limit],
  );
  await tx.flush();
  const traces = new Map<string, AttemptRecord[]>();
  for (const { message, n, ...attempt } of await attempts) {
    const key = `${message} ${n}`;
    const trace = traces.get(key) ?? [];
    traces.set(key, trace);
    trace.push(decodeAttempt(attempt));
  }
  const byMessage = new Map<string, StoredMessage['recipients'][number][]>();
  for (const row of await recipients) {
    const one = { ...decodeRecipient(row), trace: traces.get(`${row.message} ${row.n}`) ?? [] };
    const ofMessage = byMessage.get(row.message) ?? [];
    byMessage.set(row.message, ofMessage);
    ofMessage.push(one);
  }
  const found = new Map((await facts).map((row) => [row.id, { ...decodeFacts(row), recipients: byMessage.get(row.id) ?? [] }]));
  return ids.flatMap((id) => found.get(id) ?? []);
}

async function list({ tx }: PostgresContext, query: Argument<'list'>): Promise<Result<'list'>> {
  // If no ended state is asked for, only the queue is read.
  const table = query.states.some((state) => state >= ENDED) ? 'messages' : 'open';
  const last = (
    await tx.get<{ id: string }>(
      `SELECT id FROM ${table} WHERE id > $1 ORDER BY id LIMIT 1 OFFSET ${STEP_MESSAGES - 1}`,
      query.after,
    )
  )?.id;
  const domain = query.domain === null ? null : `@${query.domain.toLowerCase()}`;
  const rows = await tx.all<{ id: string }>(
    `SELECT o.id FROM ${table} o WHERE o.id > $1 AND ($2::text IS NULL OR o.id <= $2)
       AND ($3::text IS NULL OR EXISTS (SELECT 1 FROM messages m WHERE m.id = o.id AND lower(m.user_name COLLATE "C") = lower($3 COLLATE "C")))
       AND EXISTS (SELECT 1 FROM recipients r WHERE r.message = o.id AND r.state = ANY($4::int[])
                   AND ($5::text IS NULL OR lower(right(r.address, length($5)) COLLATE "C") = $5))
     ORDER BY o.id LIMIT $6`,
    ...[query.after, last ?? null, query.user, query.states, domain, query.limit],
  );
  const ids = rows.map(({ id }) => id);
  const items = await load(tx, ids);
  return { items, after: ids.length === query.limit ? (ids.at(-1) ?? null) : (last ?? null) };
}

/** Reads backwards from `before`, the newest first. It has no index, because each accepted message would write it. */
async function find({ tx }: PostgresContext, { text, before, limit }: Argument<'find'>): Promise<Result<'find'>> {
  const step = `SELECT id FROM messages WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET ${STEP_FIND - 1}`;
  const first = (await tx.get<{ id: string }>(step, before))?.id;
  const rows = await tx.all<{ id: string }>(
    `SELECT id FROM messages WHERE id >= $1 AND id < $2
       AND (message_id = $3 OR message_id = '<' || $3 || '>' OR lower(reverse_path COLLATE "C") = lower($3 COLLATE "C"))
     UNION SELECT message FROM recipients WHERE message >= $1 AND message < $2 AND lower(address COLLATE "C") = lower($3 COLLATE "C")
     ORDER BY 1 DESC LIMIT $4`,
    ...[first ?? '', before, text, limit],
  );
  const ids = rows.map(({ id }) => id);
  return { items: await load(tx, ids), after: ids.length === limit ? null : (first ?? null) };
}

const FITS = `($1::int[] IS NULL OR r.state = ANY($1)) AND ($2::text IS NULL OR position($2 in lower(r.address COLLATE "C")) > 0)
  AND ($3::text IS NULL OR r.destination = $3)`;

async function browse({ tx }: PostgresContext, query: Argument<'browse'>): Promise<Result<'browse'>> {
  const {
    states,
    recipient,
    destination,
    before,
    from,
    users,
    ids: wanted,
    except,
    about,
    messageId,
    sender,
    subject,
    since,
    until,
    limit,
  } = query;
  const step = `SELECT id FROM messages WHERE id < $1 AND id >= $2 ORDER BY id DESC LIMIT 1 OFFSET ${STEP_MESSAGES - 1}`;
  const named = wanted !== null || about !== null;
  const first = named ? undefined : (await tx.get<{ id: string }>(step, before, from))?.id;
  const ofRecipient = [states, recipient, destination] as const;
  const rows = await tx.all<MessageRow>(
    `SELECT ${MESSAGE_COLUMNS} FROM messages m WHERE m.id < $4 AND m.id >= $5 AND ($6::text[] IS NULL OR lower(m.user_name COLLATE "C") = ANY($6))
       AND ($7::text IS NULL OR position($7 in lower(m.reverse_path COLLATE "C")) > 0)
       AND ($8::text IS NULL OR position($8 in lower(m.subject COLLATE "C")) > 0)
       AND m.accepted_at >= $9 AND m.accepted_at < $10
       AND ($11::boolean OR EXISTS (SELECT 1 FROM recipients r WHERE r.message = m.id AND ${FITS}))
       AND ($13::text[] IS NULL OR m.id = ANY($13)) AND ${about === null ? '$14::text IS NULL' : 'm.about = $14'}
       AND ($15::text IS NULL OR m.message_id IN ($15, '<' || $15 || '>'))
       AND ($16::text[] IS NULL OR m.id <> ALL($16))
     ORDER BY m.id DESC LIMIT $12`,
    ...[...ofRecipient, before, first ?? from, users?.map(lowerAscii) ?? null, sender, subject, since, until],
    ...[ofRecipient.every((value) => value === null), limit, wanted, about, messageId, except],
  );
  const ids = rows.map(({ id }) => id);
  const recipients = tx.send<RecipientRow>(
    `SELECT c.* FROM unnest($4::text[]) AS i (id) CROSS JOIN LATERAL (
       SELECT ${RECIPIENT_COLUMNS} FROM recipients r WHERE r.message = i.id AND ${FITS} ORDER BY r.n LIMIT 20) c`,
    ...ofRecipient,
    ids,
  );
  const counts = tx.send<{ message: string; state: number; count: number }>(
    'SELECT message, state, count(*)::int AS count FROM recipients WHERE message = ANY($1::text[]) GROUP BY message, state',
    ids,
  );
  await tx.flush();
  const shown = Map.groupBy(await recipients, ({ message }) => message);
  const counted = Map.groupBy(await counts, ({ message }) => message);
  const items = rows.map((row) => ({
    ...decodeFacts(row),
    recipients: (shown.get(row.id) ?? []).map(decodeRecipient),
    states: Object.fromEntries((counted.get(row.id) ?? []).map(({ state, count }) => [stateName(state) ?? 'held', count])),
  }));
  return { items, after: named ? null : rows.length === limit ? rows.at(-1)!.id : (first ?? null) };
}

async function counts({ tx }: PostgresContext): Promise<Result<'counts'>> {
  const sums = [0, 1, 2, 3, 4].map((state) => `coalesce(sum(s${state}), 0)::bigint AS s${state}`).join(', ');
  const row = await tx.get<Record<string, number>>(`SELECT ${sums} FROM writers`);
  const states: Partial<Record<RecipientState, number>> = {};
  for (let state = 0; state < ENDED; state++) {
    const word = stateName(state);
    const count = row?.[`s${state}`] ?? 0;
    if (word !== undefined && count > 0) states[word] = count;
  }
  // Queue ids grow with time, so that the first open message is the oldest.
  const oldest = await tx.get<{ at: number }>('SELECT accepted_at AS at FROM messages WHERE id = (SELECT min(id) FROM open)');
  return { states, oldestAcceptedAt: oldest?.at ?? null };
}

const SUMMARY = `
  SELECT s.destination, s.recipients, m.accepted_at AS "oldestAcceptedAt", s.next AS "nextAttemptAt"
  FROM (SELECT r.destination, count(*)::int AS recipients, min(r.message) AS oldest, min(r.next_attempt) AS next
        FROM open o JOIN recipients r ON r.message = o.id WHERE r.state <= ${ACTIVE}
        GROUP BY r.destination ORDER BY count(*) DESC, r.destination LIMIT $1) s
  JOIN messages m ON m.id = s.oldest ORDER BY s.recipients DESC, s.destination`;

/** By `by`: no text of a caller becomes part of a statement. */
const GROUPS = { destination: groupsBy('r.destination'), user: groupsBy("coalesce(m.user_name, '')") };

function groupsBy(name: string): string {
  return `
  SELECT g.*, m.accepted_at AS "oldestAcceptedAt",
    (SELECT r.last_reply FROM recipients r WHERE r.message = g.oldest AND r.state < ${ENDED} AND r.last_reply IS NOT NULL
       AND ${name} = g.name ORDER BY r.n LIMIT 1) AS "lastReply"
  FROM (SELECT ${name} AS name, count(*)::int AS recipients, count(DISTINCT r.message)::int AS messages, min(r.message) AS oldest,
          min(r.next_attempt) AS "nextAttemptAt", ${STATE_COUNTS.map((sum) => sum.replace(' AS', '::int AS')).join(', ')}
        FROM open o JOIN messages m ON m.id = o.id JOIN recipients r ON r.message = o.id
        WHERE r.state < ${ENDED} AND ($1::text[] IS NULL OR lower(m.user_name COLLATE "C") = ANY($1))
        GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT $2) g
  JOIN messages m ON m.id = g.oldest ORDER BY g.recipients DESC, g.name`;
}

/** What the trace takes: the messages, and the bytes of one with its rows and indexes. Counted at the first step, and then carried on. */
const TRACE_SIZE = `
  SELECT (SELECT count(*) FROM messages)::int AS messages, coalesce(avg(size), 0)::float8 * 1.5 AS each FROM (
    SELECT pg_column_size(m.*) + coalesce((SELECT sum(pg_column_size(r.*)) FROM recipients r WHERE r.message = m.id), 0)
      + coalesce((SELECT sum(pg_column_size(a.*)) FROM attempts a WHERE a.message = m.id), 0) AS size
    FROM messages m ORDER BY m.id DESC LIMIT 500) AS sample`;
let trace = { messages: 0, each: 0 };

/** Removes ended messages, the oldest first, until the rest is young enough and the trace is small enough. */
async function trim({ tx }: PostgresContext, { before, maxSize, after }: Argument<'trim'>): Promise<Result<'trim'>> {
  if (after === '') trace = (await tx.get<typeof trace>(TRACE_SIZE))!;
  const tooLarge = trace.messages * trace.each > maxSize;
  const rows = await tx.all<{ id: string; accepted_at: number; is_open: boolean }>(
    `SELECT m.id, m.accepted_at, EXISTS (SELECT 1 FROM open o WHERE o.id = m.id)
       OR EXISTS (SELECT 1 FROM untold u WHERE u.message = m.id) AS is_open
     FROM messages m WHERE m.id > $1 ORDER BY m.id LIMIT ${STEP_TRIM}`,
    after,
  );
  const young = tooLarge ? -1 : rows.findIndex(({ accepted_at }) => accepted_at >= before);
  const old = (young === -1 ? rows : rows.slice(0, young)).flatMap(({ id, is_open }) => (is_open ? [] : [id]));
  if (old.length > 0) {
    void tx.send('DELETE FROM attempts WHERE message = ANY($1::text[])', old);
    void tx.send('DELETE FROM recipients WHERE message = ANY($1::text[])', old);
    void tx.send('DELETE FROM messages WHERE id = ANY($1::text[])', old);
  }
  trace = { ...trace, messages: trace.messages - old.length };
  if (after === '') sweep(tx);
  await tx.flush();
  return { removed: old.length, after: young === -1 ? (rows.at(-1)?.id ?? null) : null };
}

/** Bodies that no message names, and what processes left that are long gone. */
function sweep(tx: DatabaseTransaction): void {
  void tx.send(
    `DELETE FROM chunks k WHERE k.spool IN (
       SELECT spool FROM chunks GROUP BY spool HAVING max(written_at) < now() - interval '1 hour' LIMIT 100)
     AND NOT EXISTS (SELECT 1 FROM open o WHERE o.spool = k.spool)`,
  );
  void tx.send(`DELETE FROM changes WHERE at < now() - interval '1 hour'`);
}

const SIGNATURES = `
  SELECT 1 FROM open o JOIN messages m ON m.id = o.id
  WHERE o.id > $1 AND ($2::text IS NULL OR o.id <= $2) AND strpos(' ' || m.signatures || ' ', ' ' || $3 || ' ') > 0 LIMIT 1`;

export const viewOperations: OperationTable<
  | 'list'
  | 'browse'
  | 'get'
  | 'find'
  | 'counts'
  | 'summary'
  | 'queueGroups'
  | 'signatureInUse'
  | 'trim'
  | 'giveBackPages'
  | 'due'
  | 'queueIds'
> = {
  list: { kind: 'read', run: list },
  browse: { kind: 'read', run: browse },
  get: { kind: 'read', run: async ({ tx }, { id, part }) => (await load(tx, [id], part))[0] },
  find: { kind: 'read', run: find },
  counts: { kind: 'read', run: counts },
  summary: { kind: 'read', run: ({ tx }, limit) => tx.all<Result<'summary'>[number]>(SUMMARY, limit) },
  queueGroups: {
    kind: 'read',
    async run({ tx }, { by, users, limit }) {
      const rows = await tx.all<Parameters<typeof decodeGroup>[0]>(GROUPS[by], users?.map(lowerAscii) ?? null, limit);
      return rows.map(decodeGroup);
    },
  },
  signatureInUse: {
    kind: 'read',
    async run({ tx }, { name, after }) {
      const sql = `SELECT id FROM open WHERE id > $1 ORDER BY id LIMIT 1 OFFSET ${STEP_MESSAGES}`;
      const last = (await tx.get<{ id: string }>(sql, after))?.id;
      const found = await tx.get(SIGNATURES, after, last ?? null, name);
      return { found: found !== undefined, after: last ?? null };
    },
  },
  trim: { kind: 'write', run: trim },
  /** The database gives its free pages back itself. */
  giveBackPages: { kind: 'read', run: async () => false },
  due: { kind: 'read', run: ({ tx, dueMemory, others }, { now, limit }) => dueMemory.read(tx, { now, limit, others }) },
  queueIds: {
    kind: 'read',
    async run({ tx, node }) {
      const newest = await tx.get<{ id: string | null }>('SELECT max(id) AS id FROM messages');
      return { node, newest: newest?.id ?? null };
    },
  },
};
