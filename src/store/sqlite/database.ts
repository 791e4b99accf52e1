/** One connection to the database, in the thread of the store. When a commit returns, it is on the disk. */
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { isInstanceElsewhere } from '../embedded/instance-lock.ts';
import { StoreError } from '../opening.ts';
import { APPLICATION_ID, MIGRATIONS, MOVED_ID } from './schema.ts';

const PAGE_SIZE = 16 * 1024;
/** The commit that passes so many pages in the log (64 MiB) copies them to the database. */
const CHECKPOINT_PAGES = 4096;
const LOG_LIMIT = 256 * 1024 * 1024;
const CACHE_KIB = 32 * 1024;

export type Database = {
  /** Each statement is prepared once and kept by its text. */
  run(sql: string, ...values: SQLInputValue[]): { changes: number; lastInsertRowid: number };
  get<T>(sql: string, ...values: SQLInputValue[]): T | undefined;
  all<T>(sql: string, ...values: SQLInputValue[]): T[];
  iterate<T>(sql: string, ...values: SQLInputValue[]): IterableIterator<T>;
  exec(sql: string): void;
  readonly inTransaction: boolean;
  close(): void;
};

/** @param migrations the steps to the format of this version. @throws StoreError with one sentence for the operator. */
export function openDatabase(path: string, busyTimeout: number, migrations = MIGRATIONS): Database {
  let connection: DatabaseSync | undefined;
  try {
    connection = new DatabaseSync(path, {
      timeout: busyTimeout,
      enableForeignKeyConstraints: false,
      enableDoubleQuotedStringLiterals: false,
    });
    configure(connection, busyTimeout);
    migrate(connection, path, migrations);
    return withStatements(connection);
  } catch (cause) {
    if (connection?.isOpen) connection.close();
    if (cause instanceof StoreError) throw cause;
    throw new StoreError(explain(path, cause as SqliteError), { cause });
  }
}

const READER_CACHE_KIB = 2 * 1024;

/** A second connection, to a database that is open already in this process. It changes nothing. @throws SqliteError */
export function openReadOnly(path: string, busyTimeout: number): Database {
  const connection = new DatabaseSync(path, { readOnly: true, timeout: busyTimeout, enableDoubleQuotedStringLiterals: false });
  connection.exec(`PRAGMA query_only = 1; PRAGMA cache_size = -${READER_CACHE_KIB}; PRAGMA temp_store = MEMORY`);
  return withStatements(connection);
}

/** The errors of node:sqlite. `errcode` is the extended result code of SQLite. */
export type SqliteError = Error & { errcode?: number; errstr?: string };
export const SQLITE_BUSY = 5;
export const SQLITE_IOERR = 10;
export const SQLITE_CORRUPT = 11;
export const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;
export const SQLITE_CORRUPT_INDEX = 779;
export const resultCode = (error: unknown) => ((error as SqliteError).errcode ?? 0) & 0xff;
export const isCorrupt = (error: unknown) => resultCode(error) === SQLITE_CORRUPT || resultCode(error) === SQLITE_NOTADB;

function configure(connection: DatabaseSync, busyTimeout: number): void {
  // Only for an empty file. Later these pragmas have no effect, but they write.
  if (pragma(connection, 'page_count') === 0)
    connection.exec(`PRAGMA page_size = ${PAGE_SIZE}; PRAGMA auto_vacuum = INCREMENTAL`);
  // The busy timeout does not cover this pragma, if two processes open the file at the same time.
  retryBusy(busyTimeout, () => connection.exec('PRAGMA journal_mode = WAL'));
  connection.exec(`
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
    PRAGMA journal_size_limit = ${LOG_LIMIT};
    PRAGMA cache_size = -${CACHE_KIB};
    PRAGMA temp_store = MEMORY`);
  expectPragma(connection, 'journal_mode', 'wal');
  expectPragma(connection, 'synchronous', 2);
}

/** Without this setting a power cut could lose mail, so that the store is not opened. */
function expectPragma(connection: DatabaseSync, name: string, wanted: string | number): void {
  const found = connection.prepare(`PRAGMA ${name}`).get()?.[name];
  if (found !== wanted)
    throw new StoreError(`The store cannot set ${name} to ${wanted} (it stays ${found}): is this a local disk?`);
}

