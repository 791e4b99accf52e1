/** The due destinations. Remembers the earliest next attempt of each one, and reads it again from the index after a change. */
import type { Due } from '../message-store.ts';
import type { Database } from './database.ts';

/** Reads one row for each destination, not for each recipient: it seeks from each destination to the next in `recipients_due`. */
const ALL_DESTINATIONS = `
  WITH RECURSIVE d (name) AS (
    SELECT min(destination) FROM recipients INDEXED BY recipients_due WHERE next_attempt IS NOT NULL
    UNION ALL
    SELECT (SELECT min(destination) FROM recipients INDEXED BY recipients_due
            WHERE next_attempt IS NOT NULL AND destination > d.name)
    FROM d WHERE d.name IS NOT NULL
  )
  SELECT name, (SELECT min(next_attempt) FROM recipients INDEXED BY recipients_due
                WHERE next_attempt IS NOT NULL AND destination = d.name) AS earliest
  FROM d WHERE name IS NOT NULL`;
const ONE_DESTINATION = `
  SELECT min(next_attempt) AS earliest FROM recipients INDEXED BY recipients_due
  WHERE next_attempt IS NOT NULL AND destination = ?`;

/**
 * The memory may be wrong without harm. A missing destination is found when all are read again, and a destination without due mail
 * gives no claim.
 */
export class DueDestinations {
  readonly #earliest = new Map<string, number>();
  readonly #touched = new Set<string>();
  /** Destinations whose rows cannot be read, and the time when they are tried again. */
  readonly #unreadable = new Map<string, number>();
  #known = false;

  touch(destination: string): void {
    this.#touched.add(destination);
  }

  /** Called after another process changed the store, and after the database was opened. */
  forget(): void {
    this.#known = false;
  }

  leaveAlone(destination: string, until: number): void {
    this.#unreadable.set(destination, until);
  }

  isLeftAlone(destination: string, now: number): boolean {
    const until = this.#unreadable.get(destination);
    if (until === undefined || now < until) return until !== undefined;
    this.#unreadable.delete(destination);
    return false;
  }

  read(db: Database, now: number, limit: number): { readonly due: readonly Due[]; readonly nextAt: number | null } {
    this.#refresh(db);
    const due: Due[] = [];
    let nextAt = Number.POSITIVE_INFINITY;
    for (const [destination, nextAttemptAt] of this.#earliest) {
      if (this.#unreadable.size > 0 && this.isLeftAlone(destination, now)) continue;
      if (nextAttemptAt <= now) due.push({ destination, nextAttemptAt });
      else if (nextAttemptAt < nextAt) nextAt = nextAttemptAt;
    }
    due.sort((a, b) => a.nextAttemptAt - b.nextAttemptAt);
    return { due: due.slice(0, limit), nextAt: nextAt === Number.POSITIVE_INFINITY ? null : nextAt };
  }

  #refresh(db: Database): void {
    if (!this.#known) {
      this.#earliest.clear();
      for (const row of db.iterate<{ name: string; earliest: number }>(ALL_DESTINATIONS))
        this.#earliest.set(row.name, row.earliest);
      this.#known = true;
    } else {
      for (const destination of this.#touched) this.#refreshOne(db, destination);
    }
    this.#touched.clear();
  }

  #refreshOne(db: Database, destination: string): void {
    const earliest = db.get<{ earliest: number | null }>(ONE_DESTINATION, destination)?.earliest ?? null;
    if (earliest === null) this.#earliest.delete(destination);
    else this.#earliest.set(destination, earliest);
  }
}
