/** DNS look-ups, cached: what does not exist, what is empty and what could not be asked are three answers, never one. RFC 1035, RFC 2308. */
import { Resolver } from 'node:dns/promises';
import { type Cache, createCache } from '../system/cache.ts';
import { type Clock, HOUR, SECOND, systemClock } from '../system/clock.ts';
import { isResolvable, reverseName } from './name.ts';

export { askValidated, type Validated } from './authenticated.ts';
export { groupsOf, reverseName } from './name.ts';

export type DnsAnswer<T> =
  | { readonly kind: 'found'; readonly values: readonly T[] }
  /** The name exists and has no such record. */
  | { readonly kind: 'none' }
  /** The name does not exist. */
  | { readonly kind: 'nxdomain' }
  /** Nobody could say: SERVFAIL, REFUSED, timeout, malformed answer. */
  | { readonly kind: 'temporary'; readonly cause: string };

/** `exchange` is the empty string for a null MX (RFC 7505). */
export type MxRecord = { readonly preference: number; readonly exchange: string };

export type Dns = {
  mx(name: string): Promise<DnsAnswer<MxRecord>>;
  a(name: string): Promise<DnsAnswer<string>>;
  aaaa(name: string): Promise<DnsAnswer<string>>;
  /** Names of an IPv4 or IPv6 address. */
  ptr(address: string): Promise<DnsAnswer<string>>;
  /** Strings of one record joined. */
  txt(name: string): Promise<DnsAnswer<string>>;
};

export type DnsOptions = {
  /** `127.0.0.1:5300`, `[::1]:53`; empty: the system's. */
  readonly servers: readonly string[];
  /** Milliseconds a server has for its first answer; it is asked twice. */
  readonly timeout?: number;
  readonly now?: Clock;
};

/** Names kept, whatever their record types. */
const CACHED_ANSWERS = 20_000;
const MIN_TTL = 5 * SECOND;
const MAX_TTL = HOUR;
/** c-ares gives no TTL for MX, PTR and TXT. */
const UNKNOWN_TTL = 60 * SECOND;
/** We do not see the SOA that RFC 2308 §5 counts by, so absence is believed for a short time only. */
const NEGATIVE_TTL = 30 * SECOND;

type Found<T> = { readonly values: readonly T[]; readonly ttl: number };
type Kept = { readonly answer: DnsAnswer<never>; readonly expiresAt: number };

/** Look-ups never reject. Never `dns.lookup`: it reads /etc/hosts, and blocks a thread of the pool that signing needs. */
export function createDns({ servers, timeout = 3 * SECOND, now = systemClock }: DnsOptions): Dns {
  const resolver = new Resolver({ timeout, tries: 2, maxTimeout: 2 * timeout });
  if (servers.length > 0) resolver.setServers(servers);
  const cache: Cache<string, Kept> = createCache(CACHED_ANSWERS);
  const underWay = new Map<string, Promise<DnsAnswer<never>>>();

  function ask<T>(type: string, name: string, query: (name: string) => Promise<Found<T>>): Promise<DnsAnswer<T>> {
    const key = `${type} ${name}`;
    const kept = cache.get(key);
    if (kept !== undefined && isFresh(kept, now())) return Promise.resolve(kept.answer);
    const running = underWay.get(key);
    if (running !== undefined) return running;
    const asked = look(name, query).then(({ answer, ttl }) => {
      underWay.delete(key);
      if (ttl > 0) cache.set(key, { answer: answer as DnsAnswer<never>, expiresAt: now() + ttl });
      return answer;
    });
    underWay.set(key, asked as Promise<DnsAnswer<never>>);
    return asked;
  }

  return {
    mx: (name) =>
      ask('MX', canonical(name), async (asked) => {
        const records = await resolver.resolveMx(asked);
        return found(records.map(({ priority, exchange }) => ({ preference: priority, exchange: canonical(exchange) })));
      }),
    a: (name) => ask('A', canonical(name), async (asked) => addresses(await resolver.resolve4(asked, { ttl: true }))),
    aaaa: (name) => ask('AAAA', canonical(name), async (asked) => addresses(await resolver.resolve6(asked, { ttl: true }))),
    ptr: (address) => ask('PTR', reverseName(address), async (asked) => found((await resolver.resolvePtr(asked)).map(canonical))),
    txt: (name) =>
      ask('TXT', canonical(name), async (asked) => found((await resolver.resolveTxt(asked)).map((strings) => strings.join('')))),
  };
}

/** Nothing is kept for longer than MAX_TTL: what seems to be was kept by a clock that has been set back. */
function isFresh({ expiresAt }: Kept, now: number): boolean {
  return now < expiresAt && expiresAt <= now + MAX_TTL;
}

async function look<T>(name: string, query: (name: string) => Promise<Found<T>>): Promise<{ answer: DnsAnswer<T>; ttl: number }> {
  // A name that cannot be put into a question exists nowhere: no server need be asked.
  if (!isResolvable(name)) return { answer: { kind: 'nxdomain' }, ttl: NEGATIVE_TTL };
  try {
    const { values, ttl } = await query(name);
    return values.length > 0 ? { answer: { kind: 'found', values }, ttl } : { answer: { kind: 'none' }, ttl: NEGATIVE_TTL };
  } catch (error) {
    const code = String((error as NodeJS.ErrnoException).code ?? error);
    if (code === 'ENOTFOUND') return { answer: { kind: 'nxdomain' }, ttl: NEGATIVE_TTL };
    if (code === 'ENODATA') return { answer: { kind: 'none' }, ttl: NEGATIVE_TTL };
    return { answer: { kind: 'temporary', cause: code }, ttl: 0 };
  }
}

function found<T>(values: readonly T[]): Found<T> {
  return { values, ttl: UNKNOWN_TTL };
}

/** A TTL of 0 or of 68 years is clamped: RFC 2181 §8. */
function addresses(records: readonly { address: string; ttl: number }[]): Found<string> {
  const seconds = records.reduce((least, { ttl }) => Math.min(least, ttl), Number.POSITIVE_INFINITY);
  const ttl = Math.min(Math.max(seconds * SECOND, MIN_TTL), MAX_TTL);
  return { values: records.map(({ address }) => address), ttl };
}

function canonical(name: string): string {
  return (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase();
}
