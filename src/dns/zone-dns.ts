/**
 * Asks the servers of a zone themselves, so that a record is seen as soon as it is changed, whatever resolvers have kept of it. RFC 1034 §4.3.1
 * A resolver only tells where these servers are, and is asked in their place where none of them answers for the zone.
 */
import { isIPv6 } from 'node:net';
import { reverseName } from '../net/addresses.ts';
import { SECOND } from '../system/clock.ts';
import { canonical, interpret, NEGATIVE_TTL, readCanonicalHost, readMx } from './answer.ts';
import type { Dns, Resolved } from './dns.ts';
import { type DnsMessage, isResolvable, type QueryType, type ReadData, readA, readAaaa, readText } from './message.ts';
import { createResolver } from './resolver.ts';

/** Who gave an answer. `name`: of a server of the zone. `unasked`: why it is the answer of a resolver, which may be older than the zone. */
export type Answerer = { readonly server: string } & (
  | { readonly authoritative: true; readonly name: string }
  | { readonly authoritative: false; readonly unasked: Unasked }
);

/** unknown: no servers of the zone are known; refused: none has an address that may be asked; silent: none answers for it; foreign: nobody wants to know it. */
type Unasked = 'unknown' | 'refused' | 'silent' | 'foreign';

type ZoneDns = Dns & {
  /** undefined: it was not asked for, or nobody answered. */
  answerer(type: QueryType, name: string): Promise<Answerer | undefined>;
};

type ZoneDnsOptions = {
  /** Resolvers, as in `createDns`. */
  readonly servers: readonly string[];
  /** Milliseconds that a resolver has for one answer. */
  readonly timeout: number;
  /** Names whose own servers are asked, in lower case. Resolvers answer for all others. */
  readonly isOwn: (name: string) => boolean;
  /** False for addresses that must not be asked, though a record names them. */
  readonly mayAsk: (address: string) => boolean;
  /** Of the servers of zones. */
  readonly port?: number;
};

type NameServer = { readonly name: string; readonly ip: string };
type Found<T> = { readonly answer: Resolved<T>; readonly by: Answerer | undefined };
type Question<T> = { readonly type: QueryType; readonly name: string; readonly read: ReadData<T> };

/** All of them are asked at once, and the first answer counts. */
const MOST_SERVERS = 4;
/** Milliseconds; each is asked twice. */
const PATIENCE = SECOND;
/** Aliases that lead from zone to zone. */
const MOST_ALIASES = 8;

