/** The queue by destination or by login, for lists. */
import type { RecipientState } from '../message-store.ts';
import type { QueueGroup, QueueGroupQuery } from '../message-view.ts';
import type { Context } from './context.ts';
import { ENDED, stateName } from './states.ts';

/** `by` is a place in `BY`: no text of a caller becomes part of a statement. */
const BY: Readonly<Record<QueueGroupQuery['by'], string>> = { destination: 'r.destination', user: "coalesce(m.user, '')" };

type Counts = Readonly<Record<`s${number}`, number>>;
type GroupRow = Omit<QueueGroup, 'states'> & Counts;

/** Columns that count recipients by state. */
export const STATE_COUNTS = Array.from(
  { length: ENDED },
  (_, state) => `sum(CASE r.state WHEN ${state} THEN 1 ELSE 0 END) AS s${state}`,
);

export function queueGroups({ db }: Context, { by, users, limit }: QueueGroupQuery): QueueGroup[] {
  const name = BY[by];
  const rows = db.all<GroupRow>(
    `SELECT g.*, m.accepted_at AS oldestAcceptedAt,
       (SELECT r.last_reply FROM recipients r WHERE r.message = g.oldest AND r.state < ${ENDED} AND r.last_reply IS NOT NULL
          AND ${name} = g.name ORDER BY r.n LIMIT 1) AS lastReply
     FROM (SELECT ${name} AS name, count(*) AS recipients, count(DISTINCT r.message) AS messages, min(r.message) AS oldest,
             min(r.next_attempt) AS nextAttemptAt, ${STATE_COUNTS.join(', ')}
           FROM open o CROSS JOIN messages m ON m.id = o.id CROSS JOIN recipients r ON r.message = o.id
           WHERE r.state < ${ENDED} AND (?1 IS NULL OR m.user COLLATE NOCASE IN (SELECT value FROM json_each(?1)))
           GROUP BY name ORDER BY count(*) DESC, name LIMIT ?2) g
     JOIN messages m ON m.id = g.oldest ORDER BY g.recipients DESC, g.name`,
    users === undefined ? null : JSON.stringify(users),
    limit,
  );
  return rows.map(decodeGroup);
}

export function decodeGroup(row: GroupRow): QueueGroup {
  const { name, recipients, messages, oldestAcceptedAt, nextAttemptAt, lastReply } = row;
  const states: Partial<Record<RecipientState, number>> = {};
  for (let state = 0; state < ENDED; state++) {
    const count = row[`s${state}`] ?? 0;
    if (count > 0) states[stateName(state)!] = count;
  }
  return { name, recipients, messages, states, oldestAcceptedAt, nextAttemptAt, lastReply };
}
