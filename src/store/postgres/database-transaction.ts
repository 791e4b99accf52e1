/**
 * Transactions that come to an end, whatever happens to the connection. Each transaction leaves its mark in the row of its writer. If the
 * answer to a commit is lost, the mark is asked for at the primary of then: it is there, and the transaction counts; or it is not there,
 * and the transaction runs again.
 */
import { randomInt } from 'node:crypto';
import { SECOND } from '../../system/clock.ts';
import { Effects } from '../sqlite/effects.ts';
import { ConnectionLost, type DatabaseSession, sqlStateOf } from './database-session.ts';
import type { Link } from './link.ts';
import type { Rows, Statement } from './statement-batch.ts';

/** A client waits so long for the reply to its message, so that a failover is not seen by it. */
export const PATIENCE = 30 * SECOND;
const MOST_RUNS = 4;

/** Statements of one transaction. Those that do not need each other's rows are sent together, when somebody waits for them. */
export class DatabaseTransaction {
  readonly #session: DatabaseSession;
  #kept: Statement[] = [];
  #answers: Promise<unknown>[] = [];

  constructor(session: DatabaseSession) {
    this.#session = session;
  }

  /** Keeps a statement for `flush`, which sends all of them, waits, and rejects with the first error. */
  send<T>(text: string, ...values: readonly unknown[]): Promise<T[]> {
    const rows = this.#keep<T>(text, values).then(({ rows }) => rows);
    rows.catch(() => {});
    return rows;
  }

