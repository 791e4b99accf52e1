/**
 * Cached DNS look-ups: RFC 1035, RFC 2308. A name that does not exist, a name without the record, and a failed look-up are three different
 * answers. All decisions about a destination come from these answers. Each has its lifetime, and says whether it was validated.
 */
import { isIPv4 } from 'node:net';
import { reverseName } from '../net/addresses.ts';
import { type Cache, createSizedCache } from '../system/cache.ts';
import { type Clock, SECOND, systemClock } from '../system/clock.ts';
import { inEnglish, type Phrase, phrase } from '../system/phrase.ts';
import { canonical, interpret, NEGATIVE_TTL, readCanonicalHost, readMx, readTlsa } from './answer.ts';
import { isResolvable, type QueryType, type ReadData, readA, readAaaa, readText } from './message.ts';
import { createResolver, type ResolverReply } from './resolver.ts';

export { type Answerer, createZoneDns } from './zone-dns.ts';

/** The answer for a name and type: RFC 7672 §2.1.1. */
export type DnsAnswer<T> =
  | { readonly kind: 'found'; readonly values: readonly T[] }
  /** The name exists and has no such record. */
  | { readonly kind: 'none' }
  /** The name does not exist. */
  | { readonly kind: 'nxdomain' }
  /** The look-up failed: SERVFAIL, REFUSED, timeout, malformed answer. */
  | {
      readonly kind: 'temporary';
      readonly why: Phrase;
      /** The response code if a server sent one, such as `REFUSED`. */
      readonly rcode?: string;
      /** True if no look-up works at the moment, so that this answer says nothing about the name. */
      readonly blind?: true;
    };

/** An answer with its evidence. */
export type Resolved<T> =
  | (DnsAnswer<T> & { readonly kind: 'found' | 'none' | 'nxdomain' } & Evidence)
  | (DnsAnswer<T> & { readonly kind: 'temporary' });

type Evidence = {
  /** The name at the end of all aliases. */
  readonly name: string;
  /** True if a trusted resolver has validated all of the answer, aliases included: RFC 4035 §3.2.3. */
  readonly secure: boolean;
  /** True if the validation of the resolver that answered counts. If not, `secure` says nothing about the name. */
  readonly trusted: boolean;
  /** Milliseconds that the answer is valid, counted from the question. */
  readonly ttl: number;
};

/**
 * The text of a TXT record for people: an octet that is no printable ASCII is shown by its number, `\195`, as zone files and `dig` have it
 * (RFC 1035 §5.1). @param octets each character is one octet, as look-ups give it
 */
export function presentText(octets: string): string {
  return octets.replace(/[^ -~]|\\/g, (one) => (one === '\\' ? '\\\\' : `\\${String(one.charCodeAt(0)).padStart(3, '0')}`));
}

/** `exchange` is the empty string for a null MX (RFC 7505). */
export type MxRecord = { readonly preference: number; readonly exchange: string };

/** RFC 6698 §2.1. Data too short for the four fields get `matching` 255, which makes the record unusable. */
export type TlsaRecord = { readonly usage: number; readonly selector: number; readonly matching: number; readonly data: Buffer };

/** Look-ups for callers that need only the records. They never reject. */
export type Dns = {
  mx(name: string): Promise<DnsAnswer<MxRecord>>;
  a(name: string): Promise<DnsAnswer<string>>;
  aaaa(name: string): Promise<DnsAnswer<string>>;
  /** Names of an IPv4 or IPv6 address. */
  ptr(address: string): Promise<DnsAnswer<string>>;
  /** The strings of each record are joined. Each character is one octet: `presentText` makes text for people of it. */
  txt(name: string): Promise<DnsAnswer<string>>;
};

/** The same look-ups, and those of RFC 7672, with the evidence that decisions about a destination need. */
export type DnsClient = {
  /** @param afresh asks again, even if an answer is in the cache. */
  mx(name: string, afresh?: boolean): Promise<Resolved<MxRecord>>;
  a(name: string): Promise<Resolved<string>>;
  aaaa(name: string): Promise<Resolved<string>>;
  ptr(address: string): Promise<Resolved<string>>;
  /** @param afresh asks again, even if an answer is in the cache. */
  txt(name: string, afresh?: boolean): Promise<Resolved<string>>;
  /** The CNAME record of the name itself. It is not followed. */
  cname(name: string): Promise<Resolved<string>>;
  /** @param afresh what was kept is not believed: a key may have been changed together with its record. */
  tlsa(name: string, afresh?: boolean): Promise<Resolved<TlsaRecord>>;
  /** Whether the resolver says that it validated the root's own record, which everybody can; undefined: it did not answer. Never kept. */
  validates(): Promise<boolean | undefined>;
};

