/** A password and a code, judged and counted: at a login, and when something needs them again. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { clientKey, networkOf } from '../../net/client-networks.ts';
import type { ChangeNote, ConsoleAccount } from '../../store/store.ts';
import { MINUTE, SECOND } from '../../system/clock.ts';
import type { ConsoleParts } from '../console.ts';
import { ApiProblem } from '../problem.ts';
import type { Arrival } from './arrival.ts';
import { createRate } from './rate.ts';
import { useCode } from './second-factor.ts';

export type GivenLogin = { readonly name: string; readonly password: string; readonly code?: string | undefined };

/** Wrong logins of a client. */
const A_MINUTE = 5;
/** Kept in the place of a name that no account has: people type their password there. */
const NO_ACCOUNT = '(no such account)';
/** Failed logins that `changes` shows; the log has all of them. */
const NOTED = { perSecond: 10 / (MINUTE / SECOND), burst: 60 };

function noteOfRefusal(account: string, ip: string, reason: string, at: number): ChangeNote {
  const who = { actor: account, way: 'session', address: ip } as const;
  return { id: randomUUID(), at, ...who, action: 'session.refused', target: account, before: null, after: { reason } };
}

type Parts = Pick<ConsoleParts, 'store' | 'passwords' | 'guard' | 'log' | 'now'>;

/** @returns a function that finds the account, or throws an ApiProblem 401, 403, 429 or 503. An unknown name takes as long as a known one. */
export function createLogin({ store, passwords, guard, log, now }: Parts) {
  const rate = createRate({ perSecond: A_MINUTE / (MINUTE / SECOND), burst: A_MINUTE }, () => performance.now());

  /** Whoever guesses passwords must not fill the store. */
  const noted = createRate(NOTED, () => performance.now());

  async function fail(account: string, ip: string, reason: 'wrong password' | 'wrong code'): Promise<never> {
    log.emit('consoleLoginFailed', { ip, account, reason });
    if (noted.take('') === 0) await store.audit.add(noteOfRefusal(account, ip, reason, now()));
    await delay(await guard.recordFailure(ip, account));
    throw new ApiProblem(401, reason === 'wrong code' ? 'The code is wrong, or was used before.' : 'Name or password is wrong.', {
      kind: 'wrong-login',
    });
  }

  function checkBlocked(ip: string, name: string): void {
    if (!guard.isBlocked(ip, name)) return;
    throw new ApiProblem(429, `Too many logins from ${ip} have failed. Wait, or ask from another address.`, {
      headers: { 'retry-after': String(MINUTE / SECOND) },
    });
  }

  return async ({ name, password, code }: GivenLogin, { ip }: Pick<Arrival, 'ip'>): Promise<ConsoleAccount> => {
    const account = await store.console.account(name);
    const who = account?.name ?? NO_ACCOUNT;
    checkBlocked(ip, who);
    const client = clientKey(ip);
    const wait = rate.take(client);
    if (wait > 0)
      throw new ApiProblem(429, `These are too many logins. Wait ${wait} s.`, { headers: { 'retry-after': String(wait) } });
    const fits = await passwords.verify(account?.passwordHash ?? null, password, {
      client,
      network: networkOf(ip),
      known: false,
    });
    if (fits === undefined)
      throw new ApiProblem(503, 'Too many logins are being checked. Try again.', { headers: { 'retry-after': '5' } });
    checkBlocked(ip, who); // other guesses may have failed meanwhile
    if (!fits || account === undefined || account.passwordHash === null) return fail(who, ip, 'wrong password');
    if (account.disabled) throw new ApiProblem(403, `The account ${account.name} is disabled.`);
    if (account.totpSecret !== null) {
      if (code === undefined) throw new ApiProblem(401, 'The code of the second factor is missing.', { kind: 'code-needed' });
      if (!(await useCode(store.console, account, code, now()))) return fail(who, ip, 'wrong code');
    }
    rate.giveBack(client);
    return account;
  };
}
