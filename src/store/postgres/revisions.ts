/**
 * The feed of changes between processes. A row says which transaction of a process changed a topic last. A reader asks for all
 * transactions that had not ended when it read before, because they do not become visible in the order of their numbers.
 */
import { bounded } from '../sqlite/feed.ts';
import type { Change } from '../store.ts';
import type { DatabaseSession } from './database-session.ts';
import type { DatabaseTransaction } from './database-transaction.ts';

const WRITE = `
  INSERT INTO changes (topic, writer, xid, at)
  SELECT topic, $2, pg_current_xact_id(), clock_timestamp() FROM unnest($1::text[]) AS c (topic) ORDER BY topic
  ON CONFLICT (topic, writer) DO UPDATE SET xid = excluded.xid, at = excluded.at`;
const READ = `
  SELECT topic, writer, xid::text AS xid, pg_snapshot_xmin(pg_current_snapshot())::text AS unseen
  FROM (SELECT 1) AS one LEFT JOIN changes ON xid >= $1::text::xid8 AND writer <> $2`;

/** Part of the transaction that changes. */
export function writeChanges(tx: DatabaseTransaction, changes: ReadonlySet<Change>, writer: string): readonly Change[] {
  const few = [...bounded(changes)].sort();
  if (few.length > 0) void tx.send(WRITE, few, writer);
  return few;
}

export class Revisions {
  #unseen = '0';
  readonly #told = new Map<string, string>();
  #isFirst = true;

  /** The changes of other processes since the last call. The first call returns none. */
  async read(session: DatabaseSession, writer: string): Promise<readonly Change[]> {
    type Found = { topic: Change | null; writer: string; xid: string; unseen: string };
    const { rows } = await session.ask<Found>(READ, [this.#unseen, writer]);
    const found = new Set<Change>();
    const still = new Map<string, string>();
    for (const { topic, writer: by, xid } of rows) {
      if (topic === null) continue;
      const key = `${topic} ${by}`;
      if (this.#told.get(key) !== xid) found.add(topic);
      still.set(key, xid);
    }
    this.#told.clear();
    for (const [key, xid] of still) this.#told.set(key, xid);
    this.#unseen = rows[0]!.unseen;
    const first = this.#isFirst;
    this.#isFirst = false;
    return first ? [] : [...found];
  }
}
