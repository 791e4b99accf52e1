/** Who asks: an account by the cookie of its session, or a program by its token. */
import type { IncomingHttpHeaders } from 'node:http';
import { createNetworks } from '../../net/networks.ts';
import type { ConsoleAccount } from '../../store/store.ts';
import type { ConsoleParts } from '../console.ts';
import { ApiProblem } from '../problem.ts';
import type { ApiCaller } from '../route.ts';
import type { Arrival } from './arrival.ts';
import { secretHash, secretIn } from './cookie.ts';

/** `secret`: the value of the cookie. */
export type OpenSession = {
  readonly hash: string;
  readonly secret: string;
  readonly createdAt: number;
  readonly confirmedAt: number;
  readonly account: ConsoleAccount;
};
export type KnownCaller = { readonly by: ApiCaller; readonly session?: OpenSession; readonly scopes?: readonly string[] };

/** As the page sends it while nobody looks at it: such a request is no use of the session. */
const UNSEEN = 'x-smarthost-unseen';

/**
 * undefined: nobody whom we know. A cookie that says nothing any more counts as none.
 * @throws ApiProblem 400 if there is a cookie and a token, 401 if the token is not valid.
 */
export async function authenticate(
  headers: IncomingHttpHeaders,
  arrival: Arrival,
  parts: ConsoleParts,
): Promise<KnownCaller | undefined> {
  const secret = secretIn(headers.cookie, arrival);
  const { authorization } = headers;
  if (authorization === undefined) return secret === undefined ? undefined : bySession(secret, headers, arrival, parts);
  if (secret !== undefined) throw new ApiProblem(400, 'A request has a cookie or a token, not both.', { kind: 'two-callers' });
  return byToken(/^Bearer +(\S+)$/i.exec(authorization)?.[1], arrival, parts);
}

/** Whether the caller of a request that goes on has the same rights as when it began. That is no use of the session. */
export async function isStillAllowed(
  caller: KnownCaller,
  headers: IncomingHttpHeaders,
  arrival: Arrival,
  parts: ConsoleParts,
): Promise<boolean> {
  const now = await authenticate({ ...headers, [UNSEEN]: 'yes' }, arrival, parts).catch(() => undefined);
  const rightsOf = ({ by: { id, role, credentials }, scopes }: KnownCaller) => JSON.stringify([id, role, credentials, scopes]);
  return now !== undefined && rightsOf(now) === rightsOf(caller);
}

async function bySession(secret: string, headers: IncomingHttpHeaders, { ip }: Arrival, parts: ConsoleParts) {
  const hash = secretHash(secret);
  const found = await parts.store.console.session(hash);
  if (found === undefined || found.account.disabled) return undefined;
  const { session, account } = found;
  const now = parts.now();
  const { idle, lifetime } = parts.settings();
  if (now - session.lastSeenAt > idle || now - session.createdAt > lifetime) return undefined;
  if (headers[UNSEEN] === undefined) await parts.store.console.seeSession(hash, now, ip);
  const { name, role, credentials } = account;
  const id = `${name} ${account.createdAt}`;
  const { createdAt, confirmedAt } = session;
  return {
    by: { name, id, account: name, way: 'session', role, address: ip, credentials } as const,
    session: { hash, secret, createdAt, confirmedAt, account },
  };
}

async function byToken(value: string | undefined, { ip }: Arrival, parts: ConsoleParts): Promise<KnownCaller> {
  const found = value === undefined ? undefined : await parts.store.console.token(secretHash(value));
  if (found === undefined) throw refused('The token is not known here. It may have been removed.');
  const { token, account } = found;
  const now = parts.now();
  if (account.disabled) throw refused(`The account ${account.name}, which made the token, is disabled.`);
  if (token.expiresAt !== null && token.expiresAt <= now) throw refused('The token has expired.');
  if (token.networks.length > 0 && !createNetworks(token.networks).has(ip)) throw refused(`The token is not taken from ${ip}.`);
  await parts.store.console.seeToken(token.id, now, ip);
  const { id, name, scopes } = token;
  const { role } = account;
  const credentials = credentialsOf(token, account);
  return { by: { name, id, account: account.name, way: 'token', role, address: ip, credentials }, scopes };
}

/** A token never sees more than the account that made it. */
function credentialsOf({ credential }: { credential: string | null }, account: { credentials: readonly string[] | null }) {
  if (credential === null) return account.credentials;
  const isAllowed = account.credentials === null || account.credentials.includes(credential);
  return isAllowed ? [credential] : [];
}

/** As programs with tokens expect it. */
const refused = (sentence: string) =>
  new ApiProblem(401, sentence, { headers: { 'www-authenticate': 'Bearer realm="smarthost", error="invalid_token"' } });