  /** The statements after a failed one fail too, so that the first error is the cause. */
  async flush(): Promise<void> {
    const [kept, answers] = [this.#kept, this.#answers];
    if (kept.length === 0) return;
    [this.#kept, this.#answers] = [[], []];
    this.#session.askAll(kept);
    await Promise.all(answers);
  }

  async all<T>(text: string, ...values: readonly unknown[]): Promise<T[]> {
    const rows = this.send<T>(text, ...values);
    await this.flush();
    return rows;
  }

  async get<T>(text: string, ...values: readonly unknown[]): Promise<T | undefined> {
    return (await this.all<T>(text, ...values))[0];
  }

  /** @returns the number of changed rows. */
  async run(text: string, ...values: readonly unknown[]): Promise<number> {
    const answer = this.#keep(text, values);
    await this.flush();
    return (await answer).count;
  }

  /** @throws Error if it is not committed, or not on the standby. */
  async commit(): Promise<void> {
    const answer = this.#keep('COMMIT', []);
    this.#session.takeWarning();
    await this.flush();
    if ((await answer).command !== 'COMMIT') throw new Error('The database rolled the transaction back');
    if (this.#session.takeWarning()) throw new Unacknowledged('The database did not wait for its standby');
  }

  #keep<T>(text: string, values: readonly unknown[]): Promise<Rows<T>> {
    const answer = new Promise<Rows<T>>((resolve, reject) => this.#kept.push({ text, values, resolve, reject }));
    this.#answers.push(answer);
    return answer;
  }
}

/** The row of `writers` that a connection has. */
export type WriterRow = { readonly node: number; readonly kind: number; mark: number };
type Committed<T> = { readonly result: T; readonly effects: Effects };

/** The row was given to another process, because this one seemed dead: it must take another node first. */
export class WriterTaken extends Error {
  override readonly name = 'WriterTaken';
}
/** The wait for the standby was cancelled: what was committed may be on one machine only. */
class Unacknowledged extends Error {
  override readonly name = 'Unacknowledged';
}

/** Fails, and the transaction with it, if the row has another mark. A late commit of an abandoned connection does no harm then. */
const LEAVE_MARK = `
  WITH own AS (
    UPDATE writers SET mark = $4, s0 = s0 + $5, s1 = s1 + $6, s2 = s2 + $7, s3 = s3 + $8, s4 = s4 + $9
    WHERE node = $1 AND kind = $2 AND mark = $3 RETURNING 1)
  SELECT 1 / (SELECT count(*) FROM own)::int AS one`;
const DIVISION_BY_ZERO = '22012';
const LOCK_NOT_AVAILABLE = '55P03';
const newMark = () => randomInt(1, 2 ** 47);

export class Writer {
  readonly #link: Link;
  #row: WriterRow;

  constructor(link: Link, row: WriterRow) {
    this.#link = link;
    this.#row = row;
  }

  /** After `WriterTaken`. */
  renew(row: WriterRow): void {
    this.#row = row;
  }

  /**
   * Runs `work` and commits, again if the connection is lost, the primary changes, or rows are locked in a circle. `work` may run several
   * times: it gets new effects each time, and must not change what it is given. @throws the error of the last run.
   */
  async transaction<T>(work: (tx: DatabaseTransaction, effects: Effects) => Promise<T>, patience: number): Promise<Committed<T>> {
    const until = performance.now() + patience;
    for (let run = 1; ; run++) {
      const session = await this.#link.session(until);
      const mark = newMark();
      const effects = new Effects();
      let done: Committed<T> | undefined;
      try {
        const tx = new DatabaseTransaction(session);
        void tx.send('BEGIN');
        done = { result: await work(tx, effects), effects };
        await this.#commit(tx, { mark, effects });
        return done;
      } catch (error) {
        const unanswered = error instanceof ConnectionLost || error instanceof Unacknowledged;
        if (!unanswered) await session.ask('ROLLBACK').catch(() => {});
        if (unanswered && done !== undefined && (await this.#isCommitted(mark, until))) return done;
        if (sqlStateOf(error) === DIVISION_BY_ZERO)
          throw new WriterTaken('Another process has the node of this one', { cause: error });
        if (performance.now() >= until || !isWorthAnotherRun(error, run)) throw error;
        if (mustLeave(error)) session.destroy('it is not the primary any more');
      }
    }
  }

  async #commit(tx: DatabaseTransaction, { mark, effects }: { mark: number; effects: Effects }): Promise<void> {
    const { node, kind, mark: before } = this.#row;
    const counted = ['s0', 's1', 's2', 's3', 's4'].map((name) => effects.counters.get(name) ?? 0);
    void tx.send(LEAVE_MARK, node, kind, before, mark, ...counted);
    await tx.commit();
    this.#row.mark = mark;
  }

  /**
   * Asks what became of a transaction. The row is locked by it as long as it can still commit. If it has not committed, the row gets another
   * mark, so that it cannot any more. @throws Error if it is not known at `until`.
   */
  async #isCommitted(mark: number, until: number): Promise<boolean> {
    const { node, kind } = this.#row;
    const known = new Set([this.#row.mark]);
    for (;;) {
      const session = await this.#link.session(until);
      try {
        const tx = new DatabaseTransaction(session);
        void tx.send('BEGIN');
        const found = await tx.get<{ mark: number }>(
          'SELECT mark FROM writers WHERE node = $1 AND kind = $2 FOR UPDATE',
          node,
          kind,
        );
        if (found === undefined || (found.mark !== mark && !known.has(found.mark)))
          throw new WriterTaken('Another process has the node of this one');
        const committed = found.mark === mark;
        const next = committed ? mark : newMark();
        known.add(next);
        // This commit waits for the standby too, so that it covers all before it.
        void tx.send('UPDATE writers SET mark = $3 WHERE node = $1 AND kind = $2', node, kind, next);
        await tx.commit();
        this.#row.mark = next;
        return committed;
      } catch (error) {
        if (error instanceof WriterTaken) throw error;
        const unanswered = error instanceof ConnectionLost || error instanceof Unacknowledged;
        if (!unanswered) await session.ask('ROLLBACK').catch(() => {});
        if (performance.now() >= until)
          throw new Error('The database did not say in time whether it has stored this', { cause: error });
        if (mustLeave(error)) session.destroy('it is not the primary any more');
        if (!unanswered && !mustLeave(error) && sqlStateOf(error) !== LOCK_NOT_AVAILABLE) throw error;
      }
    }
  }
}

/** Deadlock, serialization, a lock that took too long, a key that another transaction took meanwhile. */
const AGAIN = new Set(['40P01', '40001', LOCK_NOT_AVAILABLE, '23505']);

function isWorthAnotherRun(error: unknown, run: number): boolean {
  if (error instanceof ConnectionLost || error instanceof Unacknowledged || mustLeave(error)) return true;
  return AGAIN.has(sqlStateOf(error) ?? '') && run < MOST_RUNS;
}

/** The server shuts down, starts, or has become a standby. */
export function mustLeave(error: unknown): boolean {
  const state = sqlStateOf(error) ?? '';
  return state === '25006' || state.startsWith('57P') || state.startsWith('08');
}
