/**
 * Carries a whole store from files of this machine into a database, or back. The new store is filled in one transaction, or in a file
 * beside the old one. Then the old store gets a mark, so that nothing opens it any more, and only then the new one can be opened. Until
 * the mark a crash leaves the old store as it was. After the mark the same command does the last step.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { SECOND } from '../../system/clock.ts';
import { DATABASE_FILE, prepareDataDir, syncDirectory } from '../embedded/data-dir.ts';
import { lockInstance } from '../embedded/instance-lock.ts';
import type { MovedStore } from '../move.ts';
import { StoreError } from '../opening.ts';
import { backupStore } from '../sqlite/backup.ts';
import type { BackupCounts } from '../sqlite/backup-file.ts';
import { openDatabase } from '../sqlite/database.ts';
import { markMoved, moveOf, removeLog, usedRows } from '../sqlite/moved.ts';
import { type Restored, type RestoreRequest, restoreStore } from '../sqlite/restore.ts';
import { type DatabaseSession, type ServerOptions, sqlStateOf } from './database-session.ts';
import { Link, laxness } from './link.ts';
import { livingNodes } from './nodes.ts';
import { type Format, formatOf, MOVE_LOCK, migrateDatabase } from './postgres-schema.ts';
import { type Carrying, copyIn, copyOut } from './store-copy.ts';

const PARTIAL = 'move.partial';
const START_PATIENCE = 10 * SECOND;
/** Emptying tables and the commit of the whole may take so long. */
const ANSWER_TIMEOUT = 600 * SECOND;
const BUSY = 10 * SECOND;

type Place = Carrying & { readonly server: ServerOptions };

/** The name of a database in sentences, without user and password. */
function nameOf({ hosts, database }: ServerOptions): string {
  return `postgres://${hosts.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',')}/${database}`;
}
const fileName = (dataDir: string) => `sqlite:${dataDir}`;

/** From files into the database. @throws StoreError with one sentence for the operator. */
export async function moveIn({ server, ...carrying }: Place): Promise<MovedStore> {
  const { dataDir } = carrying;
  const path = join(dataDir, DATABASE_FILE);
  if (!existsSync(path)) throw new StoreError(`There is no store in ${dataDir}`);
  const lock = await lockInstance(dataDir);
  try {
    const to = nameOf(server);
    return await withDatabase(server, async (session) => {
      const done = moveOf(path);
      if (done !== undefined) return { to, rows: {}, resumed: await endMoveIn(session, done, dataDir) };
      await refuseLax(session, server);
      const db = openDatabase(path, BUSY);
      try {
        db.exec('BEGIN IMMEDIATE'); // commands wait, and then find the mark
        const move = newMove();
        const rows = await replaceAll(session, { force: false, state: 'filled', note: JSON.stringify({ move }) }, () =>
          copyIn(db, session, carrying),
        );
        markMoved(db, { to, move });
        await setState(session, null, JSON.stringify({ move }));
        return { to, rows, resumed: false };
      } finally {
        if (db.inTransaction) db.exec('ROLLBACK');
        db.close();
      }
    });
  } finally {
    await lock.release();
  }
}

/** The files have the mark of a move: does its last step where it is missing. @returns true if it was missing. */
async function endMoveIn(
  session: DatabaseSession,
  { move, to }: { move: string; to: string },
  dataDir: string,
): Promise<boolean> {
  const { state, note } = (await formatOf(session))!;
  if (noteOf(note).move !== move) throw new StoreError(`The data of ${dataDir} were moved to ${to} before`);
  if (state === 'filled') await setState(session, null, note);
  return state === 'filled';
}
/** What a move has left in the database: its number, and where the data went. */
const noteOf = (note: string | null) => JSON.parse(note ?? '{}') as { readonly move?: string; readonly to?: string };

