/** What domains have said in the last 24 hours, in memory: replies by code, TLS by version, the last reply and the last session. */
import type { Heard24h } from '../console/console.ts';
import type { RelayEvent } from '../events/events.ts';
import { domainOf } from '../smtp/envelope.ts';
import { createCache } from '../system/cache.ts';
import { type Clock, DAY, HOUR } from '../system/clock.ts';

/** Domains that are remembered: those that had mail last. */
const MOST_DOMAINS = 500;
/** Different replies of one domain in one part of the day, and parts of a day. What has no room is counted as code 0. */
const MOST_REPLIES = 16;
const PART = 4 * HOUR;
const PARTS = DAY / PART;
const SHOWN = 20;

type Reply = { readonly code: number; readonly status: string; count: number };
type Tls = { readonly version: string | null; count: number };
type Part = { readonly number: number; readonly replies: Reply[]; readonly tls: Tls[] };
type Domain = { readonly since: number; parts: Part[] } & Pick<Writable<Heard24h>, 'last' | 'session'>;
type Writable<T> = { -readonly [field in keyof T]: T[field] };

export type HeardBook = {
  observe(event: RelayEvent): void;
  /** null: the domain has said nothing. */
  heard(domain: string): Heard24h | null;
};

export function createHeardBook(now: Clock): HeardBook {
  const domains = createCache<string, Domain>(MOST_DOMAINS);

  function partOf(domain: Domain): Part {
    const number = Math.floor(now() / PART);
    const last = domain.parts.at(-1);
    if (last?.number === number) return last;
    const made: Part = { number, replies: [], tls: [] };
    domain.parts = [...domain.parts.filter((part) => part.number > number - PARTS), made];
    return made;
  }

  return {
    observe({ event, fields }) {
      if (event !== 'relayed' && event !== 'delayed' && event !== 'failed') return;
      const { recipient, code, status, reply, mx, tls } = fields;
      const name = domainOf(recipient).toLowerCase();
      const last = { at: now(), outcome: event, reply, mx };
      const known = domains.get(name);
      const domain: Domain = known ?? { since: last.at, parts: [], last, session: null };
      domain.last = last;
      const { assurance, proof = null, policyId = null, via } = fields;
      // Without it no session was opened, and the one before still says the most.
      if (assurance !== undefined)
        domain.session = { at: last.at, mx, tls, assurance, proof, policyId, fallback: via === 'fallback' };
      if (known === undefined) domains.set(name, domain);
      const part = partOf(domain);
      addReply(part.replies, code, status, 1);
      if (mx !== null) addTls(part.tls, tls, 1);
    },
    heard(name) {
      const domain = domains.get(name);
      if (domain === undefined) return null;
      const oldest = Math.floor(now() / PART) - PARTS;
      const parts = domain.parts.filter(({ number }) => number > oldest);
      const replies: Reply[] = [];
      const versions: Tls[] = [];
      for (const part of parts) {
        for (const { code, status, count } of part.replies) addReply(replies, code, status, count);
        for (const { version, count } of part.tls) addTls(versions, version, count);
      }
      return {
        since: Math.max(domain.since, (oldest + 1) * PART),
        replies: replies.sort(byCount).slice(0, SHOWN),
        tls: versions.sort(byCount),
        last: domain.last,
        session: domain.session,
      };
    },
  };
}

const byCount = (a: { readonly count: number }, b: { readonly count: number }) => b.count - a.count;

/** The lists are short, so that looking through one costs less than a key that is put together. */
function addReply(replies: Reply[], code: number, status: string, count: number): void {
  const known = replies.find((one) => one.code === code && one.status === status);
  if (known !== undefined) known.count += count;
  else if (replies.length < MOST_REPLIES || code === 0) replies.push({ code, status, count });
  else addReply(replies, 0, '', count);
}

/** A library has few versions. */
function addTls(versions: Tls[], version: string | null, count: number): void {
  const known = versions.find((one) => one.version === version);
  if (known === undefined) versions.push({ version, count });
  else known.count += count;
}
