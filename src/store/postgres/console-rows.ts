/** Accounts of the console with their links, sessions and tokens, in their rows. The row of the account is locked before its others. */
import {
  type AccountChange,
  type AccountCondition,
  type AccountLink,
  type AccountOutcome,
  type ConsoleAccount,
  type ConsoleSession,
  MOST_SESSIONS,
  SEEN_EVERY,
  type VerifiedLogin,
} from '../console-store.ts';
import {
  ACCOUNT_COLUMNS,
  type AccountRow,
  accountValues,
  bareAccount,
  changedAccount,
  endedSessions,
  endsFirstLinks,
  hasRights,
  isAdmin,
  isStillProven,
  type LinkCode,
  type LinkRow,
  readAccount,
  readToken,
  SESSION_COLUMNS,
  TOKEN_COLUMNS,
  type TokenRow,
  tokenValues,
  withNames,
} from '../sqlite/console-rows.ts';
import { userKey } from '../sqlite/limits.ts';
import type { DatabaseTransaction } from './database-transaction.ts';
import type { OperationTable, PostgresContext } from './postgres-context.ts';

type Names =
  | 'account'
  | 'accounts'
  | 'addAccount'
  | 'changeAccount'
  | 'removeAccount'
  | 'putLink'
  | 'tryLink'
  | 'takeLink'
  | 'useTotpStep'
  | 'useRecoveryCode'
  | 'addSession'
  | 'session'
  | 'sessions'
  | 'seeSession'
  | 'confirmSession'
  | 'endSession'
  | 'endSessions'
  | 'addToken'
  | 'tokens'
  | 'token'
  | 'seeToken'
  | 'removeToken';

async function accountOf(tx: DatabaseTransaction, name: string, lock = ''): Promise<ConsoleAccount | undefined> {
  const sql = `SELECT ${ACCOUNT_COLUMNS} FROM console_accounts WHERE key = $1 ${lock}`;
  const row = await tx.get<AccountRow>(sql, userKey(name));
  return row && readAccount(row);
}

const all = async (tx: DatabaseTransaction) =>
  (await tx.all<AccountRow>(`SELECT ${ACCOUNT_COLUMNS} FROM console_accounts ORDER BY key`)).map(readAccount);

const COLUMNS = 'key, name, role, credentials, password_hash, password_set_at, totp_secret, recovery_codes, disabled, created_at';
const PUT = `INSERT INTO console_accounts (${COLUMNS}, totp_step) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)`;
const SET = COLUMNS.split(', ').map((name) => `${name} = excluded.${name}`);

/**
 * Changes of accounts and links for a first admin come one after the other: of two admins who remove each other one stays, and of two
 * who add the same name one does.
 */
const lockAccounts = (tx: DatabaseTransaction) => tx.run(`SELECT pg_advisory_xact_lock(hashtext('console accounts'))`);

async function put({ tx, effects }: PostgresContext, account: ConsoleAccount): Promise<void> {
  effects.changed('console');
  await tx.run(`${PUT} ON CONFLICT (key) DO UPDATE SET ${SET.join(', ')}`, ...accountValues(account));
  if (endsFirstLinks(account)) await tx.run(`DELETE FROM console_links WHERE account = ''`);
}

async function putLink({ tx }: PostgresContext, { id, hash, account, expiresAt, triesLeft }: AccountLink): Promise<boolean> {
  await lockAccounts(tx);
  if (account === null && (await hasAdmin(tx))) return false;
  const key = account === null ? '' : userKey(account);
  await tx.run('DELETE FROM console_links WHERE account = $1 OR id = $2', key, id);
  await tx.run('INSERT INTO console_links VALUES ($1, $2, $3, $4, $5)', id, hash, key, expiresAt, triesLeft);
  return true;
}

/** An admin who has set no password yet is no other one for who has: nobody could log in. */
async function isLastAdmin({ tx }: PostgresContext, { name, passwordHash }: ConsoleAccount): Promise<boolean> {
  const able = passwordHash === null ? '' : 'AND password_hash IS NOT NULL';
  const sql = `SELECT 1 FROM console_accounts WHERE role = 'admin' AND disabled = 0 AND key <> $1 ${able}`;
  return (await tx.get(sql, userKey(name))) === undefined;
}

type ChangeArgument = {
  readonly name: string;
  readonly change: AccountChange;
  readonly link: AccountLink | null;
  readonly force: boolean;
  readonly when: AccountCondition;
};

async function change(context: PostgresContext, { name, change, link, force, when }: ChangeArgument): Promise<AccountOutcome> {
  await lockAccounts(context.tx);
  const old = await accountOf(context.tx, name, 'FOR UPDATE');
  if (old === undefined) return 'absent';
  if (!(await holds(context.tx, old, when))) return 'changed';
  const next = changedAccount(old, change);
  if (!force && isAdmin(old) && !isAdmin(next) && (await isLastAdmin(context, old))) return 'lastAdmin';
  await put(context, next);
  const ended = endedSessions(old, next);
  if (ended !== 'none') await endSessions(context, { account: name, except: ended === 'others' ? (when.session ?? null) : null });
  if (link !== null) await putLink(context, link);
  return 'done';
}