/** From the database into files. @throws StoreError with one sentence for the operator. */
export async function moveOut({ server, ...carrying }: Place): Promise<MovedStore> {
  const { dataDir } = carrying;
  const lock = await lockInstance(dataDir);
  const partial = join(dataDir, PARTIAL);
  try {
    const to = fileName(dataDir);
    return await withDatabase(server, async (session) => {
      const format = await formatOf(session);
      if (format?.state === 'moved') return { to, rows: {}, resumed: endMoveOut(format, dataDir) };
      refuseState(format);
      const used = usedRows(join(dataDir, DATABASE_FILE));
      if (used) throw new StoreError(`${dataDir} is not empty: name another directory, or remove what is in it`);
      // A process that was thought dead writes no more by its old marks.
      await session.ask('UPDATE writers SET mark = mark + 1');
      for (const end of ['', '-wal', '-shm', '-journal']) rmSync(partial + end, { force: true });
      const rows = await writeFile(session, partial, carrying);
      const move = markPartial(partial);
      await setState(session, 'moved', JSON.stringify({ move, to }));
      giveName(dataDir);
      return { to, rows, resumed: false };
    });
  } finally {
    await lock.release();
  }
}

/** The database has the mark of a move: gives the new file its name where that is missing. @returns true if it was missing. */
function endMoveOut({ note }: Format, dataDir: string): boolean {
  const { move, to } = noteOf(note);
  if (move !== undefined && moveOf(join(dataDir, PARTIAL), 'from')?.move === move) {
    giveName(dataDir);
    return true;
  }
  if (move !== undefined && moveOf(join(dataDir, DATABASE_FILE), 'from')?.move === move) return false;
  throw new StoreError(`The data of this database were moved to ${to} before`);
}

