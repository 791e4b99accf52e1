/**
 * The processes that have the store open. Each takes the lowest free number, which is the node in its queue ids and names its rows in
 * `writers`. It gives a sign of life by the clock of the database; after 30 s of silence its number is free.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { NODES } from '../../smtp/queue-id.ts';
import { SECOND, sharedMonotonic } from '../../system/clock.ts';
import { VERSION } from '../../system/version.ts';
import { StoreError } from '../opening.ts';
import type { OtherRelay } from '../store.ts';
import type { DatabaseSession } from './database-session.ts';
import type { WriterRow } from './database-transaction.ts';
import type { PostgresContext } from './postgres-context.ts';
import { ADVISORY_LOCK, formatOf, MOVE_LOCK } from './postgres-schema.ts';

const SLOW = SECOND;
const BEAT = 5 * SECOND;
/** What each writing connection is for. */
export const MAIL = 0;
export const REST = 1;

export type Node = {
  readonly id: number;
  /** Random: one run of one process. */
  readonly incarnation: string;
  readonly rows: Readonly<Record<typeof MAIL | typeof REST, WriterRow>>;
};

/** When a sign of life is due: each five seconds, and at once for settings that no sign has told yet. Times by `performance.now()`. */
export class SignTimes {
  #at = Number.NEGATIVE_INFINITY;
  #announced = 0;
  #told = 0;

  /** There are other settings to tell, perhaps while a sign is under way, which has the old ones. */
  announce(): void {
    this.#announced++;
  }

  isDue(now: number): boolean {
    return this.isUntold || now - this.#at >= BEAT;
  }

  get isUntold(): boolean {
    return this.#told < this.#announced;
  }

  /** @returns to be called when the sign that begins now has been given. */
  begin(): (now: number) => void {
    const announced = this.#announced;
    return (now) => {
      this.#told = announced;
      this.#at = now;
    };
  }
}

const TAKE = `
  INSERT INTO nodes (id, incarnation, seen_at, started_at, machine, pid, version, name, config_digest)
  SELECT min(g.id), $1, clock_timestamp(), clock_timestamp(), $3, $4, $5, $6, $7 FROM generate_series(0, $2::int - 1) AS g (id)
  WHERE NOT EXISTS (SELECT 1 FROM nodes n WHERE n.id = g.id AND n.seen_at > clock_timestamp() - interval '30 s')
  ON CONFLICT (id) DO UPDATE SET incarnation = excluded.incarnation, seen_at = excluded.seen_at, started_at = excluded.started_at,
    machine = excluded.machine, pid = excluded.pid, version = excluded.version, name = excluded.name,
    config_digest = excluded.config_digest
  RETURNING id`;
/** The counts of the process before stay in the row. */
const TAKE_WRITER = `
  INSERT INTO writers (node, kind, mark) VALUES ($1, $2, $3) ON CONFLICT (node, kind) DO UPDATE SET mark = excluded.mark`;

/** @param digest of the settings; undefined: this is no relay, or not yet. */
export async function takeNode(session: DatabaseSession, name: string, digest?: string): Promise<Node> {
  const incarnation = randomBytes(9).toString('hex');
  await session.ask('BEGIN');
  try {
    await session.ask('SET LOCAL synchronous_commit = on');
    await session.ask('SELECT pg_advisory_xact_lock($1)', [ADVISORY_LOCK]);
    await refuseClosed(session);
    const { rows } = await session.ask<{ id: number }>(TAKE, [
      incarnation,
      NODES,
      hostname(),
      process.pid,
      VERSION,
      name,
      digest ?? null,
    ]);
    const { id } = rows[0]!;
    const marks = [MAIL, REST].map((kind) => ({ node: id, kind, mark: randomBytes(5).readUIntBE(0, 5) }));
    for (const { kind, mark } of marks) await session.ask(TAKE_WRITER, [id, kind, mark]);
    await session.ask('COMMIT');
    return { id, incarnation, rows: { [MAIL]: marks[0]!, [REST]: marks[1]! } };
  } catch (error) {
    await session.ask('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** @throws StoreError while a whole store is carried into the database or out of it, and when its data are elsewhere. */
async function refuseClosed(session: DatabaseSession): Promise<void> {
  const { rows } = await session.ask<{ free: boolean }>('SELECT pg_try_advisory_xact_lock_shared($1) AS free', [MOVE_LOCK]);
  if (!rows[0]!.free)
    throw new StoreError('A `smarthost store move`, backup or restore has the database for itself: wait until it ends');
  const { state, note } = (await formatOf(session)) ?? { state: null, note: null };
  if (state === 'filled')
    throw new StoreError(
      'A `smarthost store move` into this database has not ended: run the same command again, it does the last step',
    );
  if (state === 'moved')
    throw new StoreError(`The data of this database were moved to ${movedTo(note)}: change \`store\` in the configuration`);
}

/** The place in the note of a move. */
const movedTo = (note: string | null) => (JSON.parse(note ?? '{}') as { to?: string }).to ?? 'another store';

/** The processes that have the store open now. */
export async function livingNodes(session: DatabaseSession): Promise<readonly { machine: string; pid: number }[]> {
  const sql = `SELECT machine, pid FROM nodes WHERE seen_at > clock_timestamp() - interval '30 s' ORDER BY id`;
  return (await session.ask<{ machine: string; pid: number }>(sql)).rows;
}

/**
 * A sign of life. @param digest of the settings; undefined: this is no relay. @returns false if the number was given to another process, or
 * is not known to the database any more.
 */
export async function keepNode(session: DatabaseSession, node: Node, digest: string | undefined): Promise<boolean> {
  const sql = 'UPDATE nodes SET seen_at = clock_timestamp(), config_digest = $3 WHERE id = $1 AND incarnation = $2';
  return (await session.ask(sql, [node.id, node.incarnation, digest ?? null])).count > 0;
}

/** The condition of a row of `nodes`. A command is no relay: it has announced no settings. */
export const isLivingRelay = (row: string) =>
  `${row}.config_digest IS NOT NULL AND ${row}.seen_at > clock_timestamp() - interval '30 s'`;

const OTHERS = `
  SELECT n.name, n.config_digest AS digest FROM nodes n WHERE n.id <> $1 AND ${isLivingRelay('n')} ORDER BY n.name, n.id`;

/** The other relays that live, in the order of their names. */
export async function livingOthers(session: DatabaseSession, { id }: Node): Promise<readonly OtherRelay[]> {
  return (await session.ask<OtherRelay>(OTHERS, [id])).rows;
}

/** The same, for who cannot do with what was seen some seconds ago. */
export const othersNow = ({ tx, node }: PostgresContext): Promise<readonly OtherRelay[]> => tx.all<OtherRelay>(OTHERS, node);

/** @returns milliseconds: the clock of the database minus that of this process. undefined: the answer was too slow to know it. */
export async function readClock(session: DatabaseSession): Promise<number | undefined> {
  const asked = sharedMonotonic();
  const { rows } = await session.ask<{ at: number }>('SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS at');
  const answered = sharedMonotonic();
  return answered - asked > SLOW ? undefined : rows[0]!.at - (asked + answered) / 2;
}

export async function leaveNode(session: DatabaseSession, { id, incarnation }: Node): Promise<void> {
  await session.ask('DELETE FROM nodes WHERE id = $1 AND incarnation = $2', [id, incarnation]);
}
