/** Who claims, and who of them lives: a row an owner, with its last sign of life by this machine's clock. */
import { SECOND } from '../../system/clock.ts';
import type { Context } from './context.ts';
import type { Database } from './database.ts';

/** In place of a time: found dead. */
const DEAD = 0;
/** All that held claims before it is known who they were. */
const UNKNOWN = '';
/** A claim is a sign of life, but its row is written only where the last one is older. */
const FRESH = 5 * SECOND;

/** When which owner was last written by this thread, so that a claim seldom costs a row. */
export class SignsOfLife {
  readonly #writtenAt = new Map<string, number>();

  isFresh(owner: string, now: number): boolean {
    const at = this.#writtenAt.get(owner);
    return at !== undefined && Math.abs(now - at) < FRESH;
  }

  written(owner: string, now: number): void {
    this.#writtenAt.set(owner, now);
  }

  /** A transaction was rolled back, perhaps with such a row, or the database was opened anew. */
  forget(): void {
    this.#writtenAt.clear();
  }
}

/** The process that a lease belongs to. */
export const ownerOf = (lease: string) => (lease.includes('#') ? lease.slice(0, lease.lastIndexOf('#')) : lease);

/** @returns false where it was not known, or found dead. */
export function beat({ db, signs }: Context, owner: string): boolean {
  const now = Date.now();
  const last = db.get<{ at: number }>('SELECT beat_at AS at FROM owners WHERE name = ?', owner)?.at ?? DEAD;
  db.run('INSERT OR REPLACE INTO owners VALUES (?, ?)', owner, now);
  signs.written(owner, now);
  return last !== DEAD;
}

/** Whoever claims lives: its claims are nobody else's for as long as it does. */
export function claiming(context: Context, lease: string): void {
  const owner = ownerOf(lease);
  if (!context.signs.isFresh(owner, Date.now())) beat(context, owner);
}

/** @returns the dead, whose claims are to be taken back. A time that lies as far ahead is one of a clock that stood wrong. */
export function findDead(context: Context, { owner, silence }: { owner: string; silence: number }): readonly string[] {
  const { db } = context;
  beat(context, owner);
  db.run(
    'UPDATE owners SET beat_at = ?1 WHERE beat_at <> ?1 AND abs(beat_at - ?2) >= ?3 AND name <> ?4',
    ...[DEAD, Date.now(), silence, owner],
  );
  return db.all<{ name: string }>('SELECT name FROM owners WHERE beat_at = ?', DEAD).map(({ name }) => name);
}

export function livingOwners(db: Database): ReadonlySet<string> {
  return new Set(db.all<{ name: string }>('SELECT name FROM owners WHERE beat_at <> ?', DEAD).map(({ name }) => name));
}

/** Nothing is claimed by them any more. One that has come back to life meanwhile stays. */
export function forgetDead({ db }: Context, names: readonly string[]): void {
  for (const name of names) db.run('DELETE FROM owners WHERE name = ? AND beat_at = ?', name, DEAD);
}

/**
 * For the one process that has the instance lock, before it claims anything: whoever was here is dead. What they held of
 * single pieces of work is free too.
 */
export function buryAll({ db }: Context): void {
  db.run(
    `DELETE FROM small_values WHERE name >= 'lease.' AND name < 'lease/'
       AND substr(value, instr(value, ' ') + 1) IN (SELECT name FROM owners)`,
  );
  db.run('INSERT OR IGNORE INTO owners VALUES (?, ?)', UNKNOWN, DEAD);
  db.run('UPDATE owners SET beat_at = ?1 WHERE beat_at <> ?1', DEAD);
}
