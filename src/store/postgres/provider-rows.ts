/** The states of providers, and what is held for them. */
import type { HeldMail } from '../message-view.ts';
import type { Shaping, TracedRefusal } from '../operation-store.ts';
import type { Argument, Result } from '../sqlite/operations.ts';
import type { DatabaseTransaction } from './database-transaction.ts';
import { columns } from './parameters.ts';
import type { OperationTable, PostgresContext } from './postgres-context.ts';
import { compare } from './windows.ts';

/** A probe is looked for in so many messages. */
const LOOKED_AT = 1000;
const SMALL = 100 * 1024;
const SHAPING_COLUMNS =
  'provider, source, family, state, since, until, step, sessions, rate, learned_cap AS "learnedCap", evidence';
const PUT_SHAPING = `
  INSERT INTO shaping (machine, provider, source, family, state, since, until, step, sessions, rate, learned_cap, evidence)
  SELECT $1, c.* FROM unnest($2::text[], $3::text[], $4::int[], $5::text[], $6::bigint[], $7::bigint[], $8::int[], $9::int[],
    $10::double precision[], $11::int[], $12::text[]) AS c
  ON CONFLICT (machine, provider, source, family) DO UPDATE SET state = excluded.state, since = excluded.since, until = excluded.until,
    step = excluded.step, sessions = excluded.sessions, rate = excluded.rate, learned_cap = excluded.learned_cap, evidence = excluded.evidence`;
/** The last state of each provider counts. */
export function sendShaping(tx: DatabaseTransaction, machine: string, all: readonly Shaping[]): void {
  const last = new Map(all.map((one) => [`${one.provider}\0${one.source}\0${one.family}`, one]));
  const rows = [...last.entries()]
    .toSorted((a, b) => compare(a[0], b[0]))
    .map(([, s]) => [
      ...[s.provider, s.source, s.family, s.state, s.since, s.until, s.step, s.sessions, s.rate, s.learnedCap, s.evidence],
    ]);
  if (rows.length > 0) void tx.send(PUT_SHAPING, machine, ...columns(rows, 11));
}

type ReleasedRow = { readonly message: string; readonly destination: string };

/** Queue ids grow with time, so that the order of ids is that of age. */
async function releaseHeld({ tx, due, effects }: PostgresContext, a: Argument<'releaseHeld'>): Promise<Result<'releaseHeld'>> {
  const { provider, limit, probe, now, after, avoid = [] } = a;
  // Rather any than none, and of them the one that was tried least: a recipient that alone is refused must not be each probe.
  const probesFirst = `EXISTS (SELECT 1 FROM messages m WHERE m.id = h.message AND m.size <= ${SMALL}
    AND NOT EXISTS (SELECT 1 FROM recipients r WHERE r.message = m.id AND r.n <> h.n)) DESC, r.attempts,`;
  const ofNext = `
    UPDATE recipients r SET next_attempt = $2, held_by = NULL WHERE r.held_by = $1 AND r.next_attempt IS NOT NULL
    AND r.message = (SELECT min(message) FROM recipients WHERE held_by = $1 AND next_attempt IS NOT NULL AND message > $3)
    RETURNING r.message, r.destination`;
  const ofOthers = `AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = recipients.message AND m.user_name = ANY($5::text[]))`;
  const ofOldest = `WITH oldest AS (
       SELECT message, n FROM recipients WHERE held_by = $1 AND next_attempt IS NOT NULL ${probe ? ofOthers : ''}
       ORDER BY message, n LIMIT $4
     ), chosen AS MATERIALIZED (
       SELECT r.message, r.n FROM oldest h JOIN recipients r ON r.message = h.message AND r.n = h.n
       WHERE r.held_by = $1 AND r.next_attempt IS NOT NULL ORDER BY ${probe ? probesFirst : ''} r.message, r.n LIMIT $3
       FOR UPDATE OF r)
     UPDATE recipients r SET next_attempt = $2, held_by = NULL FROM chosen c WHERE r.message = c.message AND r.n = c.n
     RETURNING r.message, r.destination`;
  const rows = await (after === undefined
    ? tx.all<ReleasedRow>(ofOldest, ...[provider, now, limit], ...(probe ? [LOOKED_AT, [...avoid]] : [limit]))
    : tx.all<ReleasedRow>(ofNext, provider, now, after));
  for (const { destination } of rows) {
    due.touch(destination);
    effects.changed(`queue:${destination}`);
  }
  return [...new Set(rows.map(({ message }) => message))].sort();
}

export const providerOperations: OperationTable<'heldByProvider' | 'releaseHeld' | 'shaping' | 'putShaping' | 'refusals'> = {
  heldByProvider: {
    kind: 'read',
    run: ({ tx }) =>
      tx.all<HeldMail>(
        `SELECT h.provider, h.recipients, m.accepted_at AS "oldestAcceptedAt"
         FROM (SELECT held_by AS provider, count(*)::int AS recipients, min(message) AS oldest FROM recipients
               WHERE held_by IS NOT NULL GROUP BY held_by) h
         JOIN messages m ON m.id = h.oldest ORDER BY h.provider`,
      ),
  },
  releaseHeld: { kind: 'write', run: releaseHeld },
  shaping: {
    kind: 'read',
    run: ({ tx, machine }) =>
      tx.all<Shaping>(`SELECT ${SHAPING_COLUMNS} FROM shaping WHERE machine = $1 ORDER BY provider, source, family`, machine),
  },
  putShaping: {
    kind: 'write',
    async run({ tx, machine }, shaping) {
      sendShaping(tx, machine, [shaping]);
      await tx.flush();
    },
  },
  refusals: {
    kind: 'read',
    run: ({ tx }, { since, limit }) =>
      tx.all<TracedRefusal>(
        `SELECT mx, code, status, reply, judged, count(*)::int AS count FROM attempts WHERE at >= $1 AND code >= 400
         GROUP BY mx, code, status, reply, judged ORDER BY count DESC, reply LIMIT $2`,
        since,
        limit,
      ),
  },
};
