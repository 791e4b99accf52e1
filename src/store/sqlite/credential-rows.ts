/** Credentials and failed logins. */
import { DAY, MINUTE } from '../../system/clock.ts';
import type { Credential, FailureCount } from '../credential-store.ts';
import type { Limit } from '../message-store.ts';
import type { Context } from './context.ts';
import { userKey } from './limits.ts';

type CredentialRow = {
  name: string;
  hash: string;
  senders: string;
  mail_server: number;
  limits: string | null;
  disabled: number;
  expires_at: number | null;
  rewrite: string | null;
  created_at: number;
};

function decode(row: CredentialRow): Credential {
  return {
    name: row.name,
    hash: row.hash,
    senders: JSON.parse(row.senders) as string[],
    mailServer: row.mail_server !== 0,
    limits: row.limits === null ? null : (JSON.parse(row.limits) as Limit[]),
    disabled: row.disabled !== 0,
    expiresAt: row.expires_at,
    rewrite: row.rewrite,
    createdAt: row.created_at,
  };
}

export function getCredential({ db }: Context, name: string): Credential | undefined {
  const row = db.get<CredentialRow>('SELECT * FROM credentials WHERE key = ?', userKey(name));
  return row === undefined ? undefined : decode(row);
}

export function listCredentials({ db }: Context): readonly Credential[] {
  return db.all<CredentialRow>('SELECT * FROM credentials ORDER BY key').map(decode);
}

export function addCredential(context: Context, credential: Credential): boolean {
  if (getCredential(context, credential.name) !== undefined) return false;
  put(context, credential);
  return true;
}

export type CredentialChange = Partial<Omit<Credential, 'name' | 'createdAt'>>;
export function updateCredential(context: Context, { name, change }: { name: string; change: CredentialChange }): boolean {
  const old = getCredential(context, name);
  if (old === undefined) return false;
  const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
  put(context, { ...old, ...given, name: old.name, createdAt: old.createdAt });
  return true;
}

function put({ db }: Context, c: Credential): void {
  db.run(
    'INSERT OR REPLACE INTO credentials VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
    userKey(c.name),
    c.name,
    c.hash,
    JSON.stringify(c.senders),
    Number(c.mailServer),
    c.limits === null ? null : JSON.stringify(c.limits),
    Number(c.disabled),
    c.expiresAt,
    c.rewrite,
    c.createdAt,
  );
}

/** What was counted and known of the user goes too: a namesake begins anew. */
export function removeCredential({ db }: Context, name: string): boolean {
  const key = userKey(name);
  db.run('DELETE FROM usage WHERE user = ?', key);
  db.run('DELETE FROM known_recipients WHERE user = ?', key);
  return db.run('DELETE FROM credentials WHERE key = ?', key).changes > 0;
}

type FailureRow = { key: string; in_minute: number; minute_ends_at: number; in_day: number; day_ends_at: number };

/** Windows begin with the first failure; one that ends further ahead than it is long was begun by a clock that has been set back. */
export function recordFailure({ db }: Context, { keys, now }: { keys: readonly string[]; now: number }): readonly FailureCount[] {
  db.run('DELETE FROM failures WHERE key IN (SELECT key FROM failures WHERE day_ends_at <= ? LIMIT 100)', now);
  return keys.map((key) => {
    const row = db.get<FailureRow>('SELECT * FROM failures WHERE key = ?', key);
    const [inMinute, minuteEndsAt] = next(now, MINUTE, row?.in_minute, row?.minute_ends_at);
    const [inDay, dayEndsAt] = next(now, DAY, row?.in_day, row?.day_ends_at);
    db.run('INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)', key, inMinute, minuteEndsAt, inDay, dayEndsAt);
    return { key, inMinute, minuteEndsAt, inDay, dayEndsAt };
  });
}

function next(now: number, length: number, count = 0, endsAt = 0): [number, number] {
  return now < endsAt && endsAt <= now + length ? [count + 1, endsAt] : [1, now + length];
}

export function failures({ db }: Context, now: number): readonly FailureCount[] {
  const rows = db.all<FailureRow>('SELECT * FROM failures WHERE day_ends_at > ? AND day_ends_at <= ?', now, now + DAY);
  return rows.map((row) => ({
    key: row.key,
    inMinute: row.minute_ends_at > now ? row.in_minute : 0,
    minuteEndsAt: row.minute_ends_at,
    inDay: row.in_day,
    dayEndsAt: row.day_ends_at,
  }));
}

export function forgetFailures({ db }: Context, key: string): void {
  db.run('DELETE FROM failures WHERE key = ?', key);
}
