/** Accounts of the console with their links, sessions and tokens, in their rows. */
import {
  type AccountChange,
  type AccountCondition,
  type AccountLink,
  type AccountOutcome,
  type AccountRights,
  type ConsoleAccount,
  type ConsoleSession,
  type ConsoleStore,
  type ConsoleToken,
  MOST_SESSIONS,
  type NewConsoleAccount,
  SEEN_EVERY,
  type VerifiedLogin,
} from '../console-store.ts';
import type { Context } from './context.ts';
import { userKey } from './limits.ts';

export const ACCOUNT_COLUMNS = `name, role, credentials, password_hash AS "passwordHash", password_set_at AS "passwordSetAt",
  totp_secret AS "totpSecret", recovery_codes AS "recoveryCodes", disabled, created_at AS "createdAt"`;
export const SESSION_COLUMNS = `hash, account, created_at AS "createdAt", last_seen_at AS "lastSeenAt", ip, agent AS "userAgent",
  confirmed_at AS "confirmedAt"`;
export const TOKEN_COLUMNS = `id, hash, name, account, scopes, credential, networks, created_at AS "createdAt", expires_at AS "expiresAt",
  last_used_at AS "lastUsedAt", last_used_ip AS "lastUsedIp"`;

/** Lists are JSON, and `disabled` is a number. */
export type AccountRow = Omit<ConsoleAccount, 'credentials' | 'recoveryCodes' | 'disabled'> & {
  readonly credentials: string | null;
  readonly recoveryCodes: string;
  readonly disabled: number;
};
export type TokenRow = Omit<ConsoleToken, 'scopes' | 'networks'> & { readonly scopes: string; readonly networks: string };

export function readAccount({ credentials, recoveryCodes, disabled, ...row }: AccountRow): ConsoleAccount {
  return {
    ...row,
    credentials: credentials === null ? null : (JSON.parse(credentials) as string[]),
    recoveryCodes: JSON.parse(recoveryCodes) as string[],
    disabled: disabled !== 0,
  };
}

export function readToken({ scopes, networks, ...row }: TokenRow): ConsoleToken {
  return { ...row, scopes: JSON.parse(scopes) as string[], networks: JSON.parse(networks) as string[] };
}

/** The values of an account in the order of its table, without `totp_step`. */
export function accountValues(a: ConsoleAccount) {
  return [
    ...[userKey(a.name), a.name, a.role, a.credentials === null ? null : JSON.stringify(a.credentials), a.passwordHash],
    ...[a.passwordSetAt, a.totpSecret, JSON.stringify(a.recoveryCodes), Number(a.disabled), a.createdAt],
  ];
}

/** Without a password. */
export const bareAccount = (account: NewConsoleAccount): ConsoleAccount => ({
  ...account,
  ...{ passwordHash: null, passwordSetAt: null, totpSecret: null, recoveryCodes: [], disabled: false },
});

/** @returns undefined if nothing is changed by it. */
export function changedAccount(old: ConsoleAccount, change: AccountChange): ConsoleAccount {
  const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
  return { ...old, ...given };
}

/** A session belongs to a password, a role and a second factor. Who sets up the own factor stays logged in. */
export function endedSessions(old: ConsoleAccount, next: ConsoleAccount): 'all' | 'others' | 'none' {
  if (old.role !== next.role || old.passwordHash !== next.passwordHash || (next.disabled && !old.disabled)) return 'all';
  return old.totpSecret === next.totpSecret ? 'none' : 'others';
}

/** Whether a session may begin with what was verified some time ago. */
export const isStillProven = (known: ConsoleAccount | undefined, { passwordHash, totpSecret }: VerifiedLogin): boolean =>
  known !== undefined && !known.disabled && known.passwordHash === passwordHash && known.totpSecret === totpSecret;

/** It can change accounts. */
export const isAdmin = ({ role, disabled }: Pick<ConsoleAccount, 'role' | 'disabled'>): boolean => role === 'admin' && !disabled;

/** The links for a first admin end with the first password of an admin. */
export const endsFirstLinks = ({ role, passwordHash }: ConsoleAccount): boolean => role === 'admin' && passwordHash !== null;

