/**
 * Finds a database that went back in time, as after a restore, before anything else is asked of it. What was sent since then is in its
 * queue again, so that all mail that waits in it is held until the operator releases it, as `smarthost restore` does.
 *
 * The database has the time of the last sign of life of any relay, and each relay keeps, in memory and in a file, the last one that the
 * database has acknowledged to it. A database that has less has forgotten.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { SECOND } from '../../system/clock.ts';
import { StoreError, type WentBack } from '../opening.ts';
import { ENDED, HELD } from '../sqlite/states.ts';
import type { DatabaseSession } from './database-session.ts';
import { formatOf } from './postgres-schema.ts';

/** Signs of life are not waited for, so that a failover may forget the last two. */
const FAILOVER = 12 * SECOND;
/** Messages of one statement. */
const STEP = 2000;

/** `database`: random, made with its tables. A copy of the database has it too. */
type Seen = { readonly database: string; readonly at: number };
/** `restored`: random, of the last time that the database was found to have gone back. */
type Life = Seen & { readonly restored: string };

type PastOptions = {
  /** Of this relay: keeps what it knows. undefined: nothing does but this process. */
  readonly file: string | undefined;
  /** The mail is held. */
  readonly onWentBack: (found: WentBack) => void;
  /** This relay, or another one, has held the mail. What this process still has in memory may be forgotten. */
  readonly onRestored: () => void;
  /** The file cannot be written, so that a restore while this relay is stopped would not be noticed. Told once. */
  readonly onForgetful: (error: Error) => void;
};

export class Past {
  readonly #options: PastOptions;
  #seen: Seen | undefined;
  #restored: string | undefined;
  /** The one that this process works with. */
  #database: string | undefined;
  #isKept = true;

  constructor(options: PastOptions) {
    this.#options = options;
    this.#seen = options.file === undefined ? undefined : readSeen(options.file);
  }

  /** A relay that had mail in another database must not begin with no logins and no queue. @throws StoreError */
  async refuseEmpty(session: DatabaseSession): Promise<void> {
    if (this.#seen !== undefined && (await formatOf(session)) === undefined) throw this.#emptyError();
  }

  #emptyError(): StoreError {
    return new StoreError(
      `The database is empty, and this relay has worked with another one: look at \`store\` in the configuration. To begin anew, remove ${this.#options.file}`,
    );
  }

