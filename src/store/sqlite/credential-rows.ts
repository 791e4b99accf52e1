/** Credentials and failed logins in their rows. */

import { randomBytes } from 'node:crypto';
import type { Limit } from '../../smtp/limit.ts';
import { DAY } from '../../system/clock.ts';
import type { Credential, CredentialChange, FailureCount, NewCredential, SeenCredential } from '../credential-store.ts';
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
  generation: string;
  revision: number;
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
    generation: row.generation,
    revision: row.revision,
  };
}

export function getCredential({ db }: Context, name: string): Credential | undefined {
  const row = db.get<CredentialRow>('SELECT * FROM credentials WHERE key = ?', userKey(name));
  return row === undefined ? undefined : decode(row);
}

export function listCredentials({ db }: Context): readonly Credential[] {
  return db.all<CredentialRow>('SELECT * FROM credentials ORDER BY key').map(decode);
}

export function addCredential(context: Context, credential: NewCredential): boolean {
  if (getCredential(context, credential.name) !== undefined) return false;
  context.effects.changed('credentials');
  put(context, { ...credential, generation: newGeneration(), revision: 0 });
  return true;
}

type ChangeArgument = { readonly name: string; readonly change: CredentialChange; readonly seen: SeenCredential | undefined };

export function updateCredential(context: Context, { name, change, seen }: ChangeArgument): boolean {
  const old = getCredential(context, name);
  if (old === undefined || !isAsSeen(old, seen)) return false;
  const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
  const { name: known, createdAt, revision } = old;
  const generation = change.hash === undefined || change.hash === old.hash ? old.generation : newGeneration();
  context.effects.changed('credentials', 'limits');
  put(context, { ...old, ...given, name: known, createdAt, generation, revision: revision + 1 });
  return true;
}

/** The password and its generation are not changed, so that sessions stay open. */
export function renewHash({ db }: Context, { name, from, to }: { name: string; from: string; to: string }): boolean {
  return db.run('UPDATE credentials SET hash = ? WHERE key = ? AND hash = ?', to, userKey(name), from).changes > 0;
}

/** Whether it has not changed since. */
export const isAsSeen = (old: SeenCredential, seen: SeenCredential = old): boolean =>
  old.generation === seen.generation && old.revision === seen.revision;

const newGeneration = () => randomBytes(9).toString('hex');

function put({ db }: Context, c: Credential): void {
  db.run(
    'INSERT OR REPLACE INTO credentials VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
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
    c.generation,
    c.revision,
  );
}

/** The login that a message was accepted with. */
export type Grant = Pick<Credential, 'name' | 'generation' | 'revision'>;

/** The check of `judgeGrant` as a condition of a statement, which writes only if the grant is valid. Its values are `grantValues`. */
export const GRANTED = `EXISTS (SELECT 1 FROM credentials WHERE key = ? AND generation = ? AND revision = ?
  AND disabled = 0 AND (expires_at IS NULL OR expires_at > ?))`;
export const grantValues = ({ name, generation, revision }: Grant, now: number) => [userKey(name), generation, revision, now];

/**
 * Runs in the transaction that accepts, so that no change can come between. `ended`: the login is removed, disabled or expired, or has
 * another password. `changed`: its rights or limits are not those that were read before.
 */
export function judgeGrant({ db }: Context, { name, generation, revision }: Grant, now: number): 'ended' | 'changed' | undefined {
  const row = db.get<Pick<CredentialRow, 'generation' | 'revision' | 'disabled' | 'expires_at'>>(
    'SELECT generation, revision, disabled, expires_at FROM credentials WHERE key = ?',
    userKey(name),
  );
  if (row === undefined || row.generation !== generation || row.disabled !== 0) return 'ended';
  if (row.expires_at !== null && row.expires_at <= now) return 'ended';
  return row.revision === revision ? undefined : 'changed';
}

/** Removes the counts and known recipients of the user too, so that a later user of the same name begins with none. */
export function removeCredential(context: Context, { name, seen }: Pick<ChangeArgument, 'name' | 'seen'>): boolean {
  const { db, effects } = context;
  const old = getCredential(context, name);
  if (old !== undefined && !isAsSeen(old, seen)) return false;
  effects.changed('credentials', 'limits');
  const key = userKey(name);
  db.run('DELETE FROM usage WHERE user = ?', key);
  db.run('DELETE FROM known_recipients WHERE user = ?', key);
  return db.run('DELETE FROM credentials WHERE key = ?', key).changes > 0;
}

type FailureRow = { key: string; in_minute: number; minute_ends_at: number; in_day: number; day_ends_at: number };

/** One process alone counts failures here. */
export function putFailures(
  { db }: Context,
  { counts, now }: { counts: readonly FailureCount[]; now: number },
): readonly FailureCount[] {
  db.run('DELETE FROM failures WHERE key IN (SELECT key FROM failures WHERE day_ends_at <= ? LIMIT 100)', now);
  for (const { key, inMinute, minuteEndsAt, inDay, dayEndsAt } of counts)
    db.run('INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)', key, inMinute, minuteEndsAt, inDay, dayEndsAt);
  return counts;
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