/** Whether an account still has these rights. */
export function hasRights(account: ConsoleAccount, rights: AccountRights = account): boolean {
  const asText = ({ role, credentials, disabled }: AccountRights) => JSON.stringify([role, credentials, disabled]);
  return asText(account) === asText(rights);
}

export const tokenValues = (t: ConsoleToken) => [
  ...[t.id, t.hash, t.name, userKey(t.account), JSON.stringify(t.scopes), t.credential, JSON.stringify(t.networks)],
  ...[t.createdAt, t.expiresAt, t.lastUsedAt, t.lastUsedIp],
];

export function account({ db }: Context, name: string): ConsoleAccount | undefined {
  const row = db.get<AccountRow>(`SELECT ${ACCOUNT_COLUMNS} FROM console_accounts WHERE key = ?`, userKey(name));
  return row && readAccount(row);
}

export function accounts({ db }: Context): readonly ConsoleAccount[] {
  return db.all<AccountRow>(`SELECT ${ACCOUNT_COLUMNS} FROM console_accounts ORDER BY key`).map(readAccount);
}

const COLUMNS_IN_ORDER =
  'key, name, role, credentials, password_hash, password_set_at, totp_secret, recovery_codes, disabled, created_at';

function put({ db, effects }: Context, a: ConsoleAccount): void {
  effects.changed('console');
  const set = COLUMNS_IN_ORDER.split(', ').map((name) => `${name} = excluded.${name}`);
  db.run(
    `INSERT INTO console_accounts (${COLUMNS_IN_ORDER}, totp_step) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)
     ON CONFLICT (key) DO UPDATE SET ${set.join(', ')}`,
    ...accountValues(a),
  );
  if (endsFirstLinks(a)) db.run(`DELETE FROM console_links WHERE account = ''`);
}

export function addAccount(context: Context, a: { account: NewConsoleAccount; link: AccountLink }): boolean {
  if (account(context, a.account.name) !== undefined) return false;
  put(context, bareAccount(a.account));
  putLink(context, a.link);
  return true;
}

type ChangeArgument = {
  readonly name: string;
  readonly change: AccountChange;
  readonly link: AccountLink | null;
  readonly force: boolean;
  readonly when: AccountCondition;
};
type RemoveArgument = Pick<ChangeArgument, 'name' | 'force' | 'when'>;

export function changeAccount(context: Context, { name, change, link, force, when }: ChangeArgument): AccountOutcome {
  const old = account(context, name);
  if (old === undefined) return 'absent';
  if (!holds(context, old, when)) return 'changed';
  const next = changedAccount(old, change);
  if (!force && isAdmin(old) && !isAdmin(next) && isLastAdmin(context, old)) return 'lastAdmin';
  put(context, next);
  const ended = endedSessions(old, next);
  if (ended !== 'none') endSessions(context, { account: name, except: ended === 'others' ? (when.session ?? null) : null });
  if (link !== null) putLink(context, link);
  return 'done';
}

export function removeAccount(context: Context, { name, force, when }: RemoveArgument): AccountOutcome {
  const old = account(context, name);
  if (old === undefined) return 'absent';
  if (!holds(context, old, when)) return 'changed';
  if (!force && isAdmin(old) && isLastAdmin(context, old)) return 'lastAdmin';
  context.effects.changed('console');
  const key = userKey(name);
  context.db.run('DELETE FROM console_accounts WHERE key = ?', key);
  for (const table of ['console_sessions', 'console_links', 'console_tokens'])
    context.db.run(`DELETE FROM ${table} WHERE account = ?`, key);
  return 'done';
}

/** An admin who has set no password yet is no other one for who has: nobody could log in. */
function isLastAdmin({ db }: Context, { name, passwordHash }: ConsoleAccount): boolean {
  const able = passwordHash === null ? '' : 'AND password_hash IS NOT NULL';
  const sql = `SELECT 1 FROM console_accounts WHERE role = 'admin' AND disabled = 0 AND key <> ? ${able}`;
  return db.get(sql, userKey(name)) === undefined;
}

