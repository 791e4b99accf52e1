/**
 * The due destinations. Remembers the earliest next attempt of each one, and reads those again that changed here. What other machines
 * changed is read after some seconds. The memory may be wrong without harm: a destination without due mail gives no claim.
 */
import { SECOND } from '../../system/clock.ts';
import type { Due } from '../message-store.ts';
import type { DatabaseTransaction } from './database-transaction.ts';

const KNOWN_FOR = 2 * SECOND;
/** So few are always read again: it takes less than a millisecond. */
const FEW = 100;
/** One seek for each destination, not for each recipient. */
const ALL_DESTINATIONS = `
  WITH RECURSIVE d (name) AS (
    (SELECT destination FROM recipients WHERE next_attempt IS NOT NULL ORDER BY destination LIMIT 1)
    UNION ALL
    SELECT (SELECT destination FROM recipients WHERE next_attempt IS NOT NULL AND destination > d.name ORDER BY destination LIMIT 1)
    FROM d WHERE d.name IS NOT NULL
  )
  SELECT name, (SELECT min(next_attempt) FROM recipients WHERE next_attempt IS NOT NULL AND destination = d.name) AS earliest
  FROM d WHERE name IS NOT NULL`;
const SOME_DESTINATIONS = `
  SELECT name, (SELECT min(next_attempt) FROM recipients WHERE next_attempt IS NOT NULL AND destination = name) AS earliest
  FROM unnest($1::text[]) AS d (name)`;

export class DueMemory {
  readonly #earliest = new Map<string, number>();
  readonly #touched = new Set<string>();
  #knownUntil = 0;

  touch(destination: string): void {
    this.#touched.add(destination);
  }

  forget(): void {
    this.#knownUntil = 0;
  }

  async read(tx: DatabaseTransaction, now: number, limit: number): Promise<{ due: readonly Due[]; nextAt: number | null }> {
    await this.#refresh(tx);
    const due: Due[] = [];
    let nextAt = Number.POSITIVE_INFINITY;
    for (const [destination, nextAttemptAt] of this.#earliest) {
      if (nextAttemptAt <= now) due.push({ destination, nextAttemptAt });
      else if (nextAttemptAt < nextAt) nextAt = nextAttemptAt;
    }
    due.sort((a, b) => a.nextAttemptAt - b.nextAttemptAt);
    return { due: due.slice(0, limit), nextAt: nextAt === Number.POSITIVE_INFINITY ? null : nextAt };
  }

  async #refresh(tx: DatabaseTransaction): Promise<void> {
    type Found = { name: string; earliest: number | null };
    const touched = [...this.#touched];
    this.#touched.clear();
    const all = performance.now() >= this.#knownUntil;
    if (!all && touched.length === 0) return;
    try {
      const rows = all ? await tx.all<Found>(ALL_DESTINATIONS) : await tx.all<Found>(SOME_DESTINATIONS, touched);
      if (all) this.#earliest.clear();
      for (const { name, earliest } of rows) {
        if (earliest === null) this.#earliest.delete(name);
        else this.#earliest.set(name, earliest);
      }
      if (all && rows.length > FEW) this.#knownUntil = performance.now() + KNOWN_FOR;
    } catch (error) {
      this.forget();
      throw error;
    }
  }
}
