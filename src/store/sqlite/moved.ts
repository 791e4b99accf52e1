/** The mark of a store in files whose data were carried elsewhere. A store with this mark is never opened. */
import { existsSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { SECOND } from '../../system/clock.ts';
import { StoreError } from '../opening.ts';
import { countAll, number } from './backup-file.ts';
import { type Database, isCorrupt } from './database.ts';
import { MOVED_ID } from './schema.ts';

/** `to`: where the data are now. */
type Move = { readonly move: string; readonly to: string };

/** Ends the open transaction. @throws StoreError if the mark is not on the disk. */
export function markMoved(db: Database, move: Move): void {
  db.run('INSERT OR REPLACE INTO small_values VALUES (?, ?)', 'moved.to', JSON.stringify(move));
  db.exec(`PRAGMA application_id = ${MOVED_ID}; COMMIT`);
}

/** @param which `to`: the mark of a store that is closed for ever. `from`: the move that made this store. */
export function moveOf(path: string, which: 'to' | 'from' = 'to'): Move | undefined {
  if (!existsSync(path)) return undefined;
  return withFile(path, (db) => {
    if (which === 'to' && number(db, 'PRAGMA application_id') !== MOVED_ID) return undefined;
    if (number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'small_values'") === 0) return undefined;
    const row = db.prepare('SELECT value FROM small_values WHERE name = ?').get(`moved.${which}`);
    return row === undefined ? undefined : (JSON.parse(String(row['value'])) as Move);
  });
}

/** True if a store with this path has data that are nowhere else. */
export function usedRows(path: string): boolean {
  if (!existsSync(path) || moveOf(path) !== undefined) return false;
  return withFile(path, (db) => {
    if (number(db, 'SELECT count(*) FROM sqlite_schema') === 0) return false;
    return Object.values(countAll(db)).some((count) => count > 0);
  });
}

function withFile<T>(path: string, run: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(path, { readOnly: true, timeout: SECOND });
  try {
    return run(db);
  } catch (cause) {
    throw new StoreError(`${path} cannot be read: ${(cause as Error).message}`, { cause });
  } finally {
    db.close();
  }
}

/** Removes the log of an old store, so that SQLite never applies it to the one that gets its name. */
export function removeLog(path: string): void {
  if (!existsSync(path)) return;
  const old = new DatabaseSync(path, { timeout: SECOND });
  try {
    old.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE');
  } catch (cause) {
    if (!isCorrupt(cause)) throw new StoreError(`${path} is in use by another command: wait until it has ended`, { cause });
  } finally {
    old.close();
  }
  for (const end of ['-wal', '-shm', '-journal']) rmSync(path + end, { force: true });
}