function holds({ db }: Context, old: ConsoleAccount, { rights, session: hash }: AccountCondition): boolean {
  const sql = 'SELECT 1 FROM console_sessions WHERE hash = ? AND account = ?';
  return hasRights(old, rights) && (hash === undefined || db.get(sql, hash, userKey(old.name)) !== undefined);
}

export function putLink(context: Context, { id, hash, account: of, expiresAt, triesLeft }: AccountLink): boolean {
  const { db } = context;
  if (of === null && hasAdmin(context)) return false;
  const key = of === null ? '' : userKey(of);
  db.run('DELETE FROM console_links WHERE account = ? OR id = ?', key, id);
  db.run('INSERT INTO console_links VALUES (?, ?, ?, ?, ?)', id, hash, key, expiresAt, triesLeft);
  return true;
}

export type LinkCode = Pick<AccountLink, 'id' | 'hash'>;
export type LinkRow = {
  readonly hash: string;
  readonly account: string;
  readonly expires_at: number;
  readonly tries_left: number;
};

export function tryLink(
  context: Context,
  { id, hash, now }: LinkCode & { now: number },
): { readonly account: string | null } | 'wrong' | 'gone' {
  const { db } = context;
  const row = db.get<LinkRow>('SELECT * FROM console_links WHERE id = ? AND expires_at > ?', id, now);
  if (row === undefined) return 'gone';
  if (row.hash === hash) return { account: row.account === '' ? null : (account(context, row.account)?.name ?? row.account) };
  if (row.tries_left <= 1) db.run('DELETE FROM console_links WHERE id = ?', id);
  else db.run('UPDATE console_links SET tries_left = tries_left - 1 WHERE id = ?', id);
  return 'wrong';
}

function hasAdmin({ db }: Context): boolean {
  return db.get(`SELECT 1 FROM console_accounts WHERE role = 'admin' AND password_hash IS NOT NULL`) !== undefined;
}

type TakeArgument = LinkCode & { readonly name: string; readonly passwordHash: string; readonly now: number };

export function takeLink(
  context: Context,
  { name, passwordHash, now, ...code }: TakeArgument,
): 'done' | 'wrong' | 'gone' | 'exists' {
  const link = tryLink(context, { ...code, now });
  if (typeof link === 'string') return link;
  if (link.account === null) {
    if (account(context, name) !== undefined) return 'exists';
    put(context, bareAccount({ name, role: 'admin', credentials: null, createdAt: now }));
  }
  context.db.run('DELETE FROM console_links WHERE id = ?', code.id);
  const change = { passwordHash, passwordSetAt: now };
  const outcome = changeAccount(context, { name: link.account ?? name, change, link: null, force: false, when: {} });
  return outcome === 'done' ? 'done' : 'gone';
}

export function useTotpStep({ db }: Context, { name, step }: { name: string; step: number }): boolean {
  const sql = 'UPDATE console_accounts SET totp_step = ?1 WHERE key = ?2 AND totp_step < ?1';
  return db.run(sql, step, userKey(name)).changes > 0;
}

export function useRecoveryCode(context: Context, { name, hash }: { name: string; hash: string }): boolean {
  const old = account(context, name);
  if (!old?.recoveryCodes.includes(hash)) return false;
  put(context, { ...old, recoveryCodes: old.recoveryCodes.filter((code) => code !== hash) });
  return true;
}

export function addSession(
  context: Context,
  { session: s, verified }: { session: ConsoleSession; verified: VerifiedLogin },
): boolean {
  if (!isStillProven(account(context, s.account), verified)) return false;
  const key = userKey(s.account);
  context.db.run(
    'INSERT INTO console_sessions (hash, account, created_at, last_seen_at, ip, agent, confirmed_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ...[s.hash, key, s.createdAt, s.lastSeenAt, s.ip, s.userAgent, s.confirmedAt],
  );
  context.db.run(
    `DELETE FROM console_sessions WHERE account = ?1 AND hash NOT IN
       (SELECT hash FROM console_sessions WHERE account = ?1 ORDER BY created_at DESC, hash = ?2 DESC LIMIT ?3)`,
    ...[key, s.hash, MOST_SESSIONS],
  );
  context.effects.changed('console');
  return true;
}

