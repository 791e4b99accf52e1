/** Verifies a login, and counts it where it is wrong: RFC 4954 §4 and §6. */
import { setTimeout as delay } from 'node:timers/promises';
import { refusal } from '../smtp/replies.ts';
import type { Credential } from '../store/store.ts';
import type { ClientLogin } from './authentication.ts';
import type { Wire } from './conversation.ts';
import type { Shared } from './submission.ts';

/** Failures after which the session ends. */
const MAX_FAILURES = 3;
/** An attacker's name may be long, and must not fill the log. */
const MAX_LOGGED_NAME = 255;

/** The failed logins of one session. */
export class LoginFailures {
  /** The mechanisms that failed with a pair. The same wrong password by PLAIN and then by LOGIN counts once. */
  readonly #tried = new Map<string, Set<string>>();
  #count = 0;

  get tooMany(): boolean {
    return this.#count >= MAX_FAILURES;
  }

  /** @returns false where the same mistake was counted before. */
  add({ name, password, mechanism }: ClientLogin): boolean {
    const pair = `${name}\0${password}`;
    const mechanisms = this.#tried.get(pair) ?? new Set();
    const isNew = mechanisms.size === 0 || mechanisms.has(mechanism);
    this.#tried.set(pair, mechanisms.add(mechanism));
    if (isNew) this.#count++;
    return isNew;
  }
}

/** Rejects with a Refusal: 535 5.7.8, 454 4.7.0, or 421 4.7.0 where the address has failed too often. */
export async function logIn(
  { options, guard }: Shared,
  { id: session, ip, client, tls }: Pick<Wire, 'id' | 'ip' | 'client' | 'tls'>,
  login: ClientLogin,
  failures: LoginFailures,
): Promise<Credential> {
  const { name, mechanism } = login;
  const verification = await guard.verify(login, { ip, client });
  if (verification === 'blocked') throw refusal('blocked');
  const { result } = verification;
  if (result === 'ok') {
    const { credential } = verification;
    options.log.emit('authenticated', { session, ip, user: credential.name, mechanism, tls: tls?.protocol ?? null });
    return credential;
  }
  options.log.emit('authFailed', { session, ip, user: name.slice(0, MAX_LOGGED_NAME), mechanism, reason: result });
  if (result === 'unavailable') {
    throw Object.assign(refusal('loginUnavailable'), { cause: verification.cause });
  }
  if (result === 'busy') throw refusal('tooManyLogins');
  const earlier = failures.add(login) ? await guard.recordFailure(ip, name) : 0;
  await delay(failureDelay(options.auth.failureDelay, earlier));
  throw refusal(`${result}Login`);
}

/**
 * Milliseconds that an answer waits. It grows with the failures of the address. Ten answers in a row still fit into the minute by which
 * failures are counted.
 */
export function failureDelay(step: number, failuresInMinute: number): number {
  return step * Math.min(3, Math.max(1, Math.ceil(failuresInMinute / 3)));
}
