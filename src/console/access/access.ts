/** What the routes about the caller's own access do: logins, sessions, passwords, the second factor. */
import { randomUUID } from 'node:crypto';
import { normalizeName } from '../../credentials/credentials.ts';
import { clientKey, networkOf } from '../../net/client-networks.ts';
import type { AccountChange, ChangeNote, ConsoleAccount, StoreData } from '../../store/store.ts';
import { SECOND } from '../../system/clock.ts';
import type { ConsoleParts } from '../console.ts';
import { ApiProblem } from '../problem.ts';
import type { Arrival } from './arrival.ts';
import type { OpenSession } from './authentication.ts';
import { cookieFor, newSecret, secretHash, secretIn } from './cookie.ts';
import { createLinks } from './links.ts';
import { createLogin, type GivenLogin } from './login.ts';
import { checkNewPassword } from './new-password.ts';
import { newRecoveryCodes, stepOfCode } from './second-factor.ts';

type UsedLink = { readonly code: string; readonly name?: string | undefined; readonly password: string };
/** `cookie`: the field Set-Cookie. */
export type BegunSession = { readonly account: ConsoleAccount; readonly secret: string; readonly cookie: string };
/** The session that asks. */
type Own = Pick<OpenSession, 'hash' | 'account'>;

export type Access = ReturnType<typeof createAccess>;

export function createAccess(parts: ConsoleParts) {
  const { store, passwords, log, now } = parts;
  const check = createLogin(parts);
  const links = createLinks(parts);

  /** Every login has a new session, so that a value that somebody planted in the browser is of no use. */
  async function begin(account: ConsoleAccount, at: Arrival): Promise<BegunSession> {
    const old = secretIn(at.cookie, at);
    if (old !== undefined) await store.console.endSession(secretHash(old));
    const secret = newSecret();
    const time = now();
    const times = { createdAt: time, lastSeenAt: time, confirmedAt: time };
    const session = { hash: secretHash(secret), account: account.name, ip: at.ip, userAgent: at.userAgent, ...times };
    const isBegun = await store.console.addSession(session, account);
    if (!isBegun) throw new ApiProblem(401, 'The account was changed meanwhile.', { kind: 'wrong-login' });
    return { account, secret, cookie: cookieFor(at, secret, parts.settings().lifetime / SECOND) };
  }

  async function hashed(password: string, { ip }: Arrival): Promise<string> {
    const hash = await passwords.hash(password, { client: clientKey(ip), network: networkOf(ip), known: true });
    if (hash === undefined)
      throw new ApiProblem(503, 'Too many passwords are being checked. Try again.', { headers: { 'retry-after': '5' } });
    return hash;
  }

  function noted(name: string, at: Arrival, action: string, after: unknown = null): StoreData {
    const note: ChangeNote = {
      ...{ id: randomUUID(), at: now(), actor: name, way: 'session', address: at.ip },
      ...{ action, target: name, before: null, after },
    };
    return store.noted(note);
  }

  /** A reset of the account meanwhile has ended its sessions, and holds. @throws ApiProblem 401 */
  async function changeOwn({ hash, account }: Own, view: StoreData, change: AccountChange): Promise<void> {
    const outcome = await view.console.changeAccount(account.name, change, { when: { session: hash } });
    if (outcome !== 'done') throw new ApiProblem(401, 'The session has ended meanwhile.');
  }

  return {
    async logIn(given: GivenLogin, at: Arrival): Promise<BegunSession> {
      const account = await check(given, at);
      log.emit('consoleLogin', { ip: at.ip, account: account.name });
      return begin(account, at);
    },
    /** The password again. */
    async confirm(hash: string, given: GivenLogin, at: Arrival): Promise<void> {
      await check(given, at);
      await store.console.confirmSession(hash, now());
    },
    async logOut(hash: string, at: Arrival): Promise<string> {
      await store.console.endSession(hash);
      return cookieFor(at, '', 0);
    },
    /** All sessions end, and the caller gets a new one. @throws ApiProblem 401 if its session has ended. */
    async changePassword(own: Own, password: string, at: Arrival): Promise<BegunSession> {
      const { account } = own;
      checkNewPassword(password, [account.name, ...parts.settings().names]);
      const change = { passwordHash: await hashed(password, at), passwordSetAt: now() };
      await changeOwn(own, noted(account.name, at, 'account.password'), change);
      return begin({ ...account, ...change }, at);
    },
    /** All other sessions end. @returns codes for the day when the app is lost. @throws ApiProblem 422 if the code does not fit the secret. */
    async setFactor(own: Own, { secret, code }: { secret: string; code: string }, at: Arrival): Promise<readonly string[]> {
      const { name } = own.account;
      const step = stepOfCode(secret, code, now());
      if (step === undefined) {
        const detail = 'The code is wrong. Is the clock of the telephone right?';
        throw new ApiProblem(422, detail, { errors: [{ pointer: '/code', detail }] });
      }
      const { codes, hashes } = newRecoveryCodes();
      const change = { totpSecret: secret, recoveryCodes: hashes };
      await changeOwn(own, noted(name, at, 'account.factor', { secondFactor: true }), change);
      await store.console.useTotpStep(name, step);
      return codes;
    },
    /** All other sessions end. */
    async removeFactor(own: Own, at: Arrival): Promise<void> {
      const view = noted(own.account.name, at, 'account.factor', { secondFactor: false });
      await changeOwn(own, view, { totpSecret: null, recoveryCodes: [] });
    },
    lookAtLink: links.look,
    /** Sets the password of the account that the code belongs to. @returns its name. */
    async useLink({ code, name = '', password }: UsedLink, at: Arrival): Promise<string> {
      const account = (await links.look(code, at)) ?? nameOfFirst(name);
      checkNewPassword(password, [account, ...parts.settings().names]);
      const passwordHash = await hashed(password, at);
      await links.take(code, noted(account, at, 'account.password'), { name: account, passwordHash });
      log.emit('consoleSetup', { ip: at.ip, account });
      return account;
    },
  };
}

/** As all names of accounts are kept, so that commands find it. @throws ApiProblem 422 */
function nameOfFirst(typed: string): string {
  try {
    return normalizeName(typed);
  } catch (error) {
    const detail = `${(error as Error).message}.`;
    throw new ApiProblem(422, detail, { errors: [{ pointer: '/name', detail }] });
  }
}