async function holds(
  tx: DatabaseTransaction,
  old: ConsoleAccount,
  { rights, session: hash }: AccountCondition,
): Promise<boolean> {
  const sql = 'SELECT 1 FROM console_sessions WHERE hash = $1 AND account = $2 FOR UPDATE';
  return hasRights(old, rights) && (hash === undefined || (await tx.get(sql, hash, userKey(old.name))) !== undefined);
}

async function endSessions({ tx, effects }: PostgresContext, { account, except }: { account: string; except: string | null }) {
  effects.changed('console');
  const sql = 'DELETE FROM console_sessions WHERE account = $1 AND hash IS DISTINCT FROM $2::text';
  return tx.run(sql, userKey(account), except);
}

async function tryLink(
  { tx }: PostgresContext,
  { id, hash, now }: LinkCode & { now: number },
): Promise<{ readonly account: string | null } | 'wrong' | 'gone'> {
  const sql = 'SELECT hash, account, expires_at, tries_left FROM console_links WHERE id = $1 AND expires_at > $2 FOR UPDATE';
  const row = await tx.get<LinkRow>(sql, id, now);
  if (row === undefined) return 'gone';
  if (row.hash === hash)
    return { account: row.account === '' ? null : ((await accountOf(tx, row.account))?.name ?? row.account) };
  if (row.tries_left <= 1) await tx.run('DELETE FROM console_links WHERE id = $1', id);
  else await tx.run('UPDATE console_links SET tries_left = tries_left - 1 WHERE id = $1', id);
  return 'wrong';
}

async function hasAdmin(tx: DatabaseTransaction): Promise<boolean> {
  return (
    (await tx.get(`SELECT 1 FROM console_accounts WHERE role = 'admin' AND password_hash IS NOT NULL LIMIT 1`)) !== undefined
  );
}

type TakeArgument = LinkCode & { readonly name: string; readonly passwordHash: string; readonly now: number };

async function takeLink(context: PostgresContext, { name, passwordHash, now, ...code }: TakeArgument) {
  const { tx } = context;
  await lockAccounts(tx);
  const link = await tryLink(context, { ...code, now });
  if (typeof link === 'string') return link;
  if (link.account === null) {
    if ((await accountOf(tx, name)) !== undefined) return 'exists';
    await put(context, bareAccount({ name, role: 'admin', credentials: null, createdAt: now }));
  }
  await tx.run('DELETE FROM console_links WHERE id = $1', code.id);
  const set = { passwordHash, passwordSetAt: now };
  const outcome = await change(context, { name: link.account ?? name, change: set, link: null, force: false, when: {} });
  return outcome === 'done' ? 'done' : 'gone';
}

async function addSession(context: PostgresContext, { session: s, verified }: NewSession): Promise<boolean> {
  const { tx, effects } = context;
  if (!isStillProven(await accountOf(tx, s.account, 'FOR UPDATE'), verified)) return false;
  const key = userKey(s.account);
  await tx.run(
    'INSERT INTO console_sessions (hash, account, created_at, last_seen_at, ip, agent, confirmed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)',
    ...[s.hash, key, s.createdAt, s.lastSeenAt, s.ip, s.userAgent, s.confirmedAt],
  );
  await tx.run(
    `DELETE FROM console_sessions WHERE account = $1 AND hash NOT IN
       (SELECT hash FROM console_sessions WHERE account = $1 ORDER BY created_at DESC, hash = $2 DESC LIMIT $3)`,
    ...[key, s.hash, MOST_SESSIONS],
  );
  effects.changed('console');
  return true;
}
type NewSession = { readonly session: ConsoleSession; readonly verified: VerifiedLogin };

