/**
 * Who a login is. argon2id runs behind a turnstile. A verified pair is remembered under a keyed hash for some minutes. A record of the
 * store is remembered for 2 s, so that a storm of logins reads it once.
 */
import { hash as digestOf, randomBytes } from 'node:crypto';
import { lowerAscii } from '../smtp/text.ts';
import type { Credential, CredentialStore } from '../store/store.ts';
import { createCache } from '../system/cache.ts';
import { type Clock, SECOND, systemClock } from '../system/clock.ts';
import { hashPassword, isOutdated, unmatchableHash, verifyPassword } from './password-hash.ts';
import { type Asker, createTurnstile } from './turnstile.ts';

export { type ConsolePasswords, createConsolePasswords } from './console-passwords.ts';
export { generatePassword, hashPassword } from './password-hash.ts';

export type Verification =
  | { readonly result: 'ok'; readonly credential: Credential }
  | { readonly result: 'wrong' | 'disabled' | 'expired' }
  /** The turn of this login did not come in time. */
  | { readonly result: 'busy' }
  /** The store failed, or the stored hash cannot be used. */
  | { readonly result: 'unavailable'; readonly cause: unknown };

export type Credentials = {
  /** Says `disabled` and `expired` only to a client that knows the password. Never rejects. */
  verify(name: string, password: string, asker?: Asker): Promise<Verification>;
  /**
   * The credential of an earlier login as it is now, at most 2 s old. A remembered one is returned at once, without a promise.
   * Undefined: it is removed, disabled or expired, has another password, or is a namesake that was added later.
   * Rejects when the store fails.
   */
  current(held: Credential): Credential | undefined | Promise<Credential | undefined>;
  /** The same, always read from the store. */
  renewed(held: Credential): Promise<Credential | undefined>;
  /** Another process has changed the store: nothing that is remembered counts any more. */
  forget(): void;
};

type CredentialsOptions = {
  readonly store: Pick<CredentialStore, 'get' | 'renewHash'>;
  /** Milliseconds that a verified pair is remembered; 0: not at all. */
  readonly cacheFor: number;
  readonly parallel?: number;
  /** Longest wait for a turn in milliseconds, before the client is told to come again. Default: 5 s. */
  readonly patience?: number;
  readonly now?: Clock;
  /** Milliseconds by a clock that is never set, for what is remembered. */
  readonly monotonic?: Clock;
};

/** Octets of a password. A longer one is wrong and is not hashed. */
const MAX_PASSWORD = 1024;
/** Octets of a name. A name may be a mailbox with a long local part. RFC 4616 §2 asks for 255 octets at least. */
const MAX_NAME = 1024;
const REMEMBERED_PAIRS = 10_000;
/** Known and unknown names together: a client that tries many names cannot fill the memory. */
const REMEMBERED_RECORDS = 10_000;
/** How long a record is remembered. */
const FRESH = 2 * SECOND;

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
   * The key contains the stored hash, so that a changed password makes another pair. SHA-512/256 is keyed without HMAC, because its
   * output does not tell its state. One call takes a quarter of the time of HMAC.
   */
  function keyOf(...parts: readonly string[]): string {
    const text = parts.map((part) => `${part.length}:${part}`).join('');
    return digestOf('sha512-256', secret + text, 'base64');
  }

  /** All logins that ask for the same pair at the same time share one run of argon2. Undefined: no turn came. */
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

  /** Makes a new hash with today's parameters. The login does not wait for it. The next login tries again what fails. */
  function renew(record: Credential, password: string): void {
    const work = async () => {
      const hash = await hashPassword(password);
      if (!(await store.renewHash(record.name, record.hash, hash))) return; // the password was changed meanwhile
      records.forget();
      if (cacheFor > 0) verified.set(keyOf(record.name, hash, password), monotonic() + cacheFor);
    };
    turnstile.run(work).catch(() => {}); // the old hash is still right
  }

  function successor({ generation }: Credential, record: Credential | undefined): Credential | undefined {
    if (record === undefined || record.generation !== generation) return undefined;
    return endOf(record, now()) === undefined ? record : undefined;
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
      const record = records.get(held.name);
      return record instanceof Promise ? record.then((found) => successor(held, found)) : successor(held, record);
    },
    renewed: async (held) => successor(held, await records.ask(held.name)),
    forget: () => records.forget(),
  };
}

/** Why the credential lets nobody in any more; undefined: it does. */
function endOf({ disabled, expiresAt }: Credential, now: number): 'disabled' | 'expired' | undefined {
  if (disabled) return 'disabled';
  return expiresAt !== null && expiresAt <= now ? 'expired' : undefined;
}

function judge(credential: Credential, now: number): Verification {
  const result = endOf(credential, now);
  return result === undefined ? { result: 'ok', credential } : { result };
}

/** A name that no credential can have is treated as an unknown name, so that it takes as long. */
function tryNormalize(name: string): string | undefined {
  try {
    return normalizeName(name);
  } catch {
    return undefined;
  }
}

/**
 * The form in which a name is kept and compared: UTF-8 without control characters, ASCII letters in lower case.
 * @throws Error with a sentence where the name is not allowed.
 */
export function normalizeName(name: string): string {
  if (name === '') throw new Error('A name must not be empty');
  if (Buffer.byteLength(name) > MAX_NAME) throw new Error(`A name has at most ${MAX_NAME} octets`);
  if (/[\p{Cc}\u2028\u2029\ufffd]/u.test(name) || !name.isWellFormed()) throw new Error('A name has no control characters');
  return lowerAscii(name);
}

/**
 * Records of the store by name in its normal form. Undefined: there is none.
 * @param now a clock that is never set back, because what is remembered would count for as long.
 */
function createRecords(store: Pick<CredentialStore, 'get'>, now: Clock) {
  const known = createCache<string, { readonly record: Credential | undefined; readonly until: number }>(REMEMBERED_RECORDS);
  const asked = new Map<string, Promise<Credential | undefined>>();

  function load(name: string): Promise<Credential | undefined> {
    const shared = asked.get(name);
    if (shared !== undefined) return shared;
    const answer: Promise<Credential | undefined> = store
      .get(name)
      .then((record) => {
        if (asked.get(name) === answer) known.set(name, { record, until: now() + FRESH });
        return record;
      })
      .finally(() => {
        if (asked.get(name) === answer) asked.delete(name);
      });
    asked.set(name, answer);
    return answer;
  }

  return {
    /** Returns a promise where the store has to be asked. */
    get(name: string): Credential | undefined | Promise<Credential | undefined> {
      const found = known.get(name);
      return found !== undefined && now() < found.until ? found.record : load(name);
    },
    /** The record as the store has it now. */
    ask(name: string): Promise<Credential | undefined> {
      asked.delete(name); // a question that is under way may be answered with what was true before
      return load(name);
    },
    /** The answer to a question that is under way may be old already, and is not remembered. */
    forget(): void {
      known.clear();
      asked.clear();
    },
  };
}
