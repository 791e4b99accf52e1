/** Commands on the queue: retry, hold, release, remove and reroute. A transaction changes about a thousand recipients. */
import type { Notice } from '../message-view.ts';
import type { Argument, Result } from '../sqlite/operations.ts';
import {
  COMMAND_NOTICE,
  type CommandRow,
  NEXT_STATE,
  recipientsOf,
  rowFilter,
  type StepSelection,
} from '../sqlite/queue-commands.ts';
import { decodeFacts, type MessageRow } from '../sqlite/rows.ts';
import { ACTIVE, ENDED, HELD, stateName } from '../sqlite/states.ts';
import type { DatabaseTransaction } from './database-transaction.ts';
import { MESSAGE_COLUMNS } from './message-rows.ts';
import { columns } from './parameters.ts';
import type { OperationTable, PostgresContext } from './postgres-context.ts';
import { closeEndedRows, lockOpenRows } from './settlement.ts';

const STEP_MESSAGES = 500;
const RETRIED = 'retried.';

async function command(context: PostgresContext, a: Argument<'command'>): Promise<Result<'command'>> {
  const { tx, effects, due } = context;
  const { rows, after } = await openRows(tx, a, true);
  const changed: (readonly [row: CommandRow, state: number])[] = [];
  const decided = new Set<string>();
  for (const row of rows) {
    // After hold, release or remove by an operator, the limits decide no more about the message.
    if (row.state === HELD && a.action !== 'retry') decided.add(row.message);
    const state = NEXT_STATE[a.action](row);
    if (state !== undefined) changed.push([row, state]);
  }
  if (decided.size > 0) void tx.send('DELETE FROM over_limit WHERE message = ANY($1::text[])', [...decided]);
  const values = changed.map(([{ message, n }, state]) => [message, n, state, state < ACTIVE ? a.now : null]);
  if (values.length > 0) void tx.send(CHANGE, ...columns(values, 4));
  for (const [row, state] of changed) {
    effects.move(row.state, state);
    due.touch(row.destination);
    if (state < ACTIVE) effects.changed(`queue:${row.destination}`);
  }
  const destinations = [...new Set(changed.map(([{ destination }]) => RETRIED + destination))].sort();
  if (a.action === 'retry' && destinations.length > 0) void tx.send(PUT_RETRIED, destinations, String(a.now));
  const event = COMMAND_NOTICE[a.action];
  if (event !== undefined && changed.length > 0) {
    const notices = changed.map(([{ message, address }]) => [message, address]);
    void tx.send(ADD_NOTICES, ...columns(notices, 2), event);
    effects.changed('notices');
  }
  closeEndedRows(
    tx,
    changed.flatMap(([{ message }, state]) => (state >= ENDED ? [message] : [])),
  );
  await tx.flush();
  const items = changed.map(([{ message, address }, state]) => ({
    id: message,
    recipient: address,
    state: stateName(state) ?? 'held',
  }));
  return { items, after };
}

const CHANGE = `
  UPDATE recipients r SET state = c.state, next_attempt = c.next, owner = NULL, held_by = NULL
  FROM unnest($1::text[], $2::int[], $3::smallint[], $4::bigint[]) AS c (message, n, state, next) WHERE r.message = c.message AND r.n = c.n`;
const PUT_RETRIED = `
  INSERT INTO small_values SELECT name, $2 FROM unnest($1::text[]) AS v (name) ON CONFLICT (name) DO UPDATE SET value = excluded.value`;
const ADD_NOTICES = `
  INSERT INTO notices (event, message, recipient)
  SELECT $3, message, recipient FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS c (message, recipient, place) ORDER BY place`;

/** Reads whole messages, so that the next step begins behind the last one. Their rows are locked in the order of their keys. */
async function openRows(
  tx: DatabaseTransaction,
  { ids, after, ...filter }: StepSelection,
  lock: boolean,
): Promise<{ rows: CommandRow[]; after: string | null }> {
  const walk = 'SELECT id FROM open WHERE id > $1 AND ($3::text IS NULL OR id <= $3) ORDER BY id LIMIT $2';
  const { user, acceptedBefore, upTo = null } = filter;
  const walked = ids ?? (await tx.all<{ id: string }>(walk, after, STEP_MESSAGES, upTo)).map(({ id }) => id);
  const about = `SELECT id FROM messages WHERE id = ANY($1::text[]) AND ($2::text IS NULL OR lower(user_name COLLATE "C") = lower($2 COLLATE "C"))
    AND accepted_at < $3 AND ($4::text IS NULL OR id <= $4)`;
  const isAbout = user !== undefined || acceptedBefore !== undefined || (ids !== undefined && upTo !== null);
  const latest = acceptedBefore ?? Number.MAX_SAFE_INTEGER;
  const chosen = isAbout ? (await tx.all<{ id: string }>(about, walked, user ?? null, latest, upTo)).map(({ id }) => id) : walked;
  if (lock) lockOpenRows(tx, chosen);
  const sql = `SELECT message, n, address, destination, state, attempts FROM recipients WHERE message = ANY($1::text[]) AND state < ${ENDED}
    ORDER BY message, n ${lock ? 'FOR UPDATE' : ''}`;
  const rows = (await tx.all<CommandRow>(sql, chosen)).filter(rowFilter(filter));
  const last = walked.at(-1);
  return { rows, after: ids === undefined && last !== undefined ? last : null };
}

