/** Stores one settlement: outcomes, next attempts, trace and news, in one transaction. */
import type { NewUntold, Settled } from '../message-store.ts';
import type { Shaping } from '../operation-store.ts';
import type { NewSuppression, SuppressionNews } from '../suppression.ts';
import type { Context } from './context.ts';
import { BYTES } from './effects.ts';
import { putShaping } from './operation-rows.ts';
import type { EncodedChange, Value } from './rows.ts';
import { ACTIVE, ENDED, HELD, RELAYED } from './states.ts';
import { noteSuppression } from './suppression-rows.ts';

type SettleArgument = {
  readonly id: string;
  /** null: the recipients are not claimed. */
  readonly lease: string | null;
  readonly at: number;
  readonly changes: readonly EncodedChange[];
  readonly untold: readonly NewUntold[];
  readonly shaping?: readonly Shaping[];
  readonly suppression?: readonly NewSuppression[];
};

/**
 * `stored`: the same settlement was stored before, and its answer was lost. `stays`: a command ended or held the recipient meanwhile.
 * `lost`: the recipient no longer has this lease.
 */
type Applied = 'changed' | 'stored' | 'stays' | 'lost';
type About = { readonly id: string; readonly lease: string | null; readonly at: number; readonly change: EncodedChange };

/** @returns null if all changes were stored and no report became due. This is the usual case, and null is the cheapest answer to send. */
export function settle(context: Context, argument: SettleArgument): Settled | null {
  const { id, lease, at, changes, untold, shaping = [] } = argument;
  let ended = false;
  const lost: number[] = [];
  const unchanged: number[] = [];
  const news: SuppressionNews[] = [];
  for (const change of changes) {
    const owed = untold.find(({ n }) => n === change[0]);
    const told = owed?.action === 'delayed' && isDelayReported(context, id, owed.n);
    const applied = applyChange(context, { id, lease, at, change });
    if (applied === 'stays' || applied === 'lost') unchanged.push(change[0]);
    if (applied === 'lost') lost.push(change[0]);
    if (owed !== undefined && !told && applied === 'changed') insertUntold(context, id, owed);
    ended ||= change[1] >= ENDED;
    const noted = applied === 'changed' ? argument.suppression?.find(({ n }) => n === change[0]) : undefined;
    const heard = noted === undefined ? undefined : noteSuppression(context, noted);
    if (heard !== undefined) news.push(heard);
  }
  for (const row of shaping) putShaping(context, row);
  // A closed message has no news left, so that no report of it is waiting.
  const closed = ended && closeEnded(context, id);
  const reportDue = !closed && endCollecting(context, id, at);
  if (unchanged.length === 0 && !reportDue && news.length === 0) return null;
  return { unchanged, lost, reportDue, ...(news.length > 0 && { suppression: news }) };
}

const UPDATE = `
  UPDATE recipients SET state = ?, next_attempt = ?, owner = NULL, attempts = attempts + ?, excused = excused + ?,
    last_reply = coalesce(?, last_reply), delay_reported = coalesce(?, delay_reported), held_by = ?
  WHERE message = ? AND n = ? AND state = ?`;
const UPDATE_CLAIMED = `${UPDATE} AND owner = ?`;

/** Needs one statement if the recipient has the lease, which is the usual case. */
function applyChange(context: Context, about: About): Applied {
  const { lease } = about;
  if (lease !== null && update(context, about, ACTIVE, [lease])) return 'changed';
  return applyToOther(context, about);
}

