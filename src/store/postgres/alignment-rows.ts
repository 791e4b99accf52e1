/** Verdicts about sending domains in their rows. */
import type { StoredSenderVerdict } from '../alignment-store.ts';
import { columns } from './parameters.ts';
import type { OperationTable } from './postgres-context.ts';
import { compare } from './windows.ts';

const COLUMNS = 'domain, envelope, signatures, verdict, since, at, refresh_at AS "refreshAt", used_at AS "usedAt", detail';
const PUT = `
  INSERT INTO sender_verdicts (machine, domain, envelope, signatures, verdict, since, at, refresh_at, used_at, detail)
  SELECT $1, c.* FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
    $10::text[]) AS c
  ON CONFLICT (machine, domain, envelope) DO UPDATE SET signatures = excluded.signatures, verdict = excluded.verdict, since = excluded.since,
    at = excluded.at, refresh_at = excluded.refresh_at, used_at = excluded.used_at, detail = excluded.detail`;

export const alignmentOperations: OperationTable<'senderVerdicts' | 'putSenderVerdicts' | 'trimSenderVerdicts'> = {
  senderVerdicts: {
    kind: 'read',
    run: ({ tx, machine }, { usedSince, limit }) =>
      tx.all<StoredSenderVerdict>(
        `SELECT ${COLUMNS} FROM sender_verdicts WHERE machine = $1 AND used_at >= $2 ORDER BY used_at DESC, domain, envelope LIMIT $3`,
        ...[machine, usedSince, limit],
      ),
  },
  putSenderVerdicts: {
    kind: 'write',
    async run({ tx, machine }, verdicts) {
      const last = new Map(verdicts.map((one) => [`${one.domain} ${one.envelope}`, one]));
      const rows = [...last.entries()]
        .toSorted((a, b) => compare(a[0], b[0]))
        .map(([, v]) => [v.domain, v.envelope, v.signatures, v.verdict, v.since, v.at, v.refreshAt, v.usedAt, v.detail]);
      if (rows.length > 0) await tx.run(PUT, machine, ...columns(rows, 9));
    },
  },
  trimSenderVerdicts: {
    kind: 'write',
    run: async ({ tx }, usedSince) => void (await tx.run('DELETE FROM sender_verdicts WHERE used_at < $1', usedSince)),
  },
};
