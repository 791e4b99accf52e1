/** Which destinations are due: a memory of the earliest next attempt of each, refreshed from the index where something changed. */
import type { Due } from '../message-store.ts';
import type { Database } from './database.ts';

/** Reading one row a destination, never one a recipient: seeks from each destination to the next in `recipients_due`. */
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
 * Nothing depends on its being right: a destination that is missing is found when the memory is made anew, one too many
 * yields no claim.
 */
export class DueDestinations {
  readonly #earliest = new Map<string, number>();
  readonly #touched = new Set<string>();
  /** Destinations whose rows cannot be read, until when they are left alone. */
  readonly #unreadable = new Map<string, number>();
  #known = false;

  touch(destination: string): void {
    this.#touched.add(destination);
  }

  /** Another process changed the store, or this one opened it. */
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
