/** The feed of changes, for caches in all processes. Each topic has one row, which gets a new number with each change. */
import type { Change } from '../store.ts';
import type { Database } from './database.ts';

/** When the feed was interrupted. */
export const ANY_CHANGE: readonly Change[] = [
  ...(['credentials', 'limits', 'keys', 'certificates', 'policies', 'notices', 'console', 'audit', 'queue:*'] as const),
];
/** Changes of more destinations are reported as `queue:*`. */
const MOST_DESTINATIONS = 100;

const lastOf = (db: Database) => db.get<{ seq: number | null }>('SELECT max(seq) AS seq FROM changes')?.seq ?? 0;

/** Remembers the last number that this process has read. It skips the changes of this process. */
export class Feed {
  #read = 0;

  start(db: Database): void {
    this.#read = lastOf(db);
  }

  /** Runs in the transaction of the changes. @returns a function to call after the commit. */
  write(db: Database, changes: ReadonlySet<Change>): () => void {
    if (changes.size === 0) return () => {};
    const before = lastOf(db);
    for (const topic of changes) db.run('INSERT OR REPLACE INTO changes (topic) VALUES (?)', topic);
    const after = lastOf(db);
    return () => {
      if (this.#read === before) this.#read = after; // else another process has written too, and `read` returns both
    };
  }

  /** The changes of other processes since the last call. */
  read(db: Database): readonly Change[] {
    const rows = db.all<{ seq: number; topic: Change }>('SELECT seq, topic FROM changes WHERE seq > ? ORDER BY seq', this.#read);
    this.#read = rows.at(-1)?.seq ?? this.#read;
    return rows.map(({ topic }) => topic);
  }
}

/** Limits the number of rows of a large change. */
export function bounded(changes: ReadonlySet<Change>): ReadonlySet<Change> {
  if (changes.size <= MOST_DESTINATIONS) return changes;
  const rest = [...changes].filter((change) => !change.startsWith('queue:'));
  return new Set<Change>([...rest, 'queue:*']);
}

/** Removes the rows of destinations, which would only grow. Only for the sweep, when no other process reads them. */
export function forgetDestinations({ db }: { readonly db: Database }): void {
  db.run("DELETE FROM changes WHERE topic >= 'queue:' AND topic < 'queue;'");
}
