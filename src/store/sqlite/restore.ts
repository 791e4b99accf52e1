/**
 * Makes a backup the store of a data directory that no process uses. The new store is prepared beside the old one, with new names for
 * the bodies, and replaces it by one rename. A failure or a crash before the rename does not change the old store; the next start
 * removes the remaining files.
 */
import { randomInt } from 'node:crypto';
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pipeline } from 'node:stream/promises';
import { NODES } from '../../smtp/queue-id.ts';
import { SECOND } from '../../system/clock.ts';
import { DATABASE_FILE, SPOOL_DIR, syncDirectory } from '../embedded/data-dir.ts';
import { lockInstance } from '../embedded/instance-lock.ts';
import { StoreError } from '../opening.ts';
import { type BackupCounts, countAll, holdAll, number, verifyBackup } from './backup-file.ts';
import { openDatabase, resultCode, SQLITE_FULL, type SqliteError } from './database.ts';
import { removeLog } from './moved.ts';
import { APPLICATION_ID } from './schema.ts';
import { isSpoolName, newSpoolName } from './spool.ts';
import { HELD } from './states.ts';

export type RestoreRequest = {
  readonly dataDir: string;
  /** The backup, open for reading. It may belong to another user than the data. */
  readonly source: FileHandle;
  /** The name of the backup in messages. */
  readonly name: string;
  /** Replaces a store that is not empty. */
  readonly force: boolean;
};

export type Restored = BackupCounts & {
  /** The messages and recipients that wait for `queue release`. */
  readonly held: { readonly messages: number; readonly recipients: number };
};

/** See `StoreFiles`. */
export async function restoreStore({ dataDir, source, name, force }: RestoreRequest): Promise<Restored> {
  const lock = await lockInstance(dataDir);
  const partial = join(dataDir, 'restore.partial');
  const bodies = new Bodies(join(dataDir, SPOOL_DIR));
  try {
    if (!force) refuseUsed(dataDir);
    await copyTo(partial, source);
    const counts = verifyBackup(partial, name);
    const held = await prepare(partial, bodies);
    removeLog(join(dataDir, DATABASE_FILE));
    await rename(partial, join(dataDir, DATABASE_FILE));
    bodies.keep();
    syncDirectory(dataDir);
    return { ...counts, held };
  } catch (cause) {
    throw explain(cause as SqliteError & NodeJS.ErrnoException, dataDir);
  } finally {
    await bodies.remove();
    for (const left of [partial, `${partial}-wal`, `${partial}-shm`]) await rm(left, { force: true });
    await lock.release();
  }
}

function refuseUsed(dataDir: string): void {
  const path = join(dataDir, DATABASE_FILE);
  const used = `${dataDir} is not empty: --force replaces what is in it. Make a backup of it before`;
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { readOnly: true, timeout: SECOND });
    const tables = number(db, 'SELECT count(*) FROM sqlite_schema');
    if (tables > 0 && Object.values(countAll(db)).some((count) => count > 0)) throw new StoreError(used);
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw new StoreError(used, { cause }); // an unreadable file is not empty either
  } finally {
    db?.close();
  }
}

async function copyTo(partial: string, source: FileHandle): Promise<void> {
  await rm(partial, { force: true });
  const target = await open(partial, 'wx', 0o600);
  await pipeline(source.createReadStream({ autoClose: false, start: 0 }), target.createWriteStream());
}

/** Turns the backup into a store: writes the bodies to files, holds waiting mail, and migrates to this version. */
async function prepare(partial: string, bodies: Bodies): Promise<Restored['held']> {
  const db = new DatabaseSync(partial);
  let held: Restored['held'];
  try {
    db.exec('PRAGMA journal_mode = DELETE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF');
    await bodies.write(db);
    holdAll(db);
    // The relay of the backup may still run, so that this one needs another node number.
    db.prepare("UPDATE small_values SET value = ? WHERE name = 'instance.node'").run(String(randomInt(NODES)));
    held = {
      messages: number(
        db,
        `SELECT count(DISTINCT r.message) FROM open o JOIN recipients r ON r.message = o.id WHERE r.state = ${HELD}`,
      ),
      recipients: number(db, `SELECT count(*) FROM open o JOIN recipients r ON r.message = o.id WHERE r.state = ${HELD}`),
    };
    db.exec(
      `DROP TABLE backup_spool; DROP TABLE backup_facts; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA incremental_vacuum`,
    );
  } finally {
    db.close();
  }
  const current = openDatabase(partial, SECOND); // migrates an older format
  current.run('DELETE FROM over_limit'); // all mail waits for the operator now
  // The relay of the backup may have sent them.
  current.run('DELETE FROM tls_results WHERE day < unixepoch() / 86400');
  current.run("DELETE FROM tls_reports WHERE state = 'due'");
  current.close();
  const file = openSync(partial, 'r+');
  fsyncSync(file);
  closeSync(file);
  return held;
}

/** Writes the large bodies of a backup into the spool. No store names these files before the rename. */
class Bodies {
  readonly #directory: string;
  #made: string[] = [];

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Each body gets a new name, also in `open` of `db`, because the old store may use the name of the backup. */
  async write(db: DatabaseSync): Promise<void> {
    const names = db.prepare('SELECT DISTINCT name FROM backup_spool').all() as { name: string }[];
    db.exec('CREATE INDEX restored_bodies ON open (spool) WHERE spool IS NOT NULL');
    for (const { name } of names) {
      // The name may be hostile: the backup may come from any program.
      if (!isSpoolName(name)) throw new StoreError('The backup is damaged: it names a body that cannot be');
      const made = newSpoolName();
      const file = await open(join(this.#directory, made), 'wx', 0o600);
      this.#made.push(made);
      try {
        const pieces = db.prepare('SELECT bytes FROM backup_spool WHERE name = ? ORDER BY n').iterate(name);
        for (const { bytes } of pieces as Iterable<{ bytes: Uint8Array }>) await file.writeFile(bytes);
        await file.datasync();
      } finally {
        await file.close();
      }
      db.prepare('UPDATE open SET spool = ? WHERE spool = ?').run(made, name);
    }
    db.exec('DROP INDEX restored_bodies');
    syncDirectory(this.#directory);
  }

  /** The store names them now. */
  keep(): void {
    this.#made = [];
  }

  async remove(): Promise<void> {
    for (const name of this.#made) await rm(join(this.#directory, name), { force: true });
  }
}

function explain(error: SqliteError & NodeJS.ErrnoException, dataDir: string): Error {
  if (error instanceof StoreError) return error;
  if (error.code !== 'ENOSPC' && resultCode(error) !== SQLITE_FULL) return error;
  const sentence = `No space left for the backup in ${dataDir}, which is as it was: the restore needs twice the size of the backup there`;
  return new StoreError(sentence, { cause: error });
}