function migrate(connection: DatabaseSync, path: string, steps: readonly string[]): void {
  const version = pragma(connection, 'user_version');
  if (version === steps.length && pragma(connection, 'application_id') === APPLICATION_ID) return;
  connection.exec('BEGIN IMMEDIATE'); // if two processes find it empty, the second one sees the tables of the first
  try {
    const from = pragma(connection, 'user_version');
    refuseForeign(connection, path, { from, to: steps.length });
    if (from > 0) refuseBesideOlder(path);
    for (const step of steps.slice(from)) connection.exec(step);
    connection.exec(`PRAGMA user_version = ${steps.length}; PRAGMA application_id = ${APPLICATION_ID}; COMMIT`);
  } catch (error) {
    if (connection.isTransaction) connection.exec('ROLLBACK');
    throw error;
  }
}

function refuseForeign(connection: DatabaseSync, path: string, { from, to }: { from: number; to: number }): void {
  const empty = connection.prepare('SELECT 1 FROM sqlite_schema').get() === undefined;
  if (pragma(connection, 'application_id') === MOVED_ID) {
    const { to } = JSON.parse(
      String(connection.prepare("SELECT value FROM small_values WHERE name = 'moved.to'").get()?.['value']),
    );
    throw new StoreError(`The data of ${path} were moved to ${to}: change \`store\` in the configuration`);
  }
  if (!empty && pragma(connection, 'application_id') !== APPLICATION_ID)
    throw new StoreError(`${path} is not a store of smarthost: choose another dataDir`);
  if (from > to)
    throw new StoreError(
      `${path} was written by a newer smarthost (format ${from}, this one knows ${to}): install that version again, or restore a backup`,
    );
}

/** After a migration, a running older relay could not store outcomes, and would send its mail again after a restart. */
function refuseBesideOlder(path: string): void {
  if (isInstanceElsewhere(dirname(path)))
    throw new StoreError(
      `The relay that runs on ${dirname(path)} is older than this command: restart it first, that brings the store up to date`,
    );
}

function pragma(connection: DatabaseSync, name: string): number {
  return Number(connection.prepare(`PRAGMA ${name}`).get()?.[name]);
}

function retryBusy(timeout: number, action: () => void): void {
  for (const deadline = Date.now() + timeout; ; ) {
    try {
      action();
      return;
    } catch (error) {
      if (resultCode(error) !== SQLITE_BUSY || Date.now() > deadline) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

function withStatements(connection: DatabaseSync): Database {
  const statements = new Map<string, StatementSync>();
  const statement = (sql: string) => {
    let found = statements.get(sql);
    if (found === undefined) statements.set(sql, (found = connection.prepare(sql)));
    return found;
  };
  return {
    run: (sql, ...values) => statement(sql).run(...values) as { changes: number; lastInsertRowid: number },
    get: <T>(sql: string, ...values: SQLInputValue[]) => statement(sql).get(...values) as T | undefined,
    all: <T>(sql: string, ...values: SQLInputValue[]) => statement(sql).all(...values) as T[],
    iterate: <T>(sql: string, ...values: SQLInputValue[]) => statement(sql).iterate(...values) as IterableIterator<T>,
    exec: (sql) => connection.exec(sql),
    get inTransaction() {
      return connection.isTransaction;
    },
    close: () => connection.close(),
  };
}

function explain(path: string, error: SqliteError): string {
  switch (resultCode(error)) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return `${path} is damaged (${error.message}): restore a backup, or save what can be read with: sqlite3 ${path} .recover`;
    case SQLITE_BUSY:
      return `${path} is locked by another process for too long`;
    case SQLITE_FULL:
      return `No space left on the disk of ${path}`;
    case SQLITE_CANTOPEN:
      return `Cannot open ${path}: ${error.message}. Does it belong to uid ${process.getuid?.()}?`;
    default:
      return `Cannot open ${path}: ${error.message}`;
  }
}
