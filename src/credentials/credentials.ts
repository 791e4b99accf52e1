/** Who a login is: argon2id behind a turnstile, verified pairs remembered under a keyed hash, records at most 2 s old. */
import { hash as digestOf, randomBytes } from 'node:crypto';
import type { Credential, CredentialStore } from '../store/store.ts';
import { createCache } from '../system/cache.ts';
import { type Clock, SECOND, systemClock } from '../system/clock.ts';
import { normalizeName } from './name.ts';
import { hashPassword, isOutdated, unmatchableHash, verifyPassword } from './password-hash.ts';
import { createRecords } from './records.ts';
import { type Asker, createTurnstile } from './turnstile.ts';

export { normalizeName } from './name.ts';
export { generatePassword, hashPassword } from './password-hash.ts';

export type Verification =
  | { readonly result: 'ok'; readonly credential: Credential }
  | { readonly result: 'wrong' | 'disabled' | 'expired' }
  /** Its turn did not come in time. */
  | { readonly result: 'busy' }
  /** The store failed, or what it holds cannot be used. */
  | { readonly result: 'unavailable'; readonly cause: unknown };

export type Credentials = {
  /** `disabled` and `expired` are told only to who knows the password. Never rejects. */
  verify(name: string, password: string, asker?: Asker): Promise<Verification>;
  /**
   * The credential that somebody was let in by, as it is now (at most 2 s old); at once where it is remembered. Undefined: it is
   * gone, disabled or expired, has another password, or is a namesake that was added later. Rejects when the store fails.
   */
  current(held: Credential): Credential | undefined | Promise<Credential | undefined>;
  /** The same, from the store, whatever is remembered. */
  renewed(held: Credential): Promise<Credential | undefined>;
  /** The store was changed from outside: look again. */
  forget(): void;
};

type CredentialsOptions = {
  readonly store: Pick<CredentialStore, 'get' | 'renewHash'>;
  /** Milliseconds that a verified pair is remembered; 0: not at all. */
  readonly cacheFor: number;
  readonly parallel?: number;
  /** Longest wait for a turn before the client is told to come again, ms. Default: 5 s. */
  readonly patience?: number;
  readonly now?: Clock;
  /** Milliseconds by a clock that nobody sets, for what is remembered. */
  readonly monotonic?: Clock;
};

/** Octets of a password; a longer one is wrong without being hashed. */
const MAX_PASSWORD = 1024;
const REMEMBERED_PAIRS = 10_000;

export function createCredentials(options: CredentialsOptions): Credentials {
  const { store, cacheFor, parallel = 2, patience = 5 * SECOND, now = systemClock } = options;
  const { monotonic = () => performance.now() } = options;
  const records = createRecords(store, monotonic);
  const turnstile = createTurnstile(parallel, patience);
  const secret = randomBytes(32).toString('hex');
  const verified = createCache<string, number>(REMEMBERED_PAIRS);
  const running = new Map<string, Promise<boolean | undefined>>();
  const dummy = unmatchableHash();

  /**
   * Names the pair and the hash it is compared with, so that a changed password is another pair. SHA-512/256 needs no HMAC to be
   * keyed, as what comes out says nothing of its state; in one call, a quarter of the time.
   */
  function keyOf(...parts: readonly string[]): string {
    const text = parts.map((part) => `${part.length}:${part}`).join('');
    return digestOf('sha512-256', secret + text, 'base64');
  }

  /** One argon2 run for all who ask for the same pair at the same time; undefined: no turn. */
  function matches(key: string, hash: string, password: string, asker?: Asker): Promise<boolean | undefined> {
    const shared = running.get(key);
    if (shared !== undefined) return shared;
    const run = turnstile.run(() => verifyPassword(hash, password), asker).finally(() => running.delete(key));
    running.set(key, run);
    return run;
  }

  async function check(name: string, password: string, asker?: Asker): Promise<Verification> {
    const normal = tryNormalize(name);
    const record = normal === undefined ? undefined : await records.get(normal);
    const hash = record?.hash ?? dummy;
    const key = keyOf(normal ?? name, hash, password);
    const rememberedUntil = verified.get(key);
    if (record !== undefined && rememberedUntil !== undefined && monotonic() < rememberedUntil) return judge(record, now());
    const match = await matches(key, hash, password, asker);
    if (match === undefined) return { result: 'busy' };
    if (!match || record === undefined) return { result: 'wrong' };
    if (cacheFor > 0) verified.set(key, monotonic() + cacheFor);
    if (isOutdated(hash)) renew(record, password);
    return judge(record, now());
  }

  /** Behind the login, which must not wait for it; what fails now is tried again at the next login. */
  function renew(record: Credential, password: string): void {
    const work = async () => {
      const hash = await hashPassword(password);
      if (!(await store.renewHash(record.name, record.hash, hash))) return; // changed meanwhile: theirs is the newer one
      records.forget();
      if (cacheFor > 0) verified.set(keyOf(record.name, hash, password), monotonic() + cacheFor);
    };
    turnstile.run(work).catch(() => {}); // the old hash is still right
  }

  function successor({ generation }: Credential, record: Credential | undefined): Credential | undefined {
    if (record === undefined || record.generation !== generation) return undefined;
    return judge(record, now()).result === 'ok' ? record : undefined;
  }

  return {
    async verify(name, password, asker) {
      if (Buffer.byteLength(password) > MAX_PASSWORD) return { result: 'wrong' };
      try {
        return await check(name, password, asker);
      } catch (cause) {
        return { result: 'unavailable', cause };
      }
    },
    current(held) {
      const record = records.remembered(held.name);
      return record === undefined ? records.get(held.name).then((found) => successor(held, found)) : successor(held, record);
    },
    renewed: async (held) => successor(held, await records.ask(held.name)),
    forget: () => records.forget(),
  };
}

function judge(credential: Credential, now: number): Verification {
  if (credential.disabled) return { result: 'disabled' };
  if (credential.expiresAt !== null && credential.expiresAt <= now) return { result: 'expired' };
  return { result: 'ok', credential };
}

/** A name that cannot exist is an unknown one: it takes as long as any other. */
function tryNormalize(name: string): string | undefined {
  try {
    return normalizeName(name);
  } catch {
    return undefined;
  }
}