export const consoleOperations: OperationTable<Names> = {
  account: { kind: 'read', run: ({ tx }, name) => accountOf(tx, name) },
  accounts: { kind: 'read', run: ({ tx }) => all(tx) },
  addAccount: {
    kind: 'write',
    async run(context, { account, link }) {
      await lockAccounts(context.tx);
      if ((await accountOf(context.tx, account.name)) !== undefined) return false;
      await put(context, bareAccount(account));
      await putLink(context, link);
      return true;
    },
  },
  changeAccount: { kind: 'write', run: change },
  removeAccount: {
    kind: 'write',
    async run(context, { name, force, when }) {
      const { tx, effects } = context;
      await lockAccounts(tx);
      const old = await accountOf(tx, name, 'FOR UPDATE');
      if (old === undefined) return 'absent';
      if (!(await holds(tx, old, when))) return 'changed';
      if (!force && isAdmin(old) && (await isLastAdmin(context, old))) return 'lastAdmin';
      effects.changed('console');
      const key = userKey(name);
      await tx.run('DELETE FROM console_accounts WHERE key = $1', key);
      for (const table of ['console_sessions', 'console_links', 'console_tokens'])
        await tx.run(`DELETE FROM ${table} WHERE account = $1`, key);
      return 'done';
    },
  },
  putLink: { kind: 'write', run: putLink },
  tryLink: { kind: 'write', run: tryLink },
  takeLink: { kind: 'write', run: takeLink },
  useTotpStep: {
    kind: 'write',
    async run({ tx }, { name, step }) {
      const sql = 'UPDATE console_accounts SET totp_step = $1 WHERE key = $2 AND totp_step < $1';
      return (await tx.run(sql, step, userKey(name))) > 0;
    },
  },
  useRecoveryCode: {
    kind: 'write',
    async run(context, { name, hash }) {
      const old = await accountOf(context.tx, name, 'FOR UPDATE');
      if (!old?.recoveryCodes.includes(hash)) return false;
      await put(context, { ...old, recoveryCodes: old.recoveryCodes.filter((code) => code !== hash) });
      return true;
    },
  },
  addSession: { kind: 'write', run: addSession },
  session: {
    kind: 'read',
    async run({ tx }, hash) {
      const found = await tx.get<ConsoleSession>(`SELECT ${SESSION_COLUMNS} FROM console_sessions WHERE hash = $1`, hash);
      const account = found && (await accountOf(tx, found.account));
      return found && account && { session: { ...found, account: account.name }, account };
    },
  },
  sessions: {
    kind: 'read',
    async run({ tx }, account) {
      const sql = `SELECT ${SESSION_COLUMNS} FROM console_sessions WHERE $1::text IS NULL OR account = $1 ORDER BY created_at DESC, hash`;
      return withNames(await tx.all<ConsoleSession>(sql, account === null ? null : userKey(account)), await all(tx));
    },
  },
  seeSession: {
    kind: 'write',
    async run({ tx }, { hash, at, ip }) {
      const sql = 'UPDATE console_sessions SET last_seen_at = $1, ip = $2 WHERE hash = $3 AND last_seen_at <= $4';
      await tx.run(sql, at, ip, hash, at - SEEN_EVERY);
    },
  },
  confirmSession: {
    kind: 'write',
    run: async ({ tx }, { hash, at }) =>
      (await tx.run('UPDATE console_sessions SET confirmed_at = $1 WHERE hash = $2', at, hash)) > 0,
  },
  endSession: {
    kind: 'write',
    async run({ tx, effects }, hash) {
      effects.changed('console');
      return (await tx.run('DELETE FROM console_sessions WHERE hash = $1', hash)) > 0;
    },
  },
  endSessions: { kind: 'write', run: endSessions },
  addToken: {
    kind: 'write',
    async run({ tx }, token) {
      if ((await accountOf(tx, token.account, 'FOR UPDATE')) === undefined) return 'no account';
      const same = 'SELECT 1 FROM console_tokens WHERE account = $1 AND name = $2 AND (expires_at IS NULL OR expires_at > $3)';
      if ((await tx.get(same, userKey(token.account), token.name, token.createdAt)) !== undefined) return 'name taken';
      await tx.run(
        `INSERT INTO console_tokens (id, hash, name, account, scopes, credential, networks, created_at, expires_at, last_used_at,
           last_used_ip) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
        ...tokenValues(token),
      );
      return 'done';
    },
  },
  tokens: {
    kind: 'read',
    async run({ tx }) {
      const rows = await tx.all<TokenRow>(`SELECT ${TOKEN_COLUMNS} FROM console_tokens ORDER BY created_at, id`);
      return withNames(rows.map(readToken), await all(tx));
    },
  },
  token: {
    kind: 'read',
    async run({ tx }, hash) {
      const row = await tx.get<TokenRow>(`SELECT ${TOKEN_COLUMNS} FROM console_tokens WHERE hash = $1`, hash);
      const account = row && (await accountOf(tx, row.account));
      return row && account && { token: { ...readToken(row), account: account.name }, account };
    },
  },
  seeToken: {
    kind: 'write',
    async run({ tx }, { id, at, ip }) {
      const sql =
        'UPDATE console_tokens SET last_used_at = $1, last_used_ip = $2 WHERE id = $3 AND coalesce(last_used_at, 0) <= $4';
      await tx.run(sql, at, ip, id, at - SEEN_EVERY);
    },
  },
  removeToken: {
    kind: 'write',
    async run({ tx, effects }, id) {
      effects.changed('console');
      return (await tx.run('DELETE FROM console_tokens WHERE id = $1', id)) > 0;
    },
  },
};