/** From one snapshot. The store in the file is closed, complete and synced, and has no log. */
async function writeFile(session: DatabaseSession, path: string, carrying: Carrying): Promise<Record<string, number>> {
  closeSync(openSync(path, 'a', 0o600)); // SQLite would let everybody read it
  const db = openDatabase(path, BUSY);
  try {
    db.exec('PRAGMA synchronous = OFF');
    await session.ask('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const rows = await copyOut(session, db, carrying);
    await session.ask('COMMIT');
    db.exec('PRAGMA journal_mode = DELETE');
    return rows;
  } catch (error) {
    await session.ask('ROLLBACK').catch(() => {});
    throw error;
  } finally {
    db.close();
    sync(path);
  }
}

function markPartial(partial: string): string {
  const db = openDatabase(partial, BUSY);
  const move = newMove();
  db.run('INSERT OR REPLACE INTO small_values VALUES (?, ?)', 'moved.from', JSON.stringify({ move, to: '' }));
  db.exec('PRAGMA journal_mode = DELETE');
  db.close();
  sync(partial);
  syncDirectory(dirname(partial));
  return move;
}

function giveName(dataDir: string): void {
  const path = join(dataDir, DATABASE_FILE);
  removeLog(path);
  renameSync(join(dataDir, PARTIAL), path);
  syncDirectory(dataDir);
}

function sync(path: string): void {
  const file = openSync(path, 'r+');
  fsyncSync(file);
  closeSync(file);
}

type Replacing = { readonly force: boolean; readonly state: Format['state']; readonly note: string | null };

/** Empties all tables and fills them again, in one transaction. */
async function replaceAll(
  session: DatabaseSession,
  { force, state, note }: Replacing,
  fill: () => Promise<Record<string, number>>,
): Promise<Record<string, number>> {
  const format = await formatOf(session);
  // What a move left behind is worth nothing: the data went elsewhere, or come again now.
  if (format?.state === null && !force) await refuseFilled(session);
  try {
    await session.ask('BEGIN');
    const tables = await session.ask<{ name: string }>(
      `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'smarthost' AND tablename NOT IN ('format', 'nodes', 'life', 'slots')`,
    );
    await session.ask(`TRUNCATE ${tables.rows.map(({ name }) => name).join(', ')}`);
    const rows = await fill();
    await session.ask('UPDATE format SET state = $1, note = $2', [state, note]);
    await commit(session);
    return rows;
  } catch (error) {
    await session.ask('ROLLBACK').catch(() => {});
    const unfit = sqlStateOf(error);
    if (unfit === '22P05' || unfit === '22021')
      throw new StoreError(`A text in the store cannot be kept by PostgreSQL (${(error as Error).message}): nothing is changed`);
    throw error;
  }
}

async function refuseFilled(session: DatabaseSession): Promise<void> {
  const sql =
    'SELECT EXISTS (SELECT 1 FROM messages) OR EXISTS (SELECT 1 FROM credentials) OR EXISTS (SELECT 1 FROM dkim_keys) AS filled';
  const { rows } = await session.ask<{ filled: boolean }>(sql);
  if (rows[0]!.filled) throw new StoreError('The database is not empty: it has mail, users or keys. Name an empty one');
}

function refuseState(format: Format | undefined): void {
  if (format?.state === 'filled')
    throw new StoreError('A move into this database has not ended: run the same command again, it does the last step');
  if (format?.state === 'moved') throw new StoreError(`The data of this database were moved to ${noteOf(format.note).to}`);
}

async function refuseLax(session: DatabaseSession, { durability }: ServerOptions): Promise<void> {
  const sql = `SELECT current_setting('synchronous_commit') AS commit, current_setting('synchronous_standby_names') AS standbys`;
  const { commit: kind, standbys } = (await session.ask<{ commit: string; standbys: string }>(sql)).rows[0]!;
  const lax = laxness(durability, kind, standbys);
  if (lax !== undefined) throw new StoreError(`Nothing is moved: ${lax}`);
}

const newMove = () => randomBytes(9).toString('hex');

async function setState(session: DatabaseSession, state: Format['state'], note: string | null): Promise<void> {
  await session.ask('BEGIN');
  await session.ask('UPDATE format SET state = $1, note = $2', [state, note]);
  await commit(session);
}

/** @throws StoreError if the wait for the standby was cancelled, or the transaction rolled back. */
async function commit(session: DatabaseSession): Promise<void> {
  session.takeWarning();
  const { command } = await session.ask('COMMIT');
  if (command !== 'COMMIT' || session.takeWarning())
    throw new StoreError('The database did not commit, or did not wait for its standby: run the same command again');
}

/** One session at the primary. @param alone nothing else has the store open meanwhile. */
async function withDatabase<T>(server: ServerOptions, run: (session: DatabaseSession) => Promise<T>, alone = true): Promise<T> {
  const link = new Link({ server, name: `smarthost/${hostname()}/move`, answerTimeout: ANSWER_TIMEOUT });
  try {
    const session = await link.session(performance.now() + START_PATIENCE).catch((cause: Error) => {
      throw new StoreError(cause.message, { cause });
    });
    await session.ask('SET idle_in_transaction_session_timeout = 0');
    await migrateDatabase(session);
    if (alone) await takeAlone(session);
    return await run(session);
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw new StoreError(`The database failed: ${(cause as Error).message}`, { cause });
  } finally {
    await link.close();
  }
}

async function takeAlone(session: DatabaseSession): Promise<void> {
  const { rows } = await session.ask<{ taken: boolean }>('SELECT pg_try_advisory_lock($1) AS taken', [MOVE_LOCK]);
  if (!rows[0]!.taken)
    throw new StoreError('Another move or restore works on this database, or a relay starts: wait until it ends');
  const living = await livingNodes(session);
  if (living.length > 0)
    throw new StoreError(
      `Stop what has the database open (after a kill, wait 30 s): ${living.map(({ machine, pid }) => `process ${pid} on ${machine}`).join(', ')}`,
    );
}

/** The same file as of a store in files, from one snapshot, while relays run. @throws StoreError with one sentence. */
export async function backupDatabase(server: ServerOptions, machine: string, file: string): Promise<BackupCounts> {
  const dataDir = await mkdtemp(join(dirname(file), '.smarthost-backup-'));
  try {
    prepareDataDir(dataDir);
    await withDatabase(
      server,
      async (session) => {
        refuseState(await formatOf(session));
        await writeFile(session, join(dataDir, DATABASE_FILE), { dataDir, machine, told: () => {} });
      },
      false,
    );
    return await backupStore({ dataDir, file });
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** As for a store in files: all waiting mail is held. @throws StoreError with one sentence. Nothing is changed then. */
export async function restoreDatabase(
  server: ServerOptions,
  machine: string,
  request: Omit<RestoreRequest, 'dataDir'>,
): Promise<Restored> {
  const dataDir = await mkdtemp(join(tmpdir(), 'smarthost-restore-'));
  try {
    const restored = await restoreStore({ ...request, force: true, dataDir });
    await withDatabase(server, async (session) => {
      const db = openDatabase(join(dataDir, DATABASE_FILE), BUSY);
      try {
        await replaceAll(session, { force: request.force, state: null, note: null }, () =>
          copyIn(db, session, { dataDir, machine, told: () => {} }),
        );
      } finally {
        db.close();
      }
    });
    return restored;
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}
