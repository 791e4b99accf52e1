/**
 * The due destinations. Remembers the earliest next attempt of each one, and reads those again that changed here. What other machines
 * changed is read after some seconds. The memory may be wrong without harm: a destination without due mail gives no claim.
 */
import { SECOND } from '../../system/clock.ts';
import type { Due } from '../message-store.ts';
import { LEFT_TO_OTHERS } from './claim-rows.ts';
import type { DatabaseTransaction } from './database-transaction.ts';

const KNOWN_FOR = 2 * SECOND;
/** Reading all takes the server longer the more destinations there are: no more than a tenth of the time. */
const REST = 10;
const LONGEST_REST = 20 * SECOND;
/** So few are always read again: it takes less than a millisecond. */
const FEW = 100;
/** So many rows of a destination are looked at for one that is not left to another relay. Those before it leave when they are tried. */
const LOOKED_AT = 20;
const EARLIEST = '(SELECT min(next_attempt) FROM recipients WHERE next_attempt IS NOT NULL AND destination = d.name)';
const EARLIEST_OF_OURS = `
  (SELECT min(CASE WHEN tried_by = ANY($2::text[]) THEN next_attempt + ${LEFT_TO_OTHERS} ELSE next_attempt END) FROM (
     SELECT next_attempt, tried_by FROM recipients WHERE next_attempt IS NOT NULL AND destination = d.name
     ORDER BY next_attempt LIMIT ${LOOKED_AT}) f)`;
const FIRST = 'SELECT r.destination, r.next_attempt FROM recipients r WHERE r.next_attempt IS NOT NULL';
const IN_ORDER = 'ORDER BY r.destination, r.next_attempt LIMIT 1';
/** One seek for each destination, not for each recipient: to the earliest of its recipients. */
const allDestinations = (earliest: string) => `
  WITH RECURSIVE d (name, earliest) AS (
    (${FIRST} ${IN_ORDER})
    UNION ALL
    SELECT f.destination, f.next_attempt FROM d CROSS JOIN LATERAL (${FIRST} AND r.destination > d.name ${IN_ORDER}) f
  )
  SELECT name, ${earliest} AS earliest FROM d WHERE $1::text[] IS NOT NULL`;
const someDestinations = (earliest: string) => `SELECT name, ${earliest} AS earliest FROM unnest($1::text[]) AS d (name)`;
const ALONE = { all: allDestinations('earliest'), some: someDestinations(EARLIEST) } as const;
const SHARED = { all: allDestinations(EARLIEST_OF_OURS), some: someDestinations(EARLIEST_OF_OURS) } as const;

type Question = {
  readonly now: number;
  readonly limit: number;
  /** The other relays that lived some seconds ago. A destination that is named by mistake gives no claim. */
  readonly others: readonly string[];
};

/**
 * What one run of a transaction has changed. It is read again after the commit: a read before would find the rows as they were, and nothing
 * would ask a second time.
 */
export class DueChanges {
  readonly destinations = new Set<string>();

  touch(destination: string): void {
    this.destinations.add(destination);
  }
}

export class DueMemory {
  readonly #earliest = new Map<string, number>();
  readonly #touched = new Set<string>();
  #knownUntil = 0;
  #forgotten = 0;

  /** To be called when the transaction is committed. */
  changed({ destinations }: DueChanges): void {
    for (const destination of destinations) this.#touched.add(destination);
  }

  forget(): void {
    this.#knownUntil = 0;
    this.#forgotten++;
  }

  async read(tx: DatabaseTransaction, { now, limit, others }: Question): Promise<{ due: readonly Due[]; nextAt: number | null }> {
    await this.#refresh(tx, others);
    const due: Due[] = [];
    let nextAt = Number.POSITIVE_INFINITY;
    for (const [destination, nextAttemptAt] of this.#earliest) {
      if (nextAttemptAt <= now) due.push({ destination, nextAttemptAt });
      else if (nextAttemptAt < nextAt) nextAt = nextAttemptAt;
    }
    due.sort((a, b) => a.nextAttemptAt - b.nextAttemptAt);
    return { due: due.slice(0, limit), nextAt: nextAt === Number.POSITIVE_INFINITY ? null : nextAt };
  }

  async #refresh(tx: DatabaseTransaction, others: readonly string[]): Promise<void> {
    type Found = { name: string; earliest: number | null };
    const touched = [...this.#touched];
    this.#touched.clear();
    const [begun, forgotten] = [performance.now(), this.#forgotten];
    const all = begun >= this.#knownUntil;
    if (!all && touched.length === 0) return;
    try {
      const names = all ? [] : touched;
      const rows =
        others.length === 0
          ? await tx.all<Found>(ALONE[all ? 'all' : 'some'], names)
          : await tx.all<Found>(SHARED[all ? 'all' : 'some'], names, others);
      if (all) this.#earliest.clear();
      for (const { name, earliest } of rows) {
        if (earliest === null) this.#earliest.delete(name);
        else this.#earliest.set(name, earliest);
      }
      // What was to be forgotten while it was read may be in it.
      if (all && rows.length > FEW && forgotten === this.#forgotten) {
        const now = performance.now();
        this.#knownUntil = now + Math.min(Math.max(KNOWN_FOR, REST * (now - begun)), LONGEST_REST);
      }
    } catch (error) {
      this.forget();
      throw error;
    }
  }
}
