/** What is known of addresses that seem not to exist, in their rows. */

import { readSuppression, type SuppressionRow } from '../sqlite/suppression-rows.ts';
import {
  type NewSuppression,
  newsOf,
  SUPPRESSED_FOR,
  SUPPRESSED_WITHIN,
  type Suppression,
  type SuppressionNews,
  suppressionKey,
  withHit,
  withoutUnsure,
} from '../suppression.ts';
import type { DatabaseTransaction } from './database-transaction.ts';
import { columns } from './parameters.ts';
import type { OperationTable } from './postgres-context.ts';
import { compare } from './windows.ts';

const MOST_LISTED = 1000;
const COLUMNS = 'address, provider, hits, suppressed_at AS "suppressedAt", over_bound AS "overBound", class, reply';
const PUT = `
  INSERT INTO suppression (address, provider, hits, suppressed_at, over_bound, class, reply)
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::int[], $6::text[], $7::text[])
  ON CONFLICT (address) DO UPDATE SET provider = excluded.provider, hits = excluded.hits, suppressed_at = excluded.suppressed_at,
    over_bound = excluded.over_bound, class = excluded.class, reply = excluded.reply`;
const REMOVE = 'DELETE FROM suppression WHERE address = ANY($1::text[])';
const LOCK = `SELECT ${COLUMNS} FROM suppression WHERE address = ANY($1::text[]) ORDER BY address FOR UPDATE`;
const RECENT = `
  SELECT provider, suppressed_at AS at FROM suppression WHERE provider = ANY($1::text[]) AND suppressed_at > $2`;

/** Evidence of the settlements of one transaction, in their order. The answers are in the same order; undefined: the state stays. */
export async function noteSuppressions(
  tx: DatabaseTransaction,
  all: readonly NewSuppression[],
): Promise<readonly (SuppressionNews | undefined)[]> {
  if (all.length === 0) return [];
  const addresses = [...new Set(all.map(({ address }) => suppressionKey(address)))].sort();
  const oldest = Math.min(...all.map(({ at }) => at));
  const locked = tx.send<SuppressionRow>(LOCK, addresses);
  const providers = [...new Set(all.map(({ provider }) => provider))];
  const recent = await tx.all<{ provider: string; at: number }>(RECENT, providers, oldest - SUPPRESSED_WITHIN);
  const known = new Map<string, Suppression | undefined>((await locked).map((row) => [row.address, readSuppression(row)]));
  const news = all.map(({ kind, ...evidence }) => {
    const key = suppressionKey(evidence.address);
    const before = known.get(key);
    const { provider, at } = evidence;
    const count = recent.filter((one) => one.provider === provider && one.at > at - SUPPRESSED_WITHIN).length;
    const after = kind === 'success' ? undefined : withHit(before, evidence, count);
    if (after !== undefined && after.suppressedAt === at) recent.push({ provider, at });
    known.set(key, after);
    return newsOf(before, after, at);
  });
  sendRows(tx, known);
  return news;
}

/** In the order of their keys. */
function sendRows(tx: DatabaseTransaction, changed: ReadonlyMap<string, Suppression | undefined>): void {
  const sorted = [...changed.entries()].toSorted((a, b) => compare(a[0], b[0]));
  const gone = sorted.flatMap(([address, left]) => (left === undefined ? [address] : []));
  const rows = sorted.flatMap(([, s]) =>
    s === undefined
      ? []
      : [[s.address, s.provider, JSON.stringify(s.hits), s.suppressedAt, s.isOverBound ? 1 : 0, s.class, s.reply]],
  );
  if (gone.length > 0) void tx.send(REMOVE, gone);
  if (rows.length > 0) void tx.send(PUT, ...columns(rows, 7));
}

export const suppressionOperations: OperationTable<
  'suppression' | 'listSuppression' | 'removeSuppression' | 'forgetUnsure' | 'trimSuppression'
> = {
  suppression: {
    kind: 'read',
    async run({ tx }, address) {
      const row = await tx.get<SuppressionRow>(`SELECT ${COLUMNS} FROM suppression WHERE address = $1`, suppressionKey(address));
      return row === undefined ? undefined : readSuppression(row);
    },
  },
  listSuppression: {
    kind: 'read',
    async run({ tx }, { after, limit }) {
      const sql = `SELECT ${COLUMNS} FROM suppression WHERE address > $1 ORDER BY address LIMIT $2`;
      return (await tx.all<SuppressionRow>(sql, after, Math.min(limit, MOST_LISTED))).map(readSuppression);
    },
  },
  removeSuppression: {
    kind: 'write',
    async run({ tx, effects }, address) {
      effects.changed('suppression');
      return (await tx.run(REMOVE, [suppressionKey(address)])) > 0;
    },
  },
  forgetUnsure: {
    kind: 'write',
    async run({ tx }, { provider, since }) {
      const rows = await tx.all<SuppressionRow>(
        `SELECT ${COLUMNS} FROM suppression WHERE provider = $1 ORDER BY address FOR UPDATE`,
        provider,
      );
      const changed = new Map(
        rows.map(readSuppression).flatMap((known) => {
          const left = withoutUnsure(known, since);
          return left === known ? [] : [[known.address, left] as const];
        }),
      );
      sendRows(tx, changed);
      await tx.flush();
      return changed.size;
    },
  },
  trimSuppression: {
    kind: 'write',
    run: ({ tx }, now) =>
      tx.run(
        `DELETE FROM suppression WHERE suppressed_at < $1 OR (suppressed_at IS NULL AND coalesce((hits::json->0->>'at')::bigint, 0) < $2)`,
        now - 2 * SUPPRESSED_FOR,
        now - SUPPRESSED_FOR,
      ),
  },
};
