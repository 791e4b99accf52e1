/**
 * Group commit. Changes that arrive while a transaction syncs share the next transaction. First they run without savepoints. If one of
 * them fails, the transaction is rolled back and runs again with a savepoint around each change, so that the others are stored.
 */
import { noteChange } from './audit-rows.ts';
import type { Context } from './context.ts';
import { type Database, SQLITE_CORRUPT_INDEX, type SqliteError } from './database.ts';
import { Effects } from './effects.ts';
import { bounded, type Feed } from './feed.ts';
import { checkLease } from './operation-rows.ts';
import { operationNamed } from './operations.ts';
import { type Answers, describe, type Failure, type Request } from './protocol.ts';

type Services = Omit<Context, 'db' | 'effects'> & { readonly feed: Feed };
export type GroupResult = {
  readonly answers: Answers;
  readonly transfer: ArrayBuffer[];
  /** The error of the whole transaction. Nothing of it was stored. */
  readonly error?: unknown;
};

/** Thrown when one request fails, to leave the transaction. */
class RequestFailed extends Error {}

export function commitGroup(db: Database, services: Services, requests: readonly Request[]): GroupResult {
  const begun = performance.now();
  try {
    try {
      return transaction(db, services, begun, (effects) => runAll({ db, effects, ...services }, requests));
    } catch (error) {
      services.signs.forget();
      if (!(error instanceof RequestFailed)) throw error;
      mendIndex(db, error.cause as SqliteError);
      return transaction(db, services, begun, (effects) => runEach({ db, effects, ...services }, requests));
    }
  } catch (error) {
    services.signs.forget();
    return { ...rejectAll(requests, describe(error)), error };
  }
}

type Ran = { results: unknown[]; failures: [number, Failure][]; transfer: ArrayBuffer[] };

function transaction(db: Database, { feed }: Services, begun: number, run: (effects: Effects) => Ran): GroupResult {
  const effects = new Effects();
  db.exec('BEGIN IMMEDIATE');
  try {
    const { results, failures, transfer } = run(effects);
    effects.writeCounters(db);
    const changes = bounded(effects.changes);
    const written = feed.write(db, changes);
    db.exec('COMMIT');
    written();
    const commit = [(performance.now() - begun) / 1000, results.length / 2] as const;
    const { unlink, damaged } = effects;
    return { answers: { results, failures, unlink, damaged, changes: [...changes], commit, trouble: null }, transfer };
  } catch (error) {
    // After a full disk or an I/O error, SQLite has rolled back already. If the rollback fails, the connection is closed.
    if (db.inTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

function runAll(context: Context, requests: readonly Request[]): Ran {
  const ran: Ran = { results: [], failures: [], transfer: [] };
  for (const request of requests) {
    try {
      runNoted(context, request, ran);
    } catch (cause) {
      if (!context.db.inTransaction) throw cause;
      throw new RequestFailed('run again', { cause });
    }
  }
  return ran;
}

function runEach(context: Context, requests: readonly Request[]): Ran {
  const { db } = context;
  const ran: Ran = { results: [], failures: [], transfer: [] };
  for (const request of requests) {
    const effects = new Effects();
    db.exec('SAVEPOINT request');
    try {
      runNoted({ ...context, effects }, request, ran);
      context.effects.add(effects);
    } catch (error) {
      context.signs.forget();
      if (!db.inTransaction) throw error;
      db.exec('ROLLBACK TO request');
      ran.failures.push([request[0], describe(error)]);
    }
    db.exec('RELEASE request');
  }
  return ran;
}

/** The note is stored if the change is, and only then. */
function runNoted(context: Context, request: Request, ran: Ran): void {
  const [, , , note, lease] = request;
  if (lease !== undefined) checkLease(context, lease);
  const result = runOne(context, request, ran);
  if (note !== undefined) noteChange(context, note, result);
}

function runOne(context: Context, [id, name, argument]: Request, ran: Ran): unknown {
  const { run, transfer } = operationNamed(name);
  const result = run(context, argument);
  ran.results.push(id, result);
  if (transfer !== undefined) ran.transfer.push(...transfer(result, argument));
  return result;
}

/** A read sees all commits. Its failure rejects only itself. */
export function runRead(db: Database, services: Services, request: Request): GroupResult {
  const ran: Ran = { results: [], failures: [], transfer: [] };
  const nothing = { unlink: [], damaged: [], changes: [], commit: null, trouble: null };
  try {
    runOne({ db, effects: new Effects(), ...services }, request, ran);
    return { answers: { ...ran, ...nothing }, transfer: ran.transfer };
  } catch (error) {
    return { ...rejectAll([request], describe(error)), error };
  }
}

export function rejectAll(requests: readonly Request[], failure: Failure): { answers: Answers; transfer: ArrayBuffer[] } {
  const failures = requests.map(([id]) => [id, failure] as const);
  return {
    answers: { results: [], failures, unlink: [], damaged: [], changes: [], commit: null, trouble: failure },
    transfer: [],
  };
}

/** An index that differs from its table is made again from the table. No data are lost. */
function mendIndex(db: Database, error: SqliteError): void {
  if (error.errcode === SQLITE_CORRUPT_INDEX) db.exec('REINDEX');
}
