/** Keys, certificates, back-off, small values and leases of work in their rows. */
import { type Lease, LeaseLost, leaseValue } from '../lease.ts';
import type { DkimKey, Pace, StoredCertificate, WhichDkimKey } from '../operation-store.ts';
import type { DatabaseTransaction } from './database-transaction.ts';
import type { OperationTable, PostgresContext } from './postgres-context.ts';

const DKIM_COLUMNS = 'domain, selector, algorithm, private_key AS "privateKey", state, created_at AS "createdAt"';
const WHICH = 'domain = $1 AND selector = $2 AND created_at = $3 AND state = coalesce($4::text, state)';
const which = (key: WhichDkimKey) => [key.domain, key.selector, key.createdAt, key.state ?? null];
const PUT_VALUE = 'INSERT INTO small_values VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value';

async function addDkimKeys({ tx, effects }: PostgresContext, keys: readonly DkimKey[]): Promise<boolean> {
  // Two callers may add the keys of a domain at once: the second one waits here, and then sees what the first one did.
  for (const domain of [...new Set(keys.map((key) => key.domain))].sort())
    await tx.run('SELECT pg_advisory_xact_lock(hashtext($1))', `dkim ${domain}`);
  for (const { domain, selector } of keys)
    if ((await tx.get('SELECT 1 FROM dkim_keys WHERE domain = $1 AND selector = $2', domain, selector)) !== undefined)
      return false;
  effects.changed('keys');
  for (const key of keys)
    await tx.run(
      'INSERT INTO dkim_keys (domain, selector, algorithm, private_key, state, created_at) VALUES ($1, $2, $3, $4, $5, $6)',
      ...[key.domain, key.selector, key.algorithm, key.privateKey, key.state, key.createdAt],
    );
  return true;
}

/**
 * A lease is the small value `lease.NAME`, with its end by the clock of the database, and its owner. The caller asks for a time, so that
 * its own clock does not matter. The row is locked between the look and the change.
 */
async function takeLease(
  { tx }: PostgresContext,
  a: { name: string; owner: string; until: number; now: number },
): Promise<boolean> {
  const name = `lease.${a.name}`;
  // Removes the rows of ended leases, because the names of some leases are never used again.
  await tx.run(
    `DELETE FROM small_values WHERE name IN (SELECT name FROM small_values WHERE name >= 'lease.' AND name < 'lease/' AND name <> $1
       AND split_part(value, ' ', 1)::bigint <= time_ms() ORDER BY name FOR UPDATE SKIP LOCKED)`,
    name,
  );
  await tx.run(`INSERT INTO small_values VALUES ($1, '0') ON CONFLICT DO NOTHING`, name);
  const held = await tx.get<{ value: string }>('SELECT value FROM small_values WHERE name = $1 FOR UPDATE', name);
  const { now } = (await tx.get<{ now: number }>('SELECT time_ms() AS now'))!;
  const [until, ...owner] = held?.value.split(' ') ?? [];
  if (Number(until) > now && owner.join(' ') !== a.owner) return false;
  if (a.until <= a.now) await tx.run('DELETE FROM small_values WHERE name = $1', name);
  else await tx.run(PUT_VALUE, name, `${now + a.until - a.now} ${a.owner}`);
  return true;
}

/** The row stays locked until the commit, so that nobody takes the lease between this look and the change. @throws LeaseLost */
export async function lockLease(tx: DatabaseTransaction, lease: Lease): Promise<void> {
  const sql = `SELECT 1 FROM small_values WHERE name = $1 AND substr(value, strpos(value, ' ') + 1) = $2 FOR SHARE`;
  if ((await tx.get(sql, leaseValue(lease), lease.owner)) === undefined) throw new LeaseLost(lease);
}

export const valueOperations: OperationTable<
  | 'dkimKeys'
  | 'addDkimKeys'
  | 'setDkimKeyState'
  | 'removeDkimKey'
  | 'certificates'
  | 'putCertificate'
  | 'paces'
  | 'putPace'
  | 'removePace'
  | 'value'
  | 'keepValue'
  | 'setValue'
  | 'values'
  | 'takeLease'
  | 'ping'
