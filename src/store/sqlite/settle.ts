/** Outcomes, next attempts, trace and what must be told of one settlement, in one transaction. */
import type { NewUntold, Settled } from '../message-store.ts';
import type { Context } from './context.ts';
import { BYTES } from './effects.ts';
import type { EncodedChange, Value } from './rows.ts';
import { ACTIVE, ENDED, HELD } from './states.ts';

export type SettleArgument = {
  readonly id: string;
  readonly at: number;
  readonly changes: readonly EncodedChange[];
  readonly untold: readonly NewUntold[];
};

/** `stored`: this very settlement was stored before, and its answer was lost. `stays`: somebody ended or parked it meanwhile. */
type Applied = 'changed' | 'stored' | 'stays';

export function settle(context: Context, { id, at, changes, untold }: SettleArgument): Settled {
  let ended = false;
  const unchanged: number[] = [];
  for (const change of changes) {
    const owed = untold.find(({ n }) => n === change[0]);
    const told = owed?.action === 'delayed' && isDelayReported(context, id, owed.n);
    const applied = applyChange(context, { id, at, change });
    if (applied === 'stays') unchanged.push(change[0]);
    if (owed !== undefined && !told && applied === 'changed') insertUntold(context, id, owed);
    ended ||= change[1] >= ENDED;
  }
  const reportDue = endCollecting(context, id, at);
  if (ended) closeEnded(context, id);
  return { unchanged, reportDue };
}

const UPDATE = `
  UPDATE recipients SET state = ?, next_attempt = ?, owner = NULL, attempts = attempts + ?, excused = excused + ?,
    last_reply = coalesce(?, last_reply), delay_reported = coalesce(?, delay_reported)
  WHERE message = ? AND n = ? AND state = ? RETURNING attempts, destination`;

/** One statement where the recipient is leased, as nearly always. */
function applyChange(context: Context, about: { id: string; at: number; change: EncodedChange }, was = ACTIVE): Applied {
  const { id, at, change } = about;
  const [n, state, nextAttempt, lastReply, delayReported, attempt, excused] = change;
  if (state < 0 || state === ACTIVE) throw new TypeError(`settle: no recipient is set to state ${state}`);
  const next = state < ACTIVE ? (nextAttempt ?? at) : null;
  const row = context.db.get<{ attempts: number; destination: string }>(
    UPDATE,
    state,
    next,
    attempt === null ? 0 : 1,
    excused,
    lastReply,
    delayReported,
    id,
    n,
    was,
  );
  if (row === undefined) return was === ACTIVE ? applyToOther(context, about) : 'stays';
  context.effects.move(was, state);
  if (was < ACTIVE || next !== null) context.due.touch(row.destination);
  if (attempt !== null) insertAttempt(context, id, n, [row.attempts, ...attempt]);
  return 'changed';
}

/** Not leased: ended or parked by a command meanwhile, or settled without a lease. */
function applyToOther(context: Context, about: { id: string; at: number; change: EncodedChange }): Applied {
  const { id, change } = about;
  const [n, state, , , , attempt] = change;
  const row = context.db.get<{ state: number }>('SELECT state FROM recipients WHERE message = ? AND n = ?', id, n);
  if (row === undefined) return 'stays';
  if (row.state === state && isRecorded(context, about)) return 'stored';
  const stays = row.state >= ENDED || (row.state === HELD && state < ENDED);
  if (!stays) return applyChange(context, about, row.state);
  if (attempt !== null) recordOnly(context, id, n, attempt);
  return 'stays';
}

function isRecorded({ db }: Context, { id, change: [n, , , , , attempt] }: { id: string; change: EncodedChange }): boolean {
  if (attempt === null) return false;
  return db.get('SELECT 1 FROM attempts WHERE message = ? AND n = ? AND at = ?', id, n, attempt[0]!) !== undefined;
}

/** What was tried belongs in the trace, also where it changes nothing any more. */
function recordOnly(context: Context, id: string, n: number, attempt: readonly Value[]): void {
  const row = context.db.get<{ attempts: number }>(
    'UPDATE recipients SET attempts = attempts + 1 WHERE message = ? AND n = ? RETURNING attempts',
    id,
    n,
  );
  if (row !== undefined) insertAttempt(context, id, n, [row.attempts, ...attempt]);
}

function insertAttempt({ db }: Context, id: string, n: number, values: readonly Value[]): void {
  db.run('INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)', id, n, ...values);
}

function isDelayReported({ db }: Context, id: string, n: number): boolean {
  return db.get('SELECT 1 FROM recipients WHERE message = ? AND n = ? AND delay_reported <> 0', id, n) !== undefined;
}

function insertUntold({ db }: Context, id: string, { n, action, reply, mx, ip, at, collectUntil }: NewUntold): void {
  db.run(
    `INSERT OR IGNORE INTO untold (message, n, action, sender, at, due_at, reply, mx, ip)
     SELECT id, ?, ?, reverse_path, ?, ?, ?, ?, ? FROM messages WHERE id = ?`,
    n,
    action,
    at,
    collectUntil,
    JSON.stringify(reply),
    mx ?? null,
    ip ?? null,
    id,
  );
}

/** Due now where no recipient of the message can end, or be tried, before the time for collecting is over. */
const END_COLLECTING = `
  UPDATE untold SET due_at = ?1 WHERE message = ?2 AND summary = 0 AND due_at > ?1 AND due_at < coalesce(
    (SELECT min(CASE WHEN state = ${ACTIVE} THEN 0 ELSE next_attempt END) FROM recipients
     WHERE message = ?2 AND state <= ${ACTIVE}), ${Number.MAX_SAFE_INTEGER})`;

/** @returns whether something became due. */
function endCollecting({ db }: Context, id: string, at: number): boolean {
  return db.run(END_COLLECTING, at, id).changes > 0;
}

/** The last recipient of a message takes its content along, once the sender knows: a report may quote it. */
export function closeEnded({ db, effects }: Context, id: string): void {
  if (db.get('SELECT 1 FROM recipients WHERE message = ? AND state < ? LIMIT 1', id, ENDED) !== undefined) return;
  if (db.get('SELECT 1 FROM untold WHERE message = ? AND summary = 0 LIMIT 1', id) !== undefined) return;
  const row = db.get<{ content: number; length: number; spool: string | null }>(
    'DELETE FROM open WHERE id = ? RETURNING content, length, spool',
    id,
  );
  if (row === undefined) return;
  db.run('DELETE FROM contents WHERE key = ?', row.content);
  effects.count(BYTES, -row.length);
  if (row.spool !== null) effects.unlink.push(row.spool);
}
