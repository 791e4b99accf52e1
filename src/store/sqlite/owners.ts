/** The owners of claims. Each owner has a row with its last sign of life, by the clock of this machine. */
import { SECOND } from '../../system/clock.ts';
import type { Context } from './context.ts';
import type { Database } from './database.ts';

/** Stands in place of a time: the owner was found dead. */
const DEAD = 0;
/** The owner of claims whose owner has no row. */
const UNKNOWN = '';
/** A claim is a sign of life, but its row is written only if the last one is older than this. */
const FRESH = 5 * SECOND;

/** Remembers when this thread wrote the row of each owner, so that a claim seldom writes one. */
export class SignsOfLife {
  readonly #writtenAt = new Map<string, number>();

  isFresh(owner: string, now: number): boolean {
    const at = this.#writtenAt.get(owner);
    return at !== undefined && Math.abs(now - at) < FRESH;
  }

  written(owner: string, now: number): void {
    this.#writtenAt.set(owner, now);
  }

  /** Called after a rollback, which may have removed such a row, and after the database was opened again. */
  forget(): void {
    this.#writtenAt.clear();
  }
}

/** The owner in a lease. */
export const ownerOf = (lease: string) => (lease.includes('#') ? lease.slice(0, lease.lastIndexOf('#')) : lease);

/** @returns false if the owner was unknown, or found dead. */
export function beat({ db, signs }: Context, owner: string): boolean {
  const now = Date.now();
  const last = db.get<{ at: number }>('SELECT beat_at AS at FROM owners WHERE name = ?', owner)?.at ?? DEAD;
  db.run('INSERT OR REPLACE INTO owners VALUES (?, ?)', owner, now);
  signs.written(owner, now);
  return last !== DEAD;
}

/** A claim is a sign of life. While its owner lives, no other process takes its claims. */
export function claiming(context: Context, lease: string): void {
  const owner = ownerOf(lease);
  if (!context.signs.isFresh(owner, Date.now())) beat(context, owner);
}

/** @returns the dead owners, whose claims must be taken back. A time far in the future comes from a wrong clock, and counts as dead too. */
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

/** Removes dead owners without claims. An owner that gave a sign of life meanwhile is kept. */
export function forgetDead({ db }: Context, names: readonly string[]): void {
  for (const name of names) db.run('DELETE FROM owners WHERE name = ? AND beat_at = ?', name, DEAD);
}

/**
 * Marks all owners as dead, and frees their leases of work. Only for the process that has the instance lock, before its first claim.
 */
export function buryAll({ db }: Context): void {
  db.run(
    `DELETE FROM small_values WHERE name >= 'lease.' AND name < 'lease/'
       AND substr(value, instr(value, ' ') + 1) IN (SELECT name FROM owners)`,
  );
  db.run('INSERT OR IGNORE INTO owners VALUES (?, ?)', UNKNOWN, DEAD);
  db.run('UPDATE owners SET beat_at = ?1 WHERE beat_at <> ?1', DEAD);
}