export function session(context: Context, hash: string) {
  const found = context.db.get<ConsoleSession>(`SELECT ${SESSION_COLUMNS} FROM console_sessions WHERE hash = ?`, hash);
  const of = found && account(context, found.account);
  return found && of && { session: { ...found, account: of.name }, account: of };
}

export function sessions(context: Context, of: string | null): readonly ConsoleSession[] {
  const rows = context.db.all<ConsoleSession>(
    `SELECT ${SESSION_COLUMNS} FROM console_sessions WHERE ?1 IS NULL OR account = ?1 ORDER BY created_at DESC, hash`,
    of === null ? null : userKey(of),
  );
  return withNames(rows, accounts(context));
}

/** Rows have the key of an account, and people its name. */
export function withNames<T extends { readonly account: string }>(
  rows: readonly T[],
  all: readonly ConsoleAccount[],
): readonly T[] {
  const names = new Map(all.map(({ name }) => [userKey(name), name]));
  return rows.map((row) => ({ ...row, account: names.get(row.account) ?? row.account }));
}

export function seeSession({ db }: Context, { hash, at, ip }: { hash: string; at: number; ip: string }): void {
  const sql = 'UPDATE console_sessions SET last_seen_at = ?, ip = ? WHERE hash = ? AND last_seen_at <= ?';
  db.run(sql, at, ip, hash, at - SEEN_EVERY);
}

export function confirmSession({ db }: Context, { hash, at }: { hash: string; at: number }): boolean {
  return db.run('UPDATE console_sessions SET confirmed_at = ? WHERE hash = ?', at, hash).changes > 0;
}

export function endSession({ db, effects }: Context, hash: string): boolean {
  effects.changed('console');
  return db.run('DELETE FROM console_sessions WHERE hash = ?', hash).changes > 0;
}

export function endSessions(
  { db, effects }: Context,
  { account: of, except }: { account: string; except: string | null },
): number {
  effects.changed('console');
  const sql = 'DELETE FROM console_sessions WHERE account = ? AND hash IS NOT ?';
  return db.run(sql, userKey(of), except).changes;
}

export function addToken(context: Context, token: ConsoleToken): Awaited<ReturnType<ConsoleStore['addToken']>> {
  if (account(context, token.account) === undefined) return 'no account';
  const same = 'SELECT 1 FROM console_tokens WHERE account = ? AND name = ? AND (expires_at IS NULL OR expires_at > ?)';
  if (context.db.get(same, userKey(token.account), token.name, token.createdAt) !== undefined) return 'name taken';
  context.db.run(
    `INSERT INTO console_tokens (id, hash, name, account, scopes, credential, networks, created_at, expires_at, last_used_at, last_used_ip)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ...tokenValues(token),
  );
  return 'done';
}

export function tokens(context: Context): readonly ConsoleToken[] {
  const rows = context.db.all<TokenRow>(`SELECT ${TOKEN_COLUMNS} FROM console_tokens ORDER BY created_at, id`);
  return withNames(rows.map(readToken), accounts(context));
}

export function token(context: Context, hash: string) {
  const row = context.db.get<TokenRow>(`SELECT ${TOKEN_COLUMNS} FROM console_tokens WHERE hash = ?`, hash);
  const of = row && account(context, row.account);
  return row && of && { token: { ...readToken(row), account: of.name }, account: of };
}

export function seeToken({ db }: Context, { id, at, ip }: { id: string; at: number; ip: string }): void {
  const sql = 'UPDATE console_tokens SET last_used_at = ?, last_used_ip = ? WHERE id = ? AND coalesce(last_used_at, 0) <= ?';
  db.run(sql, at, ip, id, at - SEEN_EVERY);
}

export function removeToken({ db, effects }: Context, id: string): boolean {
  effects.changed('console');
  return db.run('DELETE FROM console_tokens WHERE id = ?', id).changes > 0;
}
