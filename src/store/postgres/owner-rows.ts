/** The owners of claims, with their last signs of life by the clock of the database. */
import { ownerOf, type SignsOfLife } from '../sqlite/owners.ts';
import type { DatabaseTransaction } from './database-transaction.ts';
import type { OperationTable } from './postgres-context.ts';

/** Stands in place of a time: the owner was found dead. */
const DEAD = 0;
const DATABASE_TIME = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint';
const SIGN = `
  INSERT INTO owners SELECT name, ${DATABASE_TIME} FROM unnest($1::text[]) AS o (name) ORDER BY name
  ON CONFLICT (name) DO UPDATE SET beat_at = excluded.beat_at`;

/** A claim is a sign of life, but its row is written only every few seconds. */
export function sendSigns(tx: DatabaseTransaction, signs: SignsOfLife, leases: readonly string[]): void {
  const now = Date.now();
  const owners = [...new Set(leases.map(ownerOf))].filter((owner) => !signs.isFresh(owner, now)).sort();
  if (owners.length === 0) return;
  void tx.send(SIGN, owners);
  for (const owner of owners) signs.written(owner, now);
}

const BEAT = `
  WITH before AS (SELECT beat_at FROM owners WHERE name = $1 FOR UPDATE),
    written AS (INSERT INTO owners VALUES ($1, ${DATABASE_TIME}) ON CONFLICT (name) DO UPDATE SET beat_at = excluded.beat_at)
  SELECT coalesce((SELECT beat_at FROM before), ${DEAD}) AS before`;

async function beatOf(tx: DatabaseTransaction, owner: string): Promise<boolean> {
  return (await tx.get<{ before: number }>(BEAT, owner))?.before !== DEAD;
}

export const ownerOperations: OperationTable<'beat' | 'findDead' | 'forgetDead' | 'buryAll'> = {
  beat: { kind: 'write', run: ({ tx }, owner) => beatOf(tx, owner) },
  findDead: {
    kind: 'write',
    async run({ tx }, { owner, silence }) {
      await beatOf(tx, owner);
      await tx.run(
        `UPDATE owners SET beat_at = ${DEAD} WHERE name IN (
           SELECT name FROM owners WHERE beat_at <> ${DEAD} AND abs(beat_at - ${DATABASE_TIME}) >= $1 AND name <> $2 ORDER BY name FOR UPDATE)`,
        silence,
        owner,
      );
      const rows = await tx.all<{ name: string }>(`SELECT name FROM owners WHERE beat_at = ${DEAD} ORDER BY name`);
      return rows.map(({ name }) => name);
    },
  },
  forgetDead: {
    kind: 'write',
    async run({ tx }, names) {
      await tx.run(`DELETE FROM owners WHERE name = ANY($1::text[]) AND beat_at = ${DEAD}`, names);
    },
  },
  /** Other machines may run: nobody but the time can say that their processes are dead. */
  buryAll: { kind: 'write', run: async () => {} },
};