async function preview({ tx }: PostgresContext, selection: StepSelection): Promise<Result<'preview'>> {
  const { rows, after } = await openRows(tx, selection, false);
  const counts = recipientsOf(rows);
  const facts = await tx.all<{ id: string; at: number }>(
    'SELECT id, accepted_at AS at FROM messages WHERE id = ANY($1::text[])',
    [...counts.keys()],
  );
  return { items: facts.map(({ id, at }) => ({ recipients: counts.get(id)!, oldestAcceptedAt: at })), after };
}

async function waiting({ tx }: PostgresContext, selection: StepSelection): Promise<Result<'waiting'>> {
  const { rows, after } = await openRows(tx, selection, false);
  const messages = new Map<string, CommandRow[]>();
  for (const row of rows) if (row.state !== ACTIVE) messages.set(row.message, [...(messages.get(row.message) ?? []), row]);
  const facts = await tx.all<MessageRow>(`SELECT ${MESSAGE_COLUMNS} FROM messages WHERE id = ANY($1::text[]) ORDER BY id`, [
    ...messages.keys(),
  ]);
  const items = facts.map((row) => ({
    message: decodeFacts(row),
    recipients: messages.get(row.id)!.map(({ n, address, destination }) => ({ n, address, destination })),
  }));
  return { items, after };
}

/** A held recipient gets the destination and stays held. An active or ended recipient is not changed. */
async function reroute({ tx, effects, due }: PostgresContext, { routes, now }: Argument<'reroute'>): Promise<Result<'reroute'>> {
  type Rerouted = { message: string; address: string; state: number; before: string; destination: string; place: number };
  const rows = await tx.all<Rerouted>(
    `UPDATE recipients r SET destination = c.destination, next_attempt = CASE WHEN r.state < ${ACTIVE} THEN $4::bigint END FROM (
       SELECT r.message, r.n, r.destination AS before, a.destination, a.place
       FROM unnest($1::text[], $2::int[], $3::text[]) WITH ORDINALITY AS a (message, n, destination, place)
       JOIN recipients r ON r.message = a.message AND r.n = a.n
       WHERE r.state < ${ENDED} AND r.state <> ${ACTIVE} ORDER BY r.message, r.n FOR UPDATE OF r) c
     WHERE r.message = c.message AND r.n = c.n RETURNING r.message, r.address, r.state, c.before, c.destination, c.place`,
    ...columns(
      routes.map(({ id, n, destination }) => [id, n, destination]),
      3,
    ),
    now,
  );
  for (const { before, destination } of rows) {
    due.touch(before);
    due.touch(destination);
    effects.changed(`queue:${destination}`);
  }
  return rows
    .toSorted((a, b) => a.place - b.place)
    .map(({ message, address, state }) => ({ id: message, recipient: address, state: stateName(state) ?? 'held' }));
}

const PLACEHOLDER = `
  INSERT INTO messages (id, reverse_path, message_id, size, accepted_at, expires_at, flags, signatures, verify)
  VALUES ($1, '', '', 0, 0, 0, 0, '', 0) ON CONFLICT DO NOTHING`;

export const commandOperations: OperationTable<
  'command' | 'withdraw' | 'waiting' | 'preview' | 'newestOpen' | 'reroute' | 'takeNotices' | 'takeRetried'
> = {
  command: { kind: 'write', run: command },
  withdraw: {
    kind: 'write',
    async run(context, { messages, now }) {
      const { tx } = context;
      for (const { id, token } of messages) {
        // A transaction without an answer may still store it, and nobody sees that yet. This row waits for it to end.
        if ((await tx.run(PLACEHOLDER, id)) > 0) await tx.run('DELETE FROM messages WHERE id = $1', id);
        else if ((await tx.get('SELECT 1 FROM messages WHERE id = $1 AND token = $2', id, token)) !== undefined)
          await command(context, { action: 'remove', ids: [id], after: '', now });
      }
    },
  },
  waiting: { kind: 'read', run: waiting },
  preview: { kind: 'read', run: preview },
  newestOpen: {
    kind: 'read',
    run: async ({ tx }) => (await tx.get<{ id: string | null }>('SELECT max(id) AS id FROM open'))?.id ?? '',
  },
  reroute: { kind: 'write', run: reroute },
  takeNotices: {
    kind: 'write',
    async run({ tx }, limit) {
      const rows = await tx.all<Notice & { seq: number }>(
        `DELETE FROM notices WHERE seq IN (SELECT seq FROM notices ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED)
         RETURNING seq, event, message AS id, recipient`,
        limit,
      );
      return rows.toSorted((a, b) => a.seq - b.seq).map(({ event, id, recipient }) => ({ event, id, recipient }));
    },
  },
  takeRetried: {
    kind: 'write',
    async run({ tx }, limit) {
      const rows = await tx.all<{ name: string }>(
        `DELETE FROM small_values WHERE name IN (
           SELECT name FROM small_values WHERE name >= $1 AND name < $2 ORDER BY name LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING name`,
        ...[RETRIED, 'retried/', limit],
      );
      return rows.map(({ name }) => name.slice(RETRIED.length));
    },
  },
};
