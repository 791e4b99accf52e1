/** Tokens: how programs come in. A token is shown once, and the store has its hash alone. */
import { hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { createNetworks } from '../net/networks.ts';
import type { ConsoleToken } from '../store/store.ts';
import { DAY } from '../system/clock.ts';
import { ControlError } from './control-error.ts';
import type { Parts } from './parts.ts';
import { iso } from './shapes.ts';
import { normalUserName } from './users.ts';

/** What a token may do. */
export const TOKEN_SCOPES = [
  ...(['messages:read', 'messages:send', 'queue:write', 'credentials:write', 'domains:write', 'metrics:read'] as const),
];
type TokenScope = (typeof TOKEN_SCOPES)[number];

/** `token list` */
export type KnownToken = ReturnType<typeof tokenShape>;
/** `token` is shown once. */
type MadeToken = KnownToken & { readonly token: string };

type NewToken = {
  readonly name: string;
  /** It ends with this account, and may never do more than it. */
  readonly account: string;
  readonly scopes: readonly string[];
  /** The only credential whose mail it reads; it then has scopes to read alone. Default: all that its account may. */
  readonly credential?: string | null | undefined;
  /** Default: it is taken from everywhere. */
  readonly networks?: readonly string[] | undefined;
  /** Milliseconds since the epoch; null: never. Default: in 90 days. */
  readonly expiresAt?: number | null | undefined;
};

export type TokenControl = {
  /** The oldest first. @param account only its own. */
  list(account?: string): Promise<readonly KnownToken[]>;
  /** Rejects with `invalid` and `not found` about a part of it, and with `exists` if the account has a token of this name that has not ended. */
  add(token: NewToken): Promise<MadeToken>;
  /** Rejects with `not found`. @param account only if it is one of its own. */
  remove(id: string, account?: string): Promise<{ readonly id: string; readonly removed: true }>;
};

const VALID_FOR = 90 * DAY;
const MAX_NAME = 100;
/** So that who looks for leaked secrets finds it. */
const PREFIX = 'smh_';
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** Characters of 32 octets, and of a CRC-32, by which a mistyped token is told from an unknown one. */
const SECRET_LENGTH = 43;
const CHECK_LENGTH = 6;

export function createTokenControl({ store: { console: accounts, credentials }, now, note }: Parts<unknown>): TokenControl {
  async function tokensOf(account: string | undefined): Promise<readonly ConsoleToken[]> {
    const all = await accounts.tokens();
    if (account === undefined) return all;
    const name = (await accounts.account(await normalUserName(account, 'account')))?.name;
    return all.filter((token) => token.account === name);
  }

  async function credentialNamed(name: string): Promise<string> {
    const found = await credentials.get(await normalUserName(name, 'user'));
    if (found === undefined) throw new ControlError('not found', 'user', `No credential named ${JSON.stringify(name)}.`);
    return found.name;
  }

  return {
    list: async (account) => (await tokensOf(account)).map(tokenShape),
    async add({ name, account: typed, scopes, credential = null, networks = [], expiresAt = now() + VALID_FOR }) {
      const account = await accounts.account(await normalUserName(typed, 'account'));
      if (account === undefined) throw new ControlError('not found', 'account', `No account named ${JSON.stringify(typed)}.`);
      checkName(name);
      checkScopes(scopes, account.role, credential);
      checkNetworks(networks);
      if (expiresAt !== null && expiresAt <= now()) throw new ControlError('invalid', 'expiresAt', 'A token ends in the future.');
      const secret = newToken();
      const token: ConsoleToken = {
        ...{ id: randomBytes(4).toString('hex'), hash: hash('sha256', secret), name, account: account.name },
        ...{ scopes: [...new Set(scopes)], credential: credential === null ? null : await credentialNamed(credential), networks },
        ...{ createdAt: now(), expiresAt, lastUsedAt: null, lastUsedIp: null },
      };
      const made = { ...tokenShape(token), token: secret };
      const view = note({ action: 'token.add', target: name, after: tokenShape(token), gives: made });
      const added = await view.console.addToken(token);
      if (added === 'no account') throw new ControlError('not found', 'account', `No account named ${JSON.stringify(typed)}.`);
      if (added === 'name taken')
        throw new ControlError('exists', 'name', `${account.name} has a token named ${name} already: give another name.`);
      return made;
    },
    async remove(id, account) {
      const found = (await tokensOf(account)).find((token) => token.id === id);
      const gone = () => new ControlError('not found', 'token', `No token ${id}.`);
      if (found === undefined) throw gone();
      const view = note({ action: 'token.remove', target: found.name, before: tokenShape(found) });
      if (!(await view.console.removeToken(id))) throw gone();
      return { id, removed: true };
    },
  };
}

/** `smh_`, 32 random octets and their CRC-32 in base 62. */
function newToken(): string {
  const secret = inBase62(BigInt(`0x${randomBytes(32).toString('hex')}`), SECRET_LENGTH);
  return `${PREFIX}${secret}${inBase62(BigInt(crc32(secret)), CHECK_LENGTH)}`;
}

function inBase62(value: bigint, length: number): string {
  let text = '';
  for (let rest = value; text.length < length; rest /= 62n) text = DIGITS[Number(rest % 62n)] + text;
  return text;
}

function checkName(name: string): void {
  if (name.trim() === '' || name.length > MAX_NAME || /[\x00-\x1f\x7f\ufffd]/.test(name))
    throw new ControlError('invalid', 'name', `a token has a name of at most ${MAX_NAME} characters`);
}

/** All other scopes are about more than the mail of one credential. */
const isReading = (scope: string) => scope.endsWith(':read');

function checkScopes(scopes: readonly string[], role: string, credential: string | null): void {
  if (scopes.length === 0) throw new ControlError('invalid', 'scopes', 'A token has at least one scope.');
  for (const scope of scopes) {
    if (!TOKEN_SCOPES.includes(scope as TokenScope))
      throw new ControlError('invalid', 'scopes', `There is no scope ${JSON.stringify(scope)}, only ${TOKEN_SCOPES.join(', ')}.`);
    if (role === 'reader' && !isReading(scope))
      throw new ControlError('invalid', 'scopes', `A token of a reader only reads: it cannot have ${scope}.`);
    if (credential !== null && !isReading(scope))
      throw new ControlError(
        'invalid',
        'scopes',
        `A token that is confined to a credential reads its mail alone: ${scope} would be of no use. Leave out the scope, or the credential.`,
      );
  }
}

function checkNetworks(networks: readonly string[]): void {
  try {
    createNetworks(networks);
  } catch (cause) {
    throw new ControlError('invalid', 'networks', `${(cause as Error).message}.`, { cause });
  }
}

function tokenShape({
  id,
  name,
  account,
  scopes,
  credential,
  networks,
  createdAt,
  expiresAt,
  lastUsedAt,
  lastUsedIp,
}: ConsoleToken) {
  return {
    ...{ id, name, account, scopes, credential, networks, createdAt: iso(createdAt), expiresAt: iso(expiresAt) },
    ...{ lastUsedAt: iso(lastUsedAt), lastUsedIp },
  };
}
