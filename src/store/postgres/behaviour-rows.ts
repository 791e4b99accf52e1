/** What was learned about the behaviour of logins, in rows. Each machine counts what it relays itself. */
import type { DatabaseTransaction } from './database-transaction.ts';
import { columns } from './parameters.ts';
import type { OperationTable } from './postgres-context.ts';
import { compare } from './windows.ts';

const TRIMMED_AT_ONCE = 500;
const PUT = `
  INSERT INTO behaviour (machine, user_key, sender, record, written_at)
  SELECT $1, c.*, $2 FROM unnest($3::text[], $4::text[], $5::text[]) AS c
  ON CONFLICT (machine, user_key, sender) DO UPDATE SET record = excluded.record, written_at = excluded.written_at`;

export const behaviourOperations: OperationTable<'behaviourRecord' | 'putBehaviour' | 'forgetBehaviour' | 'trimBehaviour'> = {
  behaviourRecord: {
    kind: 'read',
    async run({ tx, machine }, { user, sender }) {
      const sql = 'SELECT record FROM behaviour WHERE machine = $1 AND user_key = $2 AND sender = $3';
      return (await tx.get<{ record: string }>(sql, machine, user, sender))?.record;
    },
  },
  putBehaviour: {
    kind: 'write',
    async run({ tx, machine }, { records, now }) {
      // The last of one key counts, and all transactions lock rows in the same order.
      const last = new Map(records.map((one) => [JSON.stringify([one.user, one.sender]), one]));
      const rows = [...last.entries()]
        .toSorted((a, b) => compare(a[0], b[0]))
        .map(([, one]) => [one.user, one.sender, one.record]);
      if (rows.length > 0) await tx.run(PUT, machine, now, ...columns(rows, 3));
    },
  },
  forgetBehaviour: {
    kind: 'write',
    async run({ tx }, user) {
      await tx.run('DELETE FROM behaviour WHERE user_key = $1', user);
    },
  },
  trimBehaviour: { kind: 'write', run: ({ tx }, before) => trim(tx, before) },
};

async function trim(tx: DatabaseTransaction, before: number): Promise<number> {
  const rows = await tx.all(
    `DELETE FROM behaviour WHERE ctid = ANY (ARRAY(
       SELECT ctid FROM behaviour WHERE written_at < $1 ORDER BY machine, user_key, sender LIMIT ${TRIMMED_AT_ONCE} FOR UPDATE
     )) RETURNING 1`,
    before,
  );
  return rows.length;
}
