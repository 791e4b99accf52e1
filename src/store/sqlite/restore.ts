/**
 * A backup becomes the store of a data directory that nobody uses. Everything is made ready beside the old store, the bodies under
 * new names, and put in its place by one rename. A failure or a crash before it leaves the old store as it was; what is left over is
 * swept by the next start.
 */
import { randomInt } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, rmSync } from 'node:fs';
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
import { isCorrupt, openDatabase, resultCode, SQLITE_FULL, type SqliteError } from './database.ts';
import { APPLICATION_ID } from './schema.ts';
import { isSpoolName, newSpoolName } from './spool.ts';
import { HELD } from './states.ts';

export type RestoreRequest = {
  readonly dataDir: string;
  /** The backup, opened for reading; it may belong to another user than the data. */
  readonly source: FileHandle;
  /** For sentences. */
  readonly name: string;
  /** What is in the data directory is given up. */
  readonly force: boolean;
};

export type Restored = BackupCounts & {
  /** Messages and recipients that wait for `queue release`. */
  readonly held: { readonly messages: number; readonly recipients: number };
};

/** @throws StoreError where the directory is in use or not empty, or the file is no whole backup: nothing is changed then. */
export async function restoreStore({ dataDir, source, name, force }: RestoreRequest): Promise<Restored> {
  const lock = await lockInstance(dataDir);
  const partial = join(dataDir, 'restore.partial');
  const bodies = new Bodies(join(dataDir, SPOOL_DIR));
  try {
    if (!force) refuseUsed(dataDir);
    await copyTo(partial, source);
    const counts = verifyBackup(partial, name);
    const held = await prepare(partial, bodies);
    replace(join(dataDir, DATABASE_FILE));
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
  const used = `${dataDir} is not empty: --force gives up what is in it (make a backup of it before)`;
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { readOnly: true, timeout: SECOND });
    const tables = number(db, 'SELECT count(*) FROM sqlite_schema');
    if (tables > 0 && Object.values(countAll(db)).some((count) => count > 0)) throw new StoreError(used);
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw new StoreError(used, { cause }); // whatever it is, it is something
  } finally {
    db?.close();
  }
}

async function copyTo(partial: string, source: FileHandle): Promise<void> {
  await rm(partial, { force: true });
  const target = await open(partial, 'wx', 0o600);
  await pipeline(source.createReadStream({ autoClose: false, start: 0 }), target.createWriteStream());
}

/** From backup to store: bodies to their files, what waits on hold, the form of this version. */
async function prepare(partial: string, bodies: Bodies): Promise<Restored['held']> {
  const db = new DatabaseSync(partial);
  let held: Restored['held'];
  try {
    db.exec('PRAGMA journal_mode = DELETE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF');
    await bodies.write(db);
    holdAll(db);
    // The relay that the backup is of may go on: the two are not one node.
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
  const current = openDatabase(partial, SECOND); // an older form becomes this one
  current.run('DELETE FROM over_limit'); // what waits now waits for the operator
  // The relay that the backup is of may have sent them.
  current.run('DELETE FROM tls_results WHERE day < unixepoch() / 86400');
  current.run("DELETE FROM tls_reports WHERE state = 'due'");
  current.close();
  const file = openSync(partial, 'r+');
  fsyncSync(file);
  closeSync(file);
  return held;
}

/** The large bodies of a backup on their way into the spool: files that no store names until the rename. */
class Bodies {
  readonly #directory: string;
  #made: string[] = [];

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Each under a new name, which `open` in `db` gets: the old store may have a body of the name in the backup. */
  async write(db: DatabaseSync): Promise<void> {
    const names = db.prepare('SELECT DISTINCT name FROM backup_spool').all() as { name: string }[];
    db.exec('CREATE INDEX restored_bodies ON open (spool) WHERE spool IS NOT NULL');
    for (const { name } of names) {
      // A name comes from a file that anybody may have made.
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

  /** A store names them now. */
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

/** The old store becomes one file without a log, so that the new one never meets the log of the old. */
function replace(path: string): void {
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
