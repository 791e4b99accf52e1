/** Keys, certificates, back-off and small values in their rows. */
import { type Lease, LeaseLost, leaseValue } from '../lease.ts';
import type { DkimKey, DkimKeyState, Pace, Shaping, StoredCertificate, TracedRefusal, WhichDkimKey } from '../operation-store.ts';
import type { Context } from './context.ts';

const DKIM_COLUMNS = 'domain, selector, algorithm, private_key AS privateKey, state, created_at AS createdAt';

export function dkimKeys({ db }: Context, domain: string | null): readonly DkimKey[] {
  const sql = `SELECT ${DKIM_COLUMNS} FROM dkim_keys WHERE ?1 IS NULL OR domain = ?1 ORDER BY domain, created_at, selector`;
  return db.all<DkimKey>(sql, domain);
}

export function addDkimKeys({ db, effects }: Context, keys: readonly DkimKey[]): boolean {
  const exists = (key: DkimKey) =>
    db.get('SELECT 1 FROM dkim_keys WHERE domain = ? AND selector = ?', key.domain, key.selector) !== undefined;
  if (keys.some(exists)) return false;
  effects.changed('keys');
  for (const key of keys)
    db.run(
      'INSERT INTO dkim_keys VALUES (?, ?, ?, ?, ?, ?)',
      key.domain,
      key.selector,
      key.algorithm,
      key.privateKey,
      key.state,
      key.createdAt,
    );
  return true;
}

const WHICH = 'domain = ? AND selector = ? AND created_at = ? AND state = coalesce(?, state)';
const which = (key: WhichDkimKey) => [key.domain, key.selector, key.createdAt, key.state ?? null] as const;

export function setDkimKeyState({ db, effects }: Context, { key, state }: { key: WhichDkimKey; state: DkimKeyState }): boolean {
  effects.changed('keys');
  return db.run(`UPDATE dkim_keys SET state = ? WHERE ${WHICH}`, state, ...which(key)).changes > 0;
}

export function removeDkimKey({ db, effects }: Context, key: WhichDkimKey): boolean {
  effects.changed('keys');
  return db.run(`DELETE FROM dkim_keys WHERE ${WHICH}`, ...which(key)).changes > 0;
}

export function certificates({ db }: Context): readonly StoredCertificate[] {
  return db.all<StoredCertificate>(
    'SELECT key_type AS keyType, certificate, key, source, created_at AS createdAt FROM certificates ORDER BY key_type',
  );
}

export function putCertificate({ db, effects }: Context, c: StoredCertificate): void {
  effects.changed('certificates');
  db.run('INSERT OR REPLACE INTO certificates VALUES (?, ?, ?, ?, ?)', c.keyType, c.certificate, c.key, c.source, c.createdAt);
}

export function paces({ db }: Context): readonly Pace[] {
  return db.all<Pace>('SELECT key, concurrency, blocked_until AS blockedUntil, reason, failures FROM paces ORDER BY key');
}

export function putPace({ db }: Context, p: Pace): void {
  db.run('INSERT OR REPLACE INTO paces VALUES (?, ?, ?, ?, ?)', p.key, p.concurrency, p.blockedUntil, p.reason, p.failures);
}

export function removePace({ db }: Context, key: string): void {
  db.run('DELETE FROM paces WHERE key = ?', key);
}

const SHAPING_COLUMNS =
  'provider, source, family, state, since, until, step, sessions, rate, learned_cap AS learnedCap, evidence';

export function shaping({ db }: Context): readonly Shaping[] {
  return db.all<Shaping>(`SELECT ${SHAPING_COLUMNS} FROM shaping ORDER BY provider, source, family`);
}

export function putShaping({ db }: Context, s: Shaping): void {
  db.run(
    'INSERT OR REPLACE INTO shaping VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
    ...[s.provider, s.source, s.family, s.state, s.since, s.until, s.step, s.sessions, s.rate, s.learnedCap, s.evidence],
  );
}

const REFUSALS = `SELECT mx, code, status, reply, judged, count(*) AS count FROM attempts WHERE at >= ? AND code >= 400
  GROUP BY mx, code, status, reply, judged ORDER BY count DESC, reply LIMIT ?`;

export function refusals({ db }: Context, { since, limit }: { since: number; limit: number }): readonly TracedRefusal[] {
  return db.all<TracedRefusal>(REFUSALS, since, limit);
}

export function value({ db }: Context, name: string): string | undefined {
  return db.get<{ value: string }>('SELECT value FROM small_values WHERE name = ?', name)?.value;
}

/** Writes run one after the other, so that a read after the write returns the stored value. */
export function keepValue(context: Context, a: { name: string; value: string }): string {
  context.db.run('INSERT OR IGNORE INTO small_values VALUES (?, ?)', a.name, a.value);
  return value(context, a.name) ?? a.value;
}

export function setValue({ db, effects }: Context, a: { name: string; value: string | null }): void {
  effects.changed(`value:${a.name}`);
  if (a.value === null) db.run('DELETE FROM small_values WHERE name = ?', a.name);
  else db.run('INSERT OR REPLACE INTO small_values VALUES (?, ?)', a.name, a.value);
}

export function values({ db }: Context, prefix: string): readonly { readonly name: string; readonly value: string }[] {
  return db.all('SELECT name, value FROM small_values WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name', prefix);
}

/** @throws LeaseLost */
export function checkLease({ db }: Context, lease: Lease): void {
  const held = db.get<{ value: string }>('SELECT value FROM small_values WHERE name = ?', leaseValue(lease))?.value;
  if (held === undefined || held.slice(held.indexOf(' ') + 1) !== lease.owner) throw new LeaseLost(lease);
}

/** A lease is the small value `lease.NAME`, with its end and its owner. Writes run one after the other, so that the read before the write is safe. */
export function takeLease({ db }: Context, a: { name: string; owner: string; until: number; now: number }): boolean {
  const name = `lease.${a.name}`;
  // Removes the rows of ended leases, because the names of some leases are never used again.
  db.run("DELETE FROM small_values WHERE name >= 'lease.' AND name < 'lease/' AND CAST(value AS INTEGER) <= ?", a.now);
  const held = db.get<{ value: string }>('SELECT value FROM small_values WHERE name = ?', name)?.value;
  const [until, ...owner] = held?.split(' ') ?? [];
  if (Number(until) > a.now && owner.join(' ') !== a.owner) return false;
  if (a.until <= a.now) db.run('DELETE FROM small_values WHERE name = ?', name);
  else db.run('INSERT OR REPLACE INTO small_values VALUES (?, ?)', name, `${a.until} ${a.owner}`);
  return true;
}
