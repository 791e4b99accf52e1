/**
 * The format of a backup. It is one SQLite file with the tables of the store, `backup_spool` with the large bodies in pieces, and
 * `backup_facts` with the counts for the check. It has another application id, so that it is never opened as a store.
 */
import { DatabaseSync } from 'node:sqlite';
import { StoreError } from '../opening.ts';
import type { SqliteError } from './database.ts';
import { MIGRATIONS } from './schema.ts';
import { ENDED, HELD } from './states.ts';

/** "SmHB" */
export const BACKUP_ID = 0x536d4842;
/** The bytes of a large body in one row. */
export const PIECE = 1024 * 1024;

export const BACKUP_TABLES = `
  CREATE TABLE backup_spool (name TEXT NOT NULL, n INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (name, n)) WITHOUT ROWID;
  CREATE TABLE backup_facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID`;

/** Counted before and after the copy, so that no row is lost. `waiting`: messages that have not ended, held ones included. */
export type BackupCounts = {
  readonly messages: number;
  readonly waiting: number;
  readonly recipients: number;
  readonly users: number;
  readonly keys: number;
  readonly certificates: number;
};

const COUNTS: Readonly<Record<keyof BackupCounts, string>> = {
  messages: 'SELECT count(*) AS n FROM messages',
  waiting: 'SELECT count(*) AS n FROM open',
  recipients: 'SELECT count(*) AS n FROM recipients',
  users: 'SELECT count(*) AS n FROM credentials',
  keys: 'SELECT count(*) AS n FROM dkim_keys',
  certificates: 'SELECT count(*) AS n FROM certificates',
};

export function countAll(db: DatabaseSync): BackupCounts {
  const counted = Object.entries(COUNTS).map(([name, sql]) => [name, number(db, sql)]);
  return Object.fromEntries(counted) as BackupCounts;
}

export function number(db: DatabaseSync, sql: string): number {
  return Number(Object.values(db.prepare(sql).get() ?? {})[0] ?? 0);
}

/** Reads every page of the backup, and compares its counts with `backup_facts`. @throws StoreError */
export function verifyBackup(path: string, name = path): BackupCounts {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { readOnly: true });
    if (number(db, 'PRAGMA application_id') !== BACKUP_ID) throw new StoreError(`${name} is not a backup of smarthost`);
    const version = number(db, 'PRAGMA user_version');
    if (version > MIGRATIONS.length)
      throw new StoreError(
        `${name} was written by a newer smarthost (format ${version}, this one knows ${MIGRATIONS.length}): install that version first`,
      );
    return judge(db, name);
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw new StoreError(`${name} is not a backup of smarthost, or damaged: ${(cause as SqliteError).message}`, { cause });
  } finally {
    db?.close();
  }
}

function judge(db: DatabaseSync, name: string): BackupCounts {
  const [check] = Object.values(db.prepare('PRAGMA quick_check(1)').get() ?? {});
  if (check !== 'ok') throw new StoreError(`${name} is damaged: ${check}`);
  const counts = countAll(db);
  const facts = db.prepare('SELECT name, value FROM backup_facts').all() as { name: string; value: number }[];
  const spooled = number(db, 'SELECT coalesce(sum(length(bytes)), 0) FROM backup_spool');
  for (const [what, found] of Object.entries({ ...counts, spooled })) {
    const wanted = facts.find((fact) => fact.name === what)?.value;
    if (wanted !== found) throw new StoreError(`${name} is damaged: it holds ${found} ${what} instead of ${wanted}`);
  }
  return counts;
}

/** Holds all waiting mail, because mail that was sent after the backup would be sent again. Sets the counters too. */
export function holdAll(db: DatabaseSync): void {
  db.exec(`
    UPDATE recipients SET state = ${HELD}, next_attempt = NULL, owner = NULL
      WHERE state < ${ENDED} AND message IN (SELECT id FROM open);
    DELETE FROM counters WHERE name LIKE 's_';
    INSERT INTO counters SELECT 's' || r.state, count(*) FROM open o CROSS JOIN recipients r ON r.message = o.id
      WHERE r.state < ${ENDED} GROUP BY r.state`);
  const hasUntold = number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'untold'") > 0;
  if (hasUntold) db.exec('UPDATE untold SET held = 1');
}
