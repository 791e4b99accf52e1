/** Counts about the queue, for metrics, `queue summary` and the rotation of keys. */
import type { RecipientState } from '../message-store.ts';
import type { Context } from './context.ts';
import { isCorrupt } from './database.ts';
import { ACTIVE, ENDED, stateName } from './states.ts';

type Counts = {
  readonly states: Readonly<Partial<Record<RecipientState, number>>>;
  readonly oldestAcceptedAt: number | null;
};

/** Reads the counters. The transactions that change states keep them. */
export function counts({ db }: Context): Counts {
  const states: Partial<Record<RecipientState, number>> = {};
  for (const { name, value } of db.all<{ name: string; value: number }>(
    "SELECT name, value FROM counters WHERE name LIKE 's_'",
  )) {
    const state = Number(name.slice(1));
    const word = stateName(state);
    if (word !== undefined && state < ENDED && value > 0) states[word] = value;
  }
  // Queue ids grow with time, so that the first open message is the oldest.
  const oldest = db.get<{ at: number }>('SELECT accepted_at AS at FROM messages WHERE id = (SELECT min(id) FROM open)');
  return { states, oldestAcceptedAt: oldest?.at ?? null };
}

type Summary = { destination: string; recipients: number; oldestAcceptedAt: number; nextAttemptAt: number | null };

export function summary({ db }: Context, limit: number): Summary[] {
  return db.all<Summary>(
    `SELECT s.destination, s.recipients, m.accepted_at AS oldestAcceptedAt, s.next AS nextAttemptAt
     FROM (SELECT r.destination, count(*) AS recipients, min(r.message) AS oldest, min(r.next_attempt) AS next
           FROM open o CROSS JOIN recipients r ON r.message = o.id WHERE r.state <= ${ACTIVE}
           GROUP BY r.destination ORDER BY count(*) DESC, r.destination LIMIT ?) s
     JOIN messages m ON m.id = s.oldest ORDER BY s.recipients DESC, s.destination`,
    limit,
  );
}

/** The ids of new messages must be above this one. null: there is none, or it cannot be read. */
export function queueIds({ db }: Context): { readonly node: number | null; readonly newest: string | null } {
  const node = unlessDamaged(
    () => db.get<{ value: string }>("SELECT value FROM small_values WHERE name = 'instance.node'")?.value,
  );
  const newest = unlessDamaged(() => db.get<{ id: string | null }>('SELECT max(id) AS id FROM messages')?.id);
  return { node: node == null ? null : Number(node), newest: newest ?? null };
}

/** A damaged page must not stop the start. */
function unlessDamaged<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isCorrupt(error)) return undefined;
    throw error;
  }
}

const STEP_MESSAGES = 5000;

/** `after`: the start of the next step. null: the walk is complete. */
export function signatureInUse({ db }: Context, a: { name: string; after: string }): { found: boolean; after: string | null } {
  const last = db.get<{ id: string }>(
    'SELECT id FROM open WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?',
    a.after,
    STEP_MESSAGES,
  )?.id;
  const found = db.get(
    `SELECT 1 FROM open o CROSS JOIN messages m ON m.id = o.id
     WHERE o.id > ? AND o.id <= ? AND instr(' ' || m.signatures || ' ', ' ' || ? || ' ') LIMIT 1`,
    a.after,
    last ?? '\uffff',
    a.name,
  );
  return { found: found !== undefined, after: last ?? null };
}
