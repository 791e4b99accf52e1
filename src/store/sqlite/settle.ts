/** Outcomes, next attempts, trace and reports of one settlement, in one transaction. */
import { insertReport } from './accept.ts';
import type { Context } from './context.ts';
import { BYTES } from './effects.ts';
import type { EncodedChange, EncodedMessage, Value } from './rows.ts';
import { ACTIVE, ENDED, HELD } from './states.ts';

export type SettleArgument = {
  readonly id: string;
  readonly at: number;
  readonly changes: readonly EncodedChange[];
  readonly reports: readonly EncodedMessage[];
};

/** @returns the recipients that stayed as they were; what nobody waits for any more needs no report either. */
export function settle(context: Context, { id, at, changes, reports }: SettleArgument): readonly number[] {
  let ended = false;
  const unchanged: number[] = [];
  for (const change of changes) {
    if (!applyChange(context, { id, at, change })) unchanged.push(change[0]);
    ended ||= change[1] >= ENDED;
  }
  if (ended) closeEnded(context, id);
  if (unchanged.length < changes.length) for (const report of reports) insertReport(context, report);
  return unchanged;
}

const UPDATE = `
  UPDATE recipients SET state = ?, next_attempt = ?, owner = NULL, attempts = attempts + ?,
    last_reply = coalesce(?, last_reply), delay_reported = coalesce(?, delay_reported)
  WHERE message = ? AND n = ? AND state = ? RETURNING attempts, destination`;

/** One statement where the recipient is leased, as nearly always. @returns whether it changed. */
function applyChange(context: Context, about: { id: string; at: number; change: EncodedChange }, was = ACTIVE): boolean {
  const { id, at, change } = about;
  const [n, state, nextAttempt, lastReply, delayReported, attempt] = change;
  if (state < 0 || state === ACTIVE) throw new TypeError(`settle: no recipient is set to state ${state}`);
  const next = state < ACTIVE ? (nextAttempt ?? at) : null;
  const row = context.db.get<{ attempts: number; destination: string }>(
    UPDATE,
    state,
    next,
    attempt === null ? 0 : 1,
    lastReply,
    delayReported,
    id,
    n,
    was,
  );
  if (row === undefined) return was === ACTIVE && applyToOther(context, about);
  context.effects.move(was, state);
  if (was < ACTIVE || next !== null) context.due.touch(row.destination);
  if (attempt !== null) insertAttempt(context, id, n, [row.attempts, ...attempt]);
  return true;
}

/** Not leased: ended or parked by a command meanwhile, or settled without a lease. */
function applyToOther(context: Context, about: { id: string; at: number; change: EncodedChange }): boolean {
  const { id, change } = about;
  const [n, state, , , , attempt] = change;
  const row = context.db.get<{ state: number }>('SELECT state FROM recipients WHERE message = ? AND n = ?', id, n);
  if (row === undefined) return false;
  if (row.state === state && isRecorded(context, about)) return true;
  const stays = row.state >= ENDED || (row.state === HELD && state < ENDED);
  if (!stays) return applyChange(context, about, row.state);
  if (attempt !== null) recordOnly(context, id, n, attempt);
  return false;
}

/** This very settlement was stored before, and its answer was lost. */
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

/** The last recipient of a message takes its content along. */
export function closeEnded({ db, effects }: Context, id: string): void {
  if (db.get('SELECT 1 FROM recipients WHERE message = ? AND state < ? LIMIT 1', id, ENDED) !== undefined) return;
  const row = db.get<{ content: number; length: number; spool: string | null }>(
    'DELETE FROM open WHERE id = ? RETURNING content, length, spool',
    id,
  );
  if (row === undefined) return;
  db.run('DELETE FROM contents WHERE key = ?', row.content);
  effects.count(BYTES, -row.length);
  if (row.spool !== null) effects.unlink.push(row.spool);
}
