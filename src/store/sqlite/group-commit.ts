/**
 * Group commit: all changes that waited while the last transaction synced share the next. They are run as if none would fail;
 * where one does, the transaction is rolled back and run again with a savepoint around each, so that the others stand.
 */
import type { Context } from './context.ts';
import { type Database, SQLITE_CORRUPT_INDEX, type SqliteError } from './database.ts';
import { Effects } from './effects.ts';
import { bounded, type Feed } from './feed.ts';
import { operationNamed } from './operations.ts';
import { type Answers, describe, type Failure, type Request } from './protocol.ts';

type Services = Omit<Context, 'db' | 'effects'> & { readonly feed: Feed };
export type GroupResult = {
  readonly answers: Answers;
  readonly transfer: ArrayBuffer[];
  /** The whole transaction failed with this; nothing of it stands. */
  readonly error?: unknown;
};

/** Thrown through the transaction when one request cannot be run. */
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
    // A full disk or an I/O error has rolled back already. Where even this fails, the connection is dropped.
    if (db.inTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

function runAll(context: Context, requests: readonly Request[]): Ran {
  const ran: Ran = { results: [], failures: [], transfer: [] };
  for (const request of requests) {
    try {
      runOne(context, request, ran);
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
      runOne({ ...context, effects }, request, ran);
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

function runOne(context: Context, [id, name, argument]: Request, ran: Ran): void {
  const { run, transfer } = operationNamed(name);
  const result = run(context, argument);
  ran.results.push(id, result);
  if (transfer !== undefined) ran.transfer.push(...transfer(result, argument));
}

/** A read sees what was committed, and holds nobody up but itself. */
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

/** An index that disagrees with its table loses nothing: it is made anew from it. */
function mendIndex(db: Database, error: SqliteError): void {
  if (error.errcode === SQLITE_CORRUPT_INDEX) db.exec('REINDEX');
}