/** For one look: what was asked once is not asked again. Its look-ups never reject. */
export function createZoneDns({ servers, timeout, isOwn, mayAsk, port = 53 }: ZoneDnsOptions): ZoneDns {
  const resolver = createResolver({ servers, timeout });
  const asked = new Map<string, Promise<Found<never>>>();
  const cuts = new Map<string, Promise<readonly string[]>>();
  const zones = new Map<string, Promise<readonly NameServer[] | Unasked>>();

  const ask = <T>(question: Question<T>): Promise<Found<T>> =>
    once(asked, `${question.type} ${question.name}`, () => look(question) as Promise<Found<never>>);

  async function look<T>(question: Question<T>): Promise<Found<T>> {
    const { name } = question;
    if (!isResolvable(name))
      return { answer: { kind: 'nxdomain', name, secure: false, trusted: false, ttl: NEGATIVE_TTL }, by: undefined };
    return isOwn(name) ? byZone(question, 0) : byResolver(question, 'foreign');
  }

  async function byResolver<T>({ type, name, read }: Question<T>, unasked: Unasked): Promise<Found<T>> {
    const reply = await resolver.ask({ type, name });
    if (reply.kind === 'silent') return { answer: { kind: 'temporary', why: reply.why }, by: undefined };
    const by = { server: reply.server, authoritative: false, unasked } as const;
    if (reply.kind === 'failed') {
      const rcode = reply.rcode === undefined ? {} : { rcode: reply.rcode };
      return { answer: { kind: 'temporary', why: reply.why, ...rcode }, by };
    }
    return { answer: interpret({ message: reply.message, type, name, read, trusted: false }), by };
  }

  async function byZone<T>(question: Question<T>, aliases: number): Promise<Found<T>> {
    const { type, name, read } = question;
    const zone = await zoneOf(name);
    if (typeof zone === 'string') return byResolver(question, zone);
    const heard = await fromZone(zone, { type, name });
    if (heard === undefined) return byResolver(question, 'silent');
    const answer = interpret({ message: heard.message, type, name, read, trusted: false });
    const by = { server: heard.from.ip, name: heard.from.name, authoritative: true } as const;
    const isElsewhere = answer.kind !== 'temporary' && answer.kind !== 'found' && answer.name !== name;
    // An alias may lead out of the zone, where this server has nothing to say.
    return isElsewhere && aliases < MOST_ALIASES ? byZone({ ...question, name: answer.name }, aliases + 1) : { answer, by };
  }

  /** The servers of the zone that a name is in: those of the first name above it, or its own, that has some. */
  async function zoneOf(name: string): Promise<readonly NameServer[] | Unasked> {
    for (let at = name; at.includes('.'); at = at.slice(at.indexOf('.') + 1)) {
      const hosts = await cutAt(at);
      if (hosts.length > 0) return once(zones, at, () => addressed(hosts));
    }
    return 'unknown';
  }

  const cutAt = (name: string) =>
    once(cuts, name, async () => {
      const { answer } = await byResolver({ type: 'NS', name, read: readCanonicalHost }, 'foreign');
      return answer.kind === 'found' && answer.name === name ? answer.values : [];
    });

  async function addressed(hosts: readonly string[]): Promise<readonly NameServer[] | Unasked> {
    const found = await Promise.all(
      hosts.slice(0, MOST_SERVERS).map(async (name) => {
        const answers = await Promise.all([
          byResolver({ type: 'A', name, read: readA }, 'foreign'),
          byResolver({ type: 'AAAA', name, read: readAaaa }, 'foreign'),
        ]);
        return answers.flatMap(({ answer }) => (answer.kind === 'found' ? answer.values : [])).map((ip) => ({ name, ip }));
      }),
    );
    // The first address of each, before the second of any.
    const all = Array.from({ length: Math.max(0, ...found.map(({ length }) => length)) }, (_, at) =>
      found.flatMap((addresses) => addresses[at] ?? []),
    ).flat();
    const usable = all.filter(({ ip }) => mayAsk(ip)).slice(0, MOST_SERVERS);
    if (usable.length > 0) return usable;
    return all.length === 0 ? 'unknown' : 'refused';
  }

  /** undefined: none of them has the zone, or none answers. What comes from anywhere between here and them is not theirs (no AA). */
  async function fromZone(zone: readonly NameServer[], question: { readonly type: QueryType; readonly name: string }) {
    const heard = zone.map(async (from): Promise<{ message: DnsMessage; from: NameServer }> => {
      const server = isIPv6(from.ip) ? `[${from.ip}]:${port}` : `${from.ip}:${port}`;
      const reply = await createResolver({ servers: [server], timeout: Math.min(timeout, PATIENCE) }).ask(question);
      if (reply.kind !== 'answered' || !reply.message.isAuthoritative) throw new Error(`${server} has no answer`);
      return { message: reply.message, from };
    });
    return Promise.any(heard).catch(() => undefined);
  }

  const answerTo = async <T>(type: QueryType, name: string, read: ReadData<T>) =>
    (await ask({ type, name: canonical(name), read })).answer;
  return {
    mx: (name) => answerTo('MX', name, readMx),
    a: (name) => answerTo('A', name, readA),
    aaaa: (name) => answerTo('AAAA', name, readAaaa),
    ptr: (address) => answerTo('PTR', reverseName(address), readCanonicalHost),
    txt: (name) => answerTo('TXT', name, readText),
    answerer: async (type, name) => (await asked.get(`${type} ${canonical(name)}`))?.by,
  };
}

function once<T>(known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const found = known.get(key) ?? make();
  known.set(key, found);
  return found;
}