  /** Before any other work in a session. @throws StoreError if it is not the database of this process. */
  async look(session: DatabaseSession): Promise<void> {
    if (this.#options.file === undefined && this.#seen === undefined) return; // a command
    const now = await lifeOf(session);
    const isOther = this.#database === undefined && this.#seen !== undefined && now?.database !== this.#seen.database;
    // Somebody who looked by a command has made the tables.
    if (isOther && (await isUnused(session))) throw this.#emptyError();
    this.#database ??= now?.database;
    this.#recognize(now);
    if (this.#seen === undefined || !this.#isPast(now)) return this.#follow(now);
    await session.ask('BEGIN');
    try {
      await session.ask(`SET LOCAL synchronous_commit = on`);
      // Another relay may do it at this moment.
      const found = await lifeOf(session, 'FOR UPDATE');
      const held = this.#isPast(found) ? await holdAll(session) : undefined;
      if (held !== undefined)
        await session.ask('UPDATE life SET at = greatest(time_ms(), $1), restored = gen_random_uuid()::text', [this.#seen.at]);
      const after = await lifeOf(session);
      await session.ask('COMMIT');
      if (held !== undefined) this.#options.onWentBack({ ...held, seconds: Math.round((this.#seen.at - found!.at) / SECOND) });
      this.#follow(after);
    } catch (error) {
      await session.ask('ROLLBACK').catch(() => {});
      throw error;
    }
  }

  /** For a session that was looked at, because the data may change under its hands. @throws StoreError as `look` does */
  async refuseOther(session: DatabaseSession): Promise<void> {
    if (this.#database !== undefined) this.#recognize(await lifeOf(session));
  }

  #recognize(now: Life | undefined): void {
    if (now?.database !== this.#database)
      throw new StoreError('the database has other data than this relay began with: it is used after a restart');
  }

  /** A sign of life. */
  async note(session: DatabaseSession): Promise<void> {
    await this.look(session);
    const sql = 'UPDATE life SET at = greatest(at, time_ms()) RETURNING database, at, restored';
    const life = (await session.ask<Life>(sql)).rows[0];
    if (life === undefined) return;
    const seen = { database: life.database, at: life.at };
    this.#seen = seen;
    this.#follow(life);
    const { file, onForgetful } = this.#options;
    if (file === undefined) return;
    try {
      keepSeen(file, seen);
      this.#isKept = true;
    } catch (cause) {
      const sentence = `${file} cannot be written (${(cause as NodeJS.ErrnoException).code}): a restore of the database while this relay is stopped would not be noticed`;
      if (this.#isKept) onForgetful(new Error(sentence, { cause }));
      this.#isKept = false;
    }
  }

  /** Hears of a restore that was found, once. */
  #follow(life: Life | undefined): void {
    if (life === undefined || life.database !== this.#seen?.database) return;
    if (this.#restored !== undefined && this.#restored !== life.restored) this.#options.onRestored();
    this.#restored = life.restored;
  }

  #isPast(found: Seen | undefined): boolean {
    const seen = this.#seen;
    return found !== undefined && found.database === seen?.database && seen.at - found.at > FAILOVER;
  }
}

/** undefined: there is none, or it is damaged, so that nothing is known. */
function readSeen(file: string): Seen | undefined {
  try {
    const { database, at } = JSON.parse(readFileSync(file, 'utf8'));
    return typeof database === 'string' && Number.isSafeInteger(at) ? { database, at } : undefined;
  } catch {
    return undefined;
  }
}

/** The file before is true too, so that a power cut does no harm. */
function keepSeen(file: string, seen: Seen): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, JSON.stringify(seen), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

async function lifeOf(session: DatabaseSession, lock = ''): Promise<Life | undefined> {
  return (await session.ask<Life>(`SELECT database, at, restored FROM life ${lock}`)).rows[0];
}

async function isUnused(session: DatabaseSession): Promise<boolean> {
  const sql = 'SELECT NOT EXISTS (SELECT FROM credentials) AND NOT EXISTS (SELECT FROM messages) AS unused';
  return (await session.ask<{ unused: boolean }>(sql)).rows[0]!.unused;
}

const HOLD = `
  WITH step AS (SELECT id FROM open WHERE id > $1 ORDER BY id LIMIT ${STEP}),
    waiting AS (SELECT message, n, state FROM recipients WHERE message IN (SELECT id FROM step) AND state < ${ENDED} FOR UPDATE),
    held AS (
      UPDATE recipients r SET state = ${HELD}, next_attempt = NULL, owner = NULL, held_by = NULL
      FROM waiting w WHERE r.message = w.message AND r.n = w.n RETURNING r.message, w.state)
  SELECT (SELECT max(id) FROM step) AS last, (SELECT count(DISTINCT message)::int FROM held) AS messages,
    (SELECT json_object_agg(state, count) FROM (SELECT state, count(*) FROM held GROUP BY state) s) AS states`;
type Held = { readonly last: string | null; readonly messages: number; readonly states: Record<number, number> | null };

/** In statements of a bounded size, so that none of them takes longer than a session waits for an answer. */
async function holdAll(session: DatabaseSession): Promise<Omit<WentBack, 'seconds'>> {
  const moved = [0, 0, 0, 0, 0];
  let messages = 0;
  for (let last: string | null = ''; last !== null; ) {
    const step: Held = (await session.ask<Held>(HOLD, [last])).rows[0]!;
    for (const [state, count] of Object.entries(step.states ?? {})) moved[Number(state)]! += count;
    messages += step.messages;
    last = step.last;
  }
  const recipients = moved.reduce((sum, count) => sum + count);
  moved[HELD]! -= recipients;
  // Any row will do, as they are summed.
  await session.ask(
    `UPDATE writers SET s0 = s0 - $1, s1 = s1 - $2, s2 = s2 - $3, s3 = s3 - $4, s4 = s4 - $5
     WHERE (node, kind) = (SELECT node, kind FROM writers ORDER BY node, kind LIMIT 1)`,
    moved,
  );
  // All mail waits for the operator now, and reports that were due may have been sent.
  await session.ask('DELETE FROM over_limit');
  await session.ask('UPDATE untold SET held = 1');
  await session.ask('DELETE FROM tls_results WHERE day < time_ms() / 86400000');
  await session.ask(`DELETE FROM tls_reports WHERE state = 'due'`);
  return { messages, recipients };
}