> = {
  dkimKeys: {
    kind: 'read',
    run: ({ tx }, domain) =>
      tx.all<DkimKey>(
        `SELECT ${DKIM_COLUMNS} FROM dkim_keys WHERE $1::text IS NULL OR domain = $1 ORDER BY domain, created_at, selector`,
        domain,
      ),
  },
  addDkimKeys: { kind: 'write', run: addDkimKeys },
  setDkimKeyState: {
    kind: 'write',
    async run({ tx, effects }, { key, state }) {
      effects.changed('keys');
      return (await tx.run(`UPDATE dkim_keys SET state = $5 WHERE ${WHICH}`, ...which(key), state)) > 0;
    },
  },
  removeDkimKey: {
    kind: 'write',
    async run({ tx, effects }, key) {
      effects.changed('keys');
      return (await tx.run(`DELETE FROM dkim_keys WHERE ${WHICH}`, ...which(key))) > 0;
    },
  },
  certificates: {
    kind: 'read',
    run: ({ tx }) =>
      tx.all<StoredCertificate>(
        'SELECT key_type AS "keyType", certificate, key, source, created_at AS "createdAt" FROM certificates ORDER BY key_type',
      ),
  },
  putCertificate: {
    kind: 'write',
    async run({ tx, effects }, c) {
      effects.changed('certificates');
      await tx.run(
        `INSERT INTO certificates (key_type, certificate, key, source, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (key_type) DO UPDATE SET certificate = excluded.certificate, key = excluded.key, source = excluded.source,
           created_at = excluded.created_at`,
        ...[c.keyType, c.certificate, c.key, c.source, c.createdAt],
      );
    },
  },
  paces: {
    kind: 'read',
    run: ({ tx, machine }) =>
      tx.all<Pace>(
        'SELECT key, concurrency, blocked_until AS "blockedUntil", reason, failures FROM paces WHERE machine = $1 ORDER BY key',
        machine,
      ),
  },
  putPace: {
    kind: 'write',
    async run({ tx, machine }, p) {
      await tx.run(
        `INSERT INTO paces (machine, key, concurrency, blocked_until, reason, failures) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (machine, key) DO UPDATE SET concurrency = excluded.concurrency, blocked_until = excluded.blocked_until,
           reason = excluded.reason, failures = excluded.failures`,
        ...[machine, p.key, p.concurrency, p.blockedUntil, p.reason, p.failures],
      );
    },
  },
  removePace: {
    kind: 'write',
    async run({ tx, machine }, key) {
      await tx.run('DELETE FROM paces WHERE machine = $1 AND key = $2', machine, key);
    },
  },
  value: {
    kind: 'read',
    run: async ({ tx }, name) => (await tx.get<{ value: string }>('SELECT value FROM small_values WHERE name = $1', name))?.value,
  },
  keepValue: {
    kind: 'write',
    async run({ tx }, { name, value }) {
      await tx.run('INSERT INTO small_values VALUES ($1, $2) ON CONFLICT DO NOTHING', name, value);
      return (await tx.get<{ value: string }>('SELECT value FROM small_values WHERE name = $1', name))?.value ?? value;
    },
  },
  setValue: {
    kind: 'write',
    async run({ tx, effects }, { name, value }) {
      effects.changed(`value:${name}`);
      if (value === null) await tx.run('DELETE FROM small_values WHERE name = $1', name);
      else await tx.run(PUT_VALUE, name, value);
    },
  },
  values: {
    kind: 'read',
    run: ({ tx }, prefix) =>
      tx.all<{ name: string; value: string }>(
        'SELECT name, value FROM small_values WHERE starts_with(name, $1) ORDER BY name',
        prefix,
      ),
  },
  takeLease: { kind: 'write', run: takeLease },
  /** Each transaction changes the row of its writer, so that its commit is synced. */
  ping: { kind: 'write', run: async () => {} },
};
