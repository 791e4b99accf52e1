/** What changed, for all that keep something in memory: a row a topic, numbered anew with each change. */
import type { Change } from '../store.ts';
import type { Database } from './database.ts';

/** More destinations than this at once are told as `queue:*`. */
const MOST_DESTINATIONS = 100;

const lastOf = (db: Database) => db.get<{ seq: number | null }>('SELECT max(seq) AS seq FROM changes')?.seq ?? 0;

/** How far this process has read; its own changes are not among what it reads. */
export class Feed {
  #read = 0;

  start(db: Database): void {
    this.#read = lastOf(db);
  }

  /** In the transaction of the changes. @returns what to call once it is committed. */
  write(db: Database, changes: ReadonlySet<Change>): () => void {
    if (changes.size === 0) return () => {};
    const before = lastOf(db);
    for (const topic of changes) db.run('INSERT OR REPLACE INTO changes (topic) VALUES (?)', topic);
    const after = lastOf(db);
    return () => {
      if (this.#read === before) this.#read = after; // else another process has written, and all of it is read soon
    };
  }

  /** What others have changed since. */
  read(db: Database): readonly Change[] {
    const rows = db.all<{ seq: number; topic: Change }>('SELECT seq, topic FROM changes WHERE seq > ? ORDER BY seq', this.#read);
    this.#read = rows.at(-1)?.seq ?? this.#read;
    return rows.map(({ topic }) => topic);
  }
}

/** Bounded: whoever changes much changes it for all destinations. */
export function bounded(changes: ReadonlySet<Change>): ReadonlySet<Change> {
  if (changes.size <= MOST_DESTINATIONS) return changes;
  const rest = [...changes].filter((change) => !change.startsWith('queue:'));
  return new Set<Change>([...rest, 'queue:*']);
}

/** For a start that knows that nobody reads: the topics of destinations would only grow. */
export function forgetDestinations({ db }: { readonly db: Database }): void {
  db.run("DELETE FROM changes WHERE topic >= 'queue:' AND topic < 'queue;'");
}
