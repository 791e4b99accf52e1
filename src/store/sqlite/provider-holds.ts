/** Recipients that wait because a provider refuses our address. */
import type { HeldMail } from '../message-view.ts';
import type { Context } from './context.ts';

export function heldByProvider({ db }: Context): readonly HeldMail[] {
  return db.all<HeldMail>(
    `SELECT h.provider, h.recipients, m.accepted_at AS oldestAcceptedAt
     FROM (SELECT held_by AS provider, count(*) AS recipients, min(message) AS oldest FROM recipients
           WHERE held_by IS NOT NULL GROUP BY held_by) h
     JOIN messages m ON m.id = h.oldest ORDER BY h.provider`,
  );
}

/** A probe is looked for in so many messages. */
const LOOKED_AT = 1000;
const SMALL = 100 * 1024;

/** Queue ids grow with time, so that the order of ids is that of age. */
const OLDEST = `
  SELECT message, n, destination, attempts FROM recipients
  WHERE held_by = ? AND next_attempt IS NOT NULL ORDER BY message, n LIMIT ?`;
const OLDEST_OF_OTHERS = `
  SELECT r.message, r.n, r.destination, r.attempts FROM recipients r JOIN messages m ON m.id = r.message
  WHERE r.held_by = ?1 AND r.next_attempt IS NOT NULL AND (m.user IS NULL OR m.user NOT IN (SELECT value FROM json_each(?2)))
  ORDER BY r.message, r.n LIMIT ${LOOKED_AT}`;
const NEXT_MESSAGE = `
  SELECT message, n, destination, attempts FROM recipients WHERE held_by = ?1 AND next_attempt IS NOT NULL
  AND message = (SELECT min(message) FROM recipients WHERE held_by = ?1 AND next_attempt IS NOT NULL AND message > ?2)`;
const SUITS_AS_PROBE = `
  SELECT 1 FROM messages m WHERE m.id = ? AND m.size <= ${SMALL}
  AND NOT EXISTS (SELECT 1 FROM recipients r WHERE r.message = m.id AND r.n <> ?)`;

type ReleaseArgument = {
  readonly provider: string;
  readonly limit: number;
  readonly probe: boolean;
  readonly now: number;
  readonly after?: string;
  readonly avoid?: readonly string[];
};
type HeldRow = { readonly message: string; readonly n: number; readonly destination: string; readonly attempts: number };

export function releaseHeld(context: Context, request: ReleaseArgument): readonly string[] {
  const { db, due, effects } = context;
  const { now } = request;
  const released = toRelease(context, request);
  for (const { message, n, destination } of released) {
    db.run('UPDATE recipients SET next_attempt = ?, held_by = NULL WHERE message = ? AND n = ?', now, message, n);
    due.touch(destination);
    effects.changed(`queue:${destination}`);
  }
  return [...new Set(released.map(({ message }) => message))];
}

function toRelease(context: Context, { provider, limit, probe, after, avoid = [] }: ReleaseArgument): readonly HeldRow[] {
  const { db } = context;
  if (after !== undefined) return db.all<HeldRow>(NEXT_MESSAGE, provider, after);
  if (!probe) return db.all<HeldRow>(OLDEST, provider, limit);
  const oldest =
    avoid.length === 0
      ? db.all<HeldRow>(OLDEST, provider, LOOKED_AT)
      : db.all<HeldRow>(OLDEST_OF_OTHERS, provider, JSON.stringify(avoid));
  return inOrderOfProbes(oldest, context).slice(0, limit);
}

/**
 * Suitable ones first, but rather any than none. Of them the one that was tried least: a recipient that alone is refused, in whatever words,
 * must not be each probe.
 */
function inOrderOfProbes(oldest: readonly HeldRow[], { db }: Context): readonly HeldRow[] {
  const unsuitable = new Set(oldest.filter(({ message, n }) => db.get(SUITS_AS_PROBE, message, n) === undefined));
  return oldest.toSorted((a, b) => Number(unsuitable.has(a)) - Number(unsuitable.has(b)) || a.attempts - b.attempts);
}
