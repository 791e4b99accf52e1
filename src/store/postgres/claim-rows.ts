/** Claims due recipients: one claim for each message, with at most 50 recipients. Rows that another relay is claiming are skipped. */
import { MINUTE } from '../../system/clock.ts';
import type { ContentRow } from '../sqlite/claim.ts';
import { DamagedEntry } from '../sqlite/damage.ts';
import type { Effects } from '../sqlite/effects.ts';
import type { Argument, Result } from '../sqlite/operations.ts';
import {
  decodeFacts,
  decodeRecipient,
  isIntact,
  isIntactContent,
  isIntactRecipient,
  type MessageRow,
  RECIPIENT_COLUMNS,
  type RecipientRow,
} from '../sqlite/rows.ts';
import { ACTIVE, ENDED, HELD, REMOVED } from '../sqlite/states.ts';
import type { DatabaseTransaction } from './database-transaction.ts';
import type { DueChanges } from './due-memory.ts';
import { MESSAGE_COLUMNS } from './message-rows.ts';
import { isLivingRelay } from './nodes.ts';
import type { OperationTable, PostgresContext } from './postgres-context.ts';
import { compare } from './windows.ts';

const MAX_RECIPIENTS = 50;
/**
 * Greylisting knows the address that has tried before, so that a retry is left to the relay of the last attempt. Another one takes it if that
 * relay is dead, or two minutes late. The database says at the claim who lives: what this relay knows of the others is some seconds old.
 */
export const LEFT_TO_OTHERS = 2 * MINUTE;
const IS_OURS = (row: string) =>
  `(${row}.tried_by IS NULL OR ${row}.tried_by = $5 OR ${row}.next_attempt <= $2 - ${LEFT_TO_OTHERS}
    OR ${row}.tried_by <> ALL(ARRAY(SELECT w.name FROM nodes w WHERE ${isLivingRelay('w')})))`;
/** The first rows choose the messages; then all other due recipients of these messages at the destination come with them. */
const CLAIM = `
  WITH first AS MATERIALIZED (
    SELECT message, n, next_attempt FROM recipients f WHERE destination = $1 AND next_attempt IS NOT NULL AND next_attempt <= $2
      AND ${IS_OURS('f')}
    ORDER BY next_attempt, message, n LIMIT $3 FOR UPDATE SKIP LOCKED
  ), more AS MATERIALIZED (
    SELECT r.message, r.n, r.state FROM recipients r WHERE r.message IN (SELECT message FROM first)
      AND r.destination = $1 AND r.next_attempt IS NOT NULL AND r.next_attempt <= $2
      AND ${IS_OURS('r')} FOR UPDATE SKIP LOCKED
  ), chosen AS (
    SELECT message, n, state, row_number() OVER (PARTITION BY message ORDER BY n) AS place FROM more
  )
  UPDATE recipients r SET state = ${ACTIVE}, next_attempt = NULL, owner = $4 FROM chosen c
  WHERE c.place <= ${MAX_RECIPIENTS} AND r.message = c.message AND r.n = c.n
  RETURNING c.state AS before, ${RECIPIENT_COLUMNS.split(', ')
    .map((name) => `r.${name}`)
    .join(', ')}, (SELECT min(f.next_attempt) FROM first f WHERE f.message = r.message) AS due_at`;
const CONTENT = `
  SELECT o.id, o.length, o.verify, o.spool, o.spool_size, o.spool_verify, c.bytes,
    (SELECT sum(octet_length(k.bytes))::bigint FROM chunks k WHERE k.spool = o.spool) AS stored
  FROM open o LEFT JOIN contents c ON c.message = o.id WHERE o.id = ANY($1::text[])`;

type Claimed = RecipientRow & { before: number; due_at: number };
type OpenRow = {
  id: string;
  length: number;
  verify: number;
  spool: string | null;
  spool_size: number | null;
  spool_verify: number | null;
  stored: number | null;
  bytes: Uint8Array<ArrayBuffer> | null;
};

async function claim(context: PostgresContext, argument: Argument<'claim'>): Promise<Result<'claim'>> {
  const { tx, effects, due } = context;
  const { destination, now, limit, lease } = argument;
  due.touch(destination);
  context.sign(lease);
  const rows = await tx.all<Claimed>(CLAIM, destination, now, limit, lease, context.machine);
  if (rows.length === 0) return [];
  const byMessage = new Map<string, Claimed[]>();
  for (const row of rows) byMessage.set(row.message, [...(byMessage.get(row.message) ?? []), row]);
  const ids = [...byMessage.keys()];
  const facts = tx.send<MessageRow>(`SELECT ${MESSAGE_COLUMNS} FROM messages WHERE id = ANY($1::text[])`, ids);
  const contents = tx.send<OpenRow>(CONTENT, ids);
  await tx.flush();
  const factsById = new Map((await facts).map((row) => [row.id, row]));
  const contentById = new Map((await contents).map((row) => [row.id, row]));
  const claims: { readonly at: number; readonly one: Result<'claim'>[number] }[] = [];
  for (const [id, recipients] of byMessage) {
    try {
      const content = contentOfRow(contentById.get(id));
      if (content === undefined) throw new DamagedEntry('its content is not in the database');
      const one = { message: factsOf(factsById.get(id)), recipients: recipients.map(intact), content };
      for (const { before } of recipients) effects.move(before, ACTIVE);
      claims.push({ at: recipients[0]!.due_at, one: { ...one, recipients: one.recipients.toSorted((a, b) => a.n - b.n) } });
    } catch (error) {
      if (!(error instanceof DamagedEntry)) throw error;
      for (const { before } of recipients) effects.move(before, ACTIVE); // as the statement above left it
      await setAsideRows(context, { id, reason: error.message });
    }
  }
  return claims.toSorted((a, b) => a.at - b.at || compare(a.one.message.id, b.one.message.id)).map(({ one }) => one);
}

