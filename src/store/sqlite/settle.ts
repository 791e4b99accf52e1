/** Outcomes, next attempts, trace and what must be told of one settlement, in one transaction. */
import type { NewUntold, Settled } from '../message-store.ts';
import type { Context } from './context.ts';
import { BYTES } from './effects.ts';
import type { EncodedChange, Value } from './rows.ts';
import { ACTIVE, ENDED, HELD, RELAYED } from './states.ts';

type SettleArgument = {
  readonly id: string;
  /** null: nobody has claimed them. */
  readonly lease: string | null;
  readonly at: number;
  readonly changes: readonly EncodedChange[];
  readonly untold: readonly NewUntold[];
};

/**
 * `stored`: this very settlement was stored before, and its answer was lost. `stays`: somebody ended or parked it meanwhile.
 * `lost`: the recipient is no longer claimed by this lease.
 */
type Applied = 'changed' | 'stored' | 'stays' | 'lost';
type About = { readonly id: string; readonly lease: string | null; readonly at: number; readonly change: EncodedChange };

/** @returns null where all is as it was asked for and nothing became due, as nearly always: nothing is cheaper to hand over. */
export function settle(context: Context, { id, lease, at, changes, untold }: SettleArgument): Settled | null {
  let ended = false;
  const lost: number[] = [];
  const unchanged: number[] = [];
  for (const change of changes) {
    const owed = untold.find(({ n }) => n === change[0]);
    const told = owed?.action === 'delayed' && isDelayReported(context, id, owed.n);
    const applied = applyChange(context, { id, lease, at, change });
    if (applied === 'stays' || applied === 'lost') unchanged.push(change[0]);
    if (applied === 'lost') lost.push(change[0]);
    if (owed !== undefined && !told && applied === 'changed') insertUntold(context, id, owed);
    ended ||= change[1] >= ENDED;
  }
  // What is closed has nothing untold, so nothing of it is being collected.
  const closed = ended && closeEnded(context, id);
  const reportDue = !closed && endCollecting(context, id, at);
  return unchanged.length === 0 && !reportDue ? null : { unchanged, lost, reportDue };
}

const UPDATE = `
  UPDATE recipients SET state = ?, next_attempt = ?, owner = NULL, attempts = attempts + ?, excused = excused + ?,
    last_reply = coalesce(?, last_reply), delay_reported = coalesce(?, delay_reported)
  WHERE message = ? AND n = ? AND state = ?`;
const RETURNING = ' RETURNING attempts, destination';
const UPDATE_CLAIMED = `${UPDATE} AND owner = ?${RETURNING}`;
const UPDATE_ANY = UPDATE + RETURNING;

/** One statement where the recipient is held by the lease, as nearly always. */
function applyChange(context: Context, about: About): Applied {
  const { lease } = about;
  if (lease !== null && update(context, about, ACTIVE, [lease])) return 'changed';
  return applyToOther(context, about);
}

/** @param held the lease that it must be held by; empty: whoever holds it. @returns whether it was so. */
function update(context: Context, { id, at, change }: About, was: number, held: readonly string[]): boolean {
  const [n, state, nextAttempt, lastReply, delayReported, attempt, excused] = change;
  if (state < 0 || state === ACTIVE) throw new TypeError(`settle: no recipient is set to state ${state}`);
  const next = state < ACTIVE ? (nextAttempt ?? at) : null;
  const row = context.db.get<{ attempts: number; destination: string }>(
    held.length > 0 ? UPDATE_CLAIMED : UPDATE_ANY,
    state,
    next,
    attempt === null ? 0 : 1,
    excused,
    lastReply,
    delayReported,
    id,
    n,
    was,
    ...held,
  );
  if (row === undefined) return false;
  context.effects.move(was, state);
  if (was < ACTIVE || next !== null) context.due.touch(row.destination);
  if (attempt !== null) insertAttempt(context, id, n, [row.attempts, ...attempt]);
  return true;
}

/** Not held by the lease: ended or parked by a command meanwhile, taken back, or claimed by nobody as the caller says. */
function applyToOther(context: Context, about: About): Applied {
  const { id, lease, change } = about;
  const [n, state, , , , attempt] = change;
  const row = context.db.get<{ state: number }>('SELECT state FROM recipients WHERE message = ? AND n = ?', id, n);
  if (row === undefined) return 'stays';
  const recorded = isRecorded(context, about);
  if (row.state === state && recorded) return 'stored';
  const parked = row.state >= ENDED || (row.state === HELD && state < ENDED);
  // The mail that was relayed has left: whoever holds it, nobody should send it again.
  const fenced = state !== RELAYED && (lease === null ? row.state === ACTIVE : row.state <= ACTIVE);
  if (!parked && !fenced) return update(context, about, row.state, []) ? 'changed' : 'stays';
  if (attempt !== null && !recorded) recordOnly(context, id, n, attempt);
  return parked ? 'stays' : 'lost';
}

function isRecorded({ db }: Context, { id, change: [n, , , , , attempt] }: { id: string; change: EncodedChange }): boolean {
  if (attempt === null) return false;
  const [at, , , , outcome] = attempt as readonly [Value, Value, Value, Value, Value];
  const sql = 'SELECT 1 FROM attempts WHERE message = ? AND n = ? AND at = ? AND outcome = ?';
  return db.get(sql, id, n, at, outcome) !== undefined;
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
  db.run('INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)', id, n, ...values);
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

/** One statement says whether it has ended, and ends it. */
const CLOSE_ENDED = `
  DELETE FROM open WHERE id = ?1
    AND NOT EXISTS (SELECT 1 FROM recipients WHERE message = ?1 AND state < ${ENDED})
    AND NOT EXISTS (SELECT 1 FROM untold WHERE message = ?1 AND summary = 0)
  RETURNING content, length, spool`;

/**
 * The last recipient of a message takes its content along, once the sender knows: a report may quote it.
 * @returns whether it went now.
 */
export function closeEnded({ db, effects }: Context, id: string): boolean {
  const row = db.get<{ content: number; length: number; spool: string | null }>(CLOSE_ENDED, id);
  if (row === undefined) return false;
  db.run('DELETE FROM contents WHERE key = ?', row.content);
  effects.count(BYTES, -row.length);
  if (row.spool !== null) effects.unlink.push(row.spool);
  return true;
}
