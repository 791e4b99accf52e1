/** Maintenance: removes old trace, gives free pages back, and checks the counters and bodies at start. */
import { readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { checkSpool } from './claim.ts';
import type { Context } from './context.ts';
import { DamagedEntry, setAside } from './damage.ts';
import { BYTES } from './effects.ts';
import { isSpoolName } from './spool.ts';
import { ACTIVE, ENDED, REMOVED } from './states.ts';

const STEP_MESSAGES = 500;
/** The free pages that are kept for new mail (32 MiB), and the pages that one step gives back. */
const KEEP_FREE_PAGES = 2048;
const STEP_PAGES = 256;

type TrimArgument = { readonly before: number; readonly maxSize: number; readonly after: string };
type TrimReply = { readonly removed: number; readonly after: string | null };

/** Removes ended messages, the oldest first, until the rest is young enough and the trace is small enough. */
export function trim(context: Context, { before, maxSize, after }: TrimArgument): TrimReply {
  const tooLarge = traceSize(context) > maxSize;
  const rows = context.db.all<{ id: string; accepted_at: number; is_open: number }>(
    `SELECT m.id, m.accepted_at, EXISTS (SELECT 1 FROM open o WHERE o.id = m.id)
       OR EXISTS (SELECT 1 FROM untold u WHERE u.message = m.id) AS is_open
     FROM messages m WHERE m.id > ? ORDER BY m.id LIMIT ?`,
    after,
    STEP_MESSAGES,
  );
  let removed = 0;
  for (const row of rows) {
    if (!tooLarge && row.accepted_at >= before) return { removed, after: null };
    if (row.is_open === 0) removed += forget(context, row.id);
  }
  return { removed, after: rows.at(-1)?.id ?? null };
}

function forget({ db }: Context, id: string): number {
  db.run('DELETE FROM attempts WHERE message = ?', id);
  const states = db.all<{ state: number }>('DELETE FROM recipients WHERE message = ? RETURNING state', id);
  db.run('DELETE FROM messages WHERE id = ?', id);
  return states.length > 0 ? 1 : 0;
}

/** The bytes in use, without bodies. The rows of the queue count too, because they become trace. */
function traceSize({ db }: Context): number {
  const used = number(db, 'page_count') - number(db, 'freelist_count');
  const bodies = db.get<{ value: number }>('SELECT value FROM counters WHERE name = ?', BYTES)?.value ?? 0;
  return used * number(db, 'page_size') - bodies;
}

function number(db: Context['db'], pragma: string): number {
  return db.get<Record<string, number>>(`PRAGMA ${pragma}`)?.[pragma] ?? 0;
}

/** @returns true if more pages can be given back. */
export function giveBackPages({ db }: Context): boolean {
  const free = number(db, 'freelist_count');
  const spare = free - KEEP_FREE_PAGES;
  if (spare <= 0) return false;
  db.exec(`PRAGMA incremental_vacuum(${Math.min(spare, STEP_PAGES)})`);
  // A database that another program made, such as a recovery, may not have incremental vacuum.
  return spare > STEP_PAGES && number(db, 'freelist_count') < free;
}

/**
 * Runs at start. It counts the counters again from the rows, compares the index of due recipients with its table, and sets aside messages
 * whose rows contradict each other, because no attempt would ever find them.
 */
export function recount(context: Context): void {
  const { db, effects } = context;
  for (const { id } of db.all<{ id: string }>(CONTRADICTIONS))
    setAside(context, { id, reason: 'a recipient has a state that cannot be' });
  let states = countStates(context);
  const waiting = states.reduce((sum, state) => sum + state.waiting, 0);
  if (mendDueIndex(context, waiting)) states = countStates(context);
  db.run('DELETE FROM counters');
  for (const { state, count } of states) if (state < ENDED) db.run('INSERT INTO counters VALUES (?, ?)', `s${state}`, count);
  db.run('INSERT INTO counters SELECT ?, coalesce(sum(length), 0) FROM open', BYTES);
  effects.counters.clear(); // the counts above include what was set aside
}

function countStates({ db }: Context): { state: number; count: number; waiting: number }[] {
  return db.all(
    `SELECT r.state, count(*) AS count, count(r.next_attempt) AS waiting
     FROM open o CROSS JOIN recipients r ON r.message = o.id GROUP BY r.state`,
  );
}

const CONTRADICTIONS = `
  SELECT DISTINCT o.id FROM open o CROSS JOIN recipients r ON r.message = o.id
  WHERE r.state NOT BETWEEN 0 AND ${REMOVED} OR (r.state < ${ACTIVE}) <> (r.next_attempt IS NOT NULL)`;

/** If the index has entries without a row in `open`, these messages are set aside. Otherwise the index is wrong, and is made again. */
function mendDueIndex(context: Context, waiting: number): boolean {
  const { db, effects } = context;
  const indexed = db.get<{ n: number }>(
    'SELECT count(*) AS n FROM recipients INDEXED BY recipients_due WHERE next_attempt IS NOT NULL',
  )?.n;
  if (indexed === waiting) return false;
  const lost = db.all<{ id: string }>(LOST);
  for (const { id } of lost) setAside(context, { id, reason: 'its content is not in the database' });
  if (lost.length > 0) return true;
  db.exec('REINDEX recipients_due');
  effects.damaged.push({ id: '', reason: `the index of due recipients had ${indexed} of ${waiting} entries and was made anew` });
  return true;
}

const LOST = `
  SELECT DISTINCT message AS id FROM recipients r INDEXED BY recipients_due
  WHERE next_attempt IS NOT NULL AND NOT EXISTS (SELECT 1 FROM open o WHERE o.id = r.message)`;

/**
 * Runs at start. It sets aside messages whose body is missing or cut short, and removes files that no message names. Another process may
 * store a message at the same time. The transaction makes this safe: either its row is seen here, or it finds its file missing and rejects.
 */
export function checkSpooled(context: Context): void {
  const rows = context.db.all<{ id: string; name: string; size: number }>(
    'SELECT id, spool AS name, spool_size AS size FROM open WHERE spool IS NOT NULL',
  );
  for (const row of rows) {
    try {
      checkSpool(context.spoolDir, row);
    } catch (error) {
      if (!(error instanceof DamagedEntry)) throw error;
      setAside(context, { id: row.id, reason: error.message });
    }
  }
  const needed = new Set(rows.map(({ name }) => name));
  for (const name of readdirSync(context.spoolDir)) if (isSpoolName(name) && !needed.has(name)) remove(context.spoolDir, name);
}

function remove(directory: string, name: string): void {
  try {
    unlinkSync(join(directory, name));
  } catch {
    // The next start tries again.
  }
}