type DnsOptions = {
  /** `127.0.0.1:5300`, `[::1]:53`. If empty, the system's resolvers. */
  readonly servers: readonly string[];
  /** True if the path to the servers is safe, so that their AD bit counts. The AD bit of a resolver on this machine always counts. */
  readonly trustAd?: boolean;
  /** Milliseconds that a server has for its answer. Each is asked twice. */
  readonly timeout?: number;
  /** Most octets of all answers in the cache. */
  readonly cacheOctets?: number;
  /** Told of each question that resolvers were asked. Answers from the cache are not among them. */
  readonly onAnswer?: (asked: AskedQuestion) => void;
  readonly now?: Clock;
};

/** One question and its result, for metrics. */
type AskedQuestion = {
  readonly type: QueryType;
  /** `failed`: a resolver said that it has no answer, or its answer cannot be used. `silent`: no resolver answered. */
  readonly result: 'found' | 'none' | 'nxdomain' | 'failed' | 'silent';
  readonly seconds: number;
};

/** Most answers in the cache, of all types together. */
const CACHED_ANSWERS = 20_000;
/** One answer over TCP can become four million: many long names with octets that need four characters. */
const CACHED_OCTETS = 32 * 1024 * 1024;
/**
 * A failure is kept for this time, so that a thousand messages for one domain do not ask a thousand times what has just failed. It is much less
 * than the 5 minutes that RFC 2308 §7 allows.
 */
const FAILURE_TTL = 5 * SECOND;
const TIMEOUT = 3 * SECOND;

type Kept = { readonly answer: Resolved<never>; readonly keptAt: number; readonly ttl: number };

/** Never uses `dns.lookup`, which reads /etc/hosts and blocks a thread of the pool that signing needs. */
export function createDns(options: DnsOptions): DnsClient {
  const { servers, trustAd = false, timeout = TIMEOUT, cacheOctets = CACHED_OCTETS, onAnswer, now = systemClock } = options;
  const isTrusted = (server: string) => trustAd || isOwnResolver(server);
  const resolver = createResolver({ servers, timeout, isTrusted });
  const cache: Cache<string, Kept> = createSizedCache(CACHED_ANSWERS, cacheOctets, ({ answer }) => octetsOf(answer));
  const underWay = new Map<string, Promise<Resolved<never>>>();

  function ask<T>(type: QueryType, name: string, read: ReadData<T>): Promise<Resolved<T>> {
    const key = `${type} ${name}`;
    const kept = cache.get(key);
    if (kept !== undefined && isFresh(kept, now())) return Promise.resolve(kept.answer);
    const running = underWay.get(key);
    if (running !== undefined) return running;
    const asked = askAnew(key, () => look(type, name, read));
    underWay.set(key, asked as Promise<Resolved<never>>);
    return asked;
  }

  async function askAnew<T>(key: string, question: () => Promise<Resolved<T>>): Promise<Resolved<T>> {
    try {
      const answer = await question();
      const ttl = answer.kind === 'temporary' ? FAILURE_TTL : answer.ttl;
      cache.set(key, { answer: answer as Resolved<never>, keptAt: now(), ttl });
      return answer;
    } finally {
      underWay.delete(key);
    }
  }

  async function look<T>(type: QueryType, name: string, read: ReadData<T>): Promise<Resolved<T>> {
    // A name that does not fit into a question cannot exist, so no server is asked.
    if (!isResolvable(name)) return { kind: 'nxdomain', name, secure: false, trusted: true, ttl: NEGATIVE_TTL };
    const begun = performance.now();
    const reply = await resolver.ask({ name, type });
    const answer = judge(reply, { type, name, read });
    const seconds = (performance.now() - begun) / 1000;
    onAnswer?.({
      type,
      result: answer.kind === 'temporary' ? (reply.kind === 'silent' ? 'silent' : 'failed') : answer.kind,
      seconds,
    });
    return answer.kind !== 'temporary' || reply.kind === 'answered' || (await resolver.works())
      ? answer
      : { ...answer, blind: true };
  }

  function judge<T>(reply: ResolverReply, { type, name, read }: Asked<T>): Resolved<T> {
    if (reply.kind !== 'answered') {
      const rcode = reply.kind === 'failed' && reply.rcode !== undefined ? { rcode: reply.rcode } : {};
      return { kind: 'temporary', why: reply.why, ...rcode };
    }
    const trusted = isTrusted(reply.server);
    // TLSA is asked for only after a validated answer. Whoever does not validate must not say now that there is none: RFC 7672 §2.1.1.
    if (type === 'TLSA' && !trusted) return { kind: 'temporary', why: phrase`the answer of ${reply.server} is not validated` };
    return interpret({ message: reply.message, type, name, read, trusted });
  }

  /** The next question asks the resolvers. A failure of the last seconds is kept all the same. */
  function forget(key: string): void {
    if (cache.get(key)?.answer.kind !== 'temporary') cache.delete(key);
  }

  return {
    mx(name, afresh = false) {
      if (afresh) forget(`MX ${canonical(name)}`);
      return ask('MX', canonical(name), readMx);
    },
    a: (name) => ask('A', canonical(name), readA),
    aaaa: (name) => ask('AAAA', canonical(name), readAaaa),
    cname: (name) => ask('CNAME', canonical(name), readCanonicalHost),
    tlsa(name, afresh = false) {
      if (afresh) forget(`TLSA ${canonical(name)}`);
      return ask('TLSA', canonical(name), readTlsa);
    },
    async validates() {
      const reply = await resolver.askRoot();
      return reply.kind === 'answered' ? isTrusted(reply.server) && reply.message.isAuthentic : undefined;
    },
    ptr: (address) => ask('PTR', reverseName(address), readCanonicalHost),
    txt(name, afresh = false) {
      if (afresh) forget(`TXT ${canonical(name)}`);
      return ask('TXT', canonical(name), readText);
    },
  };
}