/** @param held the lease that the recipient must have; empty: any lease. @returns true if the recipient was changed. */
function update(context: Context, { id, at, change }: About, was: number, held: readonly string[]): boolean {
  const [n, state, nextAttempt, lastReply, delayReported, attempt, excused, heldBy] = change;
  if (state < 0 || state === ACTIVE) throw new TypeError(`settle: no recipient is set to state ${state}`);
  const next = state < ACTIVE ? (nextAttempt ?? at) : null;
  // SQLite keeps what a statement returns in a table of its own, which takes as long as the change itself.
  const { changes } = context.db.run(
    held.length > 0 ? UPDATE_CLAIMED : UPDATE,
    state,
    next,
    attempt === null ? 0 : 1,
    excused,
    lastReply,
    delayReported,
    heldBy,
    id,
    n,
    was,
    ...held,
  );
  if (changes === 0) return false;
  context.effects.move(was, state);
  if (was < ACTIVE || next !== null) touchDestination(context, id, n);
  if (attempt !== null) insertAttempt(context, id, n, attempt);
  return true;
}

/** The recipient does not have the lease: a command ended or held it, it was taken back, or the caller gave no lease. */
function applyToOther(context: Context, about: About): Applied {
  const { id, lease, change } = about;
  const [n, state, , , , attempt] = change;
  const row = context.db.get<{ state: number }>('SELECT state FROM recipients WHERE message = ? AND n = ?', id, n);
  if (row === undefined) return 'stays';
  const recorded = isRecorded(context, about);
  if (row.state === state && recorded) return 'stored';
  const parked = row.state >= ENDED || (row.state === HELD && state < ENDED);
  // Relayed mail has left. It must not be sent again, whichever lease the recipient has.
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

/** Adds the attempt to the trace, although it no longer changes the recipient. */
function recordOnly(context: Context, id: string, n: number, attempt: readonly Value[]): void {
  const { changes } = context.db.run('UPDATE recipients SET attempts = attempts + 1 WHERE message = ? AND n = ?', id, n);
  if (changes > 0) insertAttempt(context, id, n, attempt);
}

/** The attempt that the recipient has counted last. @param values the columns from `at` on. */
function insertAttempt({ db }: Context, id: string, n: number, values: readonly Value[]): void {
  db.run(
    `INSERT INTO attempts SELECT message, n, attempts, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
     FROM recipients WHERE message = ? AND n = ?`,
    ...values,
    id,
    n,
  );
}

function touchDestination({ db, due }: Context, id: string, n: number): void {
  const sql = 'SELECT destination FROM recipients WHERE message = ? AND n = ?';
  due.touch(db.get<{ destination: string }>(sql, id, n)!.destination);
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

/** Makes a report due now if no other recipient of the message can end or be tried before `collectUntil`. */
const END_COLLECTING = `
  UPDATE untold SET due_at = ?1 WHERE message = ?2 AND summary = 0 AND due_at > ?1 AND due_at < coalesce(
    (SELECT min(CASE WHEN state = ${ACTIVE} THEN 0 ELSE next_attempt END) FROM recipients
     WHERE message = ?2 AND state <= ${ACTIVE}), ${Number.MAX_SAFE_INTEGER})`;

/** @returns true if a report became due. */
function endCollecting({ db }: Context, id: string, at: number): boolean {
  return db.run(END_COLLECTING, at, id).changes > 0;
}

/** One statement checks whether the message has ended, and removes its row. */
const CLOSE_ENDED = `
  DELETE FROM open WHERE id = ?1
    AND NOT EXISTS (SELECT 1 FROM recipients WHERE message = ?1 AND state < ${ENDED})
    AND NOT EXISTS (SELECT 1 FROM untold WHERE message = ?1 AND summary = 0)
  RETURNING content, length, spool`;

/**
 * Removes the content of a message when its last recipient has ended and its sender was told, because a report may quote the content.
 * @returns true if it was removed now.
 */
export function closeEnded({ db, effects }: Context, id: string): boolean {
  const row = db.get<{ content: number; length: number; spool: string | null }>(CLOSE_ENDED, id);
  if (row === undefined) return false;
  db.run('DELETE FROM contents WHERE key = ?', row.content);
  effects.count(BYTES, -row.length);
  if (row.spool !== null) effects.unlink.push(row.spool);
  return true;
}