function intact(row: Claimed) {
  if (!isIntactRecipient(row)) throw new DamagedEntry('a recipient does not match its checksum');
  return decodeRecipient({ ...row, state: ACTIVE, next_attempt: null });
}

function factsOf(row: MessageRow | undefined) {
  if (row === undefined) throw new DamagedEntry('its row is missing');
  if (!isIntact(row)) throw new DamagedEntry('its envelope does not match its checksum');
  return decodeFacts(row);
}

/** @returns undefined if the message has ended and has no content any more. @throws DamagedEntry */
function contentOfRow(row: OpenRow | undefined): ContentRow | undefined {
  if (row === undefined) return undefined;
  const { bytes } = row;
  if (bytes === null) throw new DamagedEntry('its content is not in the database');
  if (bytes.byteLength !== row.length || !isIntactContent(row.id, bytes, row.verify))
    throw new DamagedEntry('its content does not match its checksum');
  if (row.spool === null) return { bytes, spool: null };
  const spool = { name: row.spool, size: row.spool_size ?? 0, verify: row.spool_verify };
  if (row.stored !== spool.size)
    throw new DamagedEntry(`its body in chunks has ${row.stored ?? 0} bytes instead of ${spool.size}`);
  return { bytes, spool };
}

/** For people and reports. A damaged content gives undefined. */
export async function readContentRow(tx: DatabaseTransaction, id: string): Promise<ContentRow | undefined> {
  try {
    return contentOfRow(await tx.get<OpenRow>(CONTENT, [id]));
  } catch (error) {
    if (error instanceof DamagedEntry) return undefined;
    throw error;
  }
}

/** Holds what has not ended, with the reason. `release` tries again, `remove` gives up. */
async function setAsideRows(
  { tx, effects, due }: { tx: DatabaseTransaction; effects: Effects; due: DueChanges },
  a: Argument<'setAside'>,
): Promise<void> {
  const { id, reason } = a;
  type Found = { n: number; state: number; destination: string };
  const sql = `SELECT n, state, destination FROM recipients WHERE message = $1 AND (state < ${ENDED} OR state > ${REMOVED}) ORDER BY n FOR UPDATE`;
  const rows = await tx.all<Found>(sql, id);
  await tx.run(
    `UPDATE recipients r SET state = ${HELD}, next_attempt = NULL, owner = NULL, last_reply = $3 FROM unnest($2::int[]) AS c (n)
     WHERE r.message = $1 AND r.n = c.n`,
    ...[id, rows.map(({ n }) => n), `Set aside as damaged: ${reason}`],
  );
  for (const { state, destination } of rows) {
    effects.move(state, HELD);
    due.touch(destination);
  }
  // Walks through the queue use `open`. Without a row there, no operator would see the message again.
  await tx.run('INSERT INTO open (id, length, verify) VALUES ($1, 0, 0) ON CONFLICT DO NOTHING', id);
  effects.damaged.push({ id, reason });
}

export const claimOperations: OperationTable<'claim' | 'setAside' | 'content' | 'giveBack' | 'takeBack' | 'thaw'> = {
  claim: { kind: 'write', run: claim, transfer: (claims) => claims.map(({ content }) => content.bytes.buffer) },
  setAside: { kind: 'write', run: setAsideRows },
  content: {
    kind: 'read',
    run: ({ tx }, id) => readContentRow(tx, id),
    transfer: (content) => (content === undefined ? [] : [content.bytes.buffer]),
  },
  giveBack: {
    kind: 'write',
    run: (context, { lease, now }) => endLeases(context, now, 'r.owner = $1', lease),
  },
  takeBack: {
    kind: 'write',
    run: (context, { now }) => endLeases(context, now, `(r.owner IS NULL OR NOT EXISTS (${LIVING}))`),
  },
  thaw: {
    kind: 'write',
    async run({ tx, due }, { latest, now }) {
      const rows = await tx.all<{ destination: string }>(
        `UPDATE recipients r SET next_attempt = $2 FROM (
           SELECT message, n FROM recipients WHERE next_attempt > $1 ORDER BY message, n LIMIT ${STEP} FOR UPDATE) c
         WHERE r.message = c.message AND r.n = c.n RETURNING r.destination`,
        ...[latest, now],
      );
      for (const { destination } of rows) due.touch(destination);
      return { items: [rows.length], after: rows.length === STEP ? 'more' : null };
    },
  },
};

const STEP = 1000;
const LIVING = `SELECT 1 FROM owners w WHERE w.beat_at <> 0 AND w.name = regexp_replace(r.owner, '#[^#]*$', '')`;

/** Makes claimed recipients due at once, some at a time. */
async function endLeases({ tx, effects, due }: PostgresContext, now: number, over: string, lease?: string) {
  type Ended = { destination: string; state: number };
  const given = lease === undefined ? [now] : [lease, now];
  const rows = await tx.all<Ended>(
    `UPDATE recipients r SET state = CASE WHEN r.attempts > 0 THEN 1 ELSE 0 END, next_attempt = $${given.length}, owner = NULL FROM (
       SELECT r.message, r.n FROM open o JOIN recipients r ON r.message = o.id WHERE r.state = ${ACTIVE} AND ${over}
       ORDER BY r.message, r.n LIMIT ${STEP} FOR UPDATE OF r) c
     WHERE r.message = c.message AND r.n = c.n RETURNING r.destination, r.state`,
    ...given,
  );
  for (const { destination, state } of rows) {
    effects.move(ACTIVE, state);
    due.touch(destination);
  }
  return { items: [rows.length], after: rows.length === STEP ? 'more' : null };
}