type Asked<T> = { readonly type: QueryType; readonly name: string; readonly read: ReadData<T> };

/** An entry of the future is not fresh: the clock has been set back. */
function isFresh({ keptAt, ttl }: Kept, now: number): boolean {
  return now >= keptAt && now < keptAt + ttl;
}

/** About what an entry takes of the memory. */
const ENTRY_OCTETS = 300;
const VALUE_OCTETS = 80;

function octetsOf(answer: Resolved<unknown>): number {
  if (answer.kind !== 'found') return ENTRY_OCTETS + (answer.kind === 'temporary' ? inEnglish(answer.why).length : 0);
  return answer.values.reduce<number>((sum, value) => sum + VALUE_OCTETS + lengthOf(value), ENTRY_OCTETS + answer.name.length);
}

function lengthOf(value: unknown): number {
  if (typeof value === 'string') return value.length;
  const { exchange, data } = value as Partial<MxRecord & TlsaRecord>;
  return exchange?.length ?? data?.length ?? 0;
}

/** True for a resolver on this machine. False for the stubs of systemd and of container engines, which forward to other resolvers. */
export function isOwnResolver(server: string): boolean {
  const [, bracketed] = /^\[([^\]]+)\]/.exec(server) ?? [];
  const host = bracketed ?? (isIPv4(server.split(':')[0]!) ? server.split(':')[0] : server);
  return host === '127.0.0.1' || host === '::1';
}

export type Validated =
  /** `octets`: the size of the message. */
  | { readonly kind: 'answered'; readonly authenticated: boolean; readonly octets: number; readonly server: string }
  /** The resolver responded with an error: SERVFAIL, REFUSED. */
  | { readonly kind: 'failed'; readonly why: Phrase; readonly server: string }
  | { readonly kind: 'silent'; readonly why: Phrase };

type ValidatedQuery = {
  readonly name: string;
  readonly type: QueryType;
  /** As in `createDns`. */
  readonly servers: readonly string[];
  /** Milliseconds for each server. */
  readonly timeout?: number;
};

/** Asks whether a resolver says that it has validated an answer. Returns its AD bit, even if we do not trust the path. Never rejects. */
export async function askValidated({ name, type, servers, timeout = TIMEOUT }: ValidatedQuery): Promise<Validated> {
  const reply = await createResolver({ servers, timeout }).ask({ name, type });
  if (reply.kind !== 'answered') return reply;
  const { isAuthentic: authenticated, bytes } = reply.message;
  return { kind: 'answered', authenticated, octets: bytes.length, server: reply.server };
}
