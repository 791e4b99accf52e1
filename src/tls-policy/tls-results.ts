/**
 * Counts sessions for TLS reports: RFC 8460 §4. Counts are kept in memory and flushed every few seconds, so a crash loses seconds of
 * statistics and nothing else. Only domains that want reports are counted.
 */
import { createHash } from 'node:crypto';
import type { Dns } from '../dns/dns.ts';
import type { EventLog } from '../events/events.ts';
import {
  furtherTlsPolicies,
  MOST_TLS_POLICIES,
  type SeenTlsPolicy,
  type TlsFailureDetail,
  type TlsResultStore,
  type TlsSessionCount,
} from '../store/store.ts';
import { createCache } from '../system/cache.ts';
import { type Clock, DAY, SECOND, systemClock } from '../system/clock.ts';
import { readReportRecord, reportRecordName } from './report-record.ts';

/** RFC 8460 §4.3. */
export type TlsResultType =
  | 'starttls-not-supported'
  | 'certificate-host-mismatch'
  | 'certificate-expired'
  | 'certificate-not-trusted'
  | 'validation-failure'
  | 'tlsa-invalid'
  | 'dnssec-invalid'
  | 'dane-required'
  | 'sts-policy-fetch-error'
  | 'sts-policy-invalid'
  | 'sts-webpki-invalid';

/** A policy that a session was held to: `domain` is the recipient domain, or the TLSA base. */
export type AppliedPolicy = {
  readonly type: 'tlsa' | 'sts' | 'no-policy-found';
  readonly domain: string;
  /** The lines of the policy as they were served, or `usage selector matching HEX` for each TLSA record. */
  readonly strings: readonly string[];
  /** Patterns of an MTA-STS policy. */
  readonly mxHosts: readonly string[];
};

/** The end of one session, or the reason why it did not begin. Without `failure`, its TLS met the policies. */
export type SessionResult = {
  /** Recipient domain, lower-case A-labels. */
  readonly domain: string;
  readonly policies: readonly AppliedPolicy[];
  /** `reason` is a word of our own, never a sentence of a library. */
  readonly failure?: { readonly type: TlsResultType; readonly reason?: string };
  readonly sendingIp?: string;
  readonly mx?: string;
  readonly helo?: string;
  readonly receivingIp?: string;
};

export type TlsResults = {
  /** Never throws and never waits. */
  count(result: SessionResult): void;
  /** Waits for the look-ups under way, then stores all earlier counts. Never rejects: counts that the store refuses are lost. */
  flush(): Promise<void>;
  /** Stores all counts, and waits for no look-up. */
  close(): Promise<void>;
};

type TlsResultsOptions = {
  readonly store: Pick<TlsResultStore, 'addTlsResults'>;
  readonly dns: Pick<Dns, 'txt'>;
  readonly log: EventLog;
  /** False: nothing is counted. */
  readonly wanted: () => boolean;
  readonly now?: Clock;
};

const FLUSH_EVERY = 5 * SECOND;
/** The most names that are known to want reports, or not, for a day. */
const MOST_NAMES = 20_000;
/** Counters that wait for a flush. Further sessions are not counted. */
const MOST_COUNTERS = 10_000;
/** Characters of one policy. RFC 8461 §3.2 allows 64 KiB. Policies in use have less than one. */
const MOST_TEXT = 16 * 1024;
/** Characters of all policies that wait for a flush. */
const MOST_TEXT_WAITING = 4 * 1024 * 1024;
/** Kinds of failure of one counter between two flushes. The store has the same bound for a day. */
const MOST_KINDS = 100;

type Counter = {
  readonly day: number;
  readonly domain: string;
  readonly policy: SeenTlsPolicy;
  ok: number;
  failed: number;
  readonly failures: Map<string, Kind>;
};
type Kind = Omit<TlsFailureDetail, 'count'> & { count: number };
/** `asking`: the look-up goes on. If it fails, the domain is counted, because the record is looked up again before a report. */
type Wish = 'asking' | 'wanted' | 'unwanted';

/** The UTC day of a time, as a number since 1970-01-01. */
export const dayOf = (at: number): number => Math.floor(at / DAY);

export function createTlsResults({ store, dns, log, wanted, now = systemClock }: TlsResultsOptions): TlsResults {
  const wishes = createCache<string, Wish>(MOST_NAMES);
  const lookUps = new Set<Promise<void>>();
  const counters = new Map<string, Counter>();
  /** The number of counters by day and domain. */
  const waiting = new Map<string, number>();
  let textWaiting = 0;
  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  function wishOf(day: number, name: string): Wish {
    const key = `${day} ${name}`;
    const known = wishes.get(key);
    if (known !== undefined) return known;
    wishes.set(key, 'asking');
    const lookUp = dns.txt(reportRecordName(name)).then((answer) => {
      const unwanted = answer.kind === 'found' ? readReportRecord(answer.values) === undefined : answer.kind !== 'temporary';
      wishes.set(key, unwanted ? 'unwanted' : 'wanted');
      lookUps.delete(lookUp);
    });
    lookUps.add(lookUp);
    return 'asking';
  }

  /** The recipient domain gets reports of all its policies, a TLSA base of its own records: RFC 8460 §1.1. */
  function wishFor({ day, domain, policy }: { day: number; domain: string; policy: AppliedPolicy }): Wish {
    const own = wishOf(day, domain);
    if (own === 'wanted' || policy.type !== 'tlsa' || policy.domain === domain) return own;
    const base = wishOf(day, policy.domain);
    return base === 'unwanted' ? own : base;
  }

  /** A policy that is too long, or behind too many others, is counted without its text. Undefined: too many counters wait. */
  function counterFor(day: number, domain: string, policy: AppliedPolicy): Counter | undefined {
    const size = sizeOf(policy);
    const known = size > MOST_TEXT ? undefined : counters.get(keyOf(day, domain, policy));
    if (known !== undefined) return known;
    const name = `${day} ${domain}`;
    const policies = waiting.get(name) ?? 0;
    const isKept = size <= MOST_TEXT && textWaiting + size <= MOST_TEXT_WAITING && policies < MOST_TLS_POLICIES;
    const counted = isKept ? seen(policy) : furtherTlsPolicies(policy.type, domain);
    const key = isKept ? keyOf(day, domain, policy) : `${name} ${counted.key}`;
    const further = counters.get(key);
    if (further !== undefined) return further;
    if (counters.size >= MOST_COUNTERS) return undefined;
    const counter = { day, domain, policy: counted, ok: 0, failed: 0, failures: new Map() };
    counters.set(key, counter);
    waiting.set(name, policies + 1);
    if (isKept) textWaiting += size;
    return counter;
  }

  function count(result: SessionResult): void {
    if (!wanted()) return;
    const day = dayOf(now());
    for (const policy of result.policies) {
      if (wishFor({ day, domain: result.domain, policy }) === 'unwanted') continue;
      const counter = counterFor(day, result.domain, policy);
      if (counter === undefined) return;
      if (result.failure === undefined) counter.ok++;
      else fail(counter, result, result.failure);
    }
    if (counters.size > 0) flushLater();
  }

  function flushLater(): void {
    timer ??= setTimeout(() => void flush(false), FLUSH_EVERY).unref();
  }

  function forget(key: string, { day, domain, policy }: Counter): void {
    counters.delete(key);
    textWaiting -= sizeOf(policy);
    const name = `${day} ${domain}`;
    const left = waiting.get(name)! - 1;
    if (left > 0) waiting.set(name, left);
    else waiting.delete(name);
  }

  /** @param all also stores counts whose look-up goes on. */
  function flush(all: boolean): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    running = running.then(() => write(all));
    return running;
  }

  async function write(all: boolean): Promise<void> {
    const counted: Counter[] = [];
    for (const [key, counter] of counters) {
      const wish = wishFor(counter);
      if (wish === 'asking' && !all) continue;
      forget(key, counter);
      if (wish !== 'unwanted') counted.push(counter);
    }
    if (counters.size > 0) flushLater();
    if (counted.length === 0) return;
    try {
      await store.addTlsResults(counted.map(toStored));
    } catch (error) {
      // While a disk is full, statistics must not fill the memory.
      log.emit('tlsResultsLost', { sessions: counted.reduce((sum, { ok, failed }) => sum + ok + failed, 0), error });
    }
  }

  return {
    count,
    async flush() {
      await Promise.all(lookUps);
      await flush(true);
    },
    async close() {
      await flush(true);
      clearTimeout(timer);
    },
  };
}

function fail(
  counter: Counter,
  result: SessionResult,
  { type, reason = null }: { type: TlsResultType; reason?: string | null },
): void {
  counter.failed++;
  const { sendingIp = null, mx = null, helo = null, receivingIp = null } = result;
  let kind: Omit<TlsFailureDetail, 'count'> = { type, sendingIp, mx, helo, receivingIp, reason };
  let key = JSON.stringify(kind);
  if (!counter.failures.has(key) && counter.failures.size >= MOST_KINDS) {
    kind = { type, sendingIp: null, mx: null, helo: null, receivingIp: null, reason: null };
    key = type;
  }
  const known = counter.failures.get(key);
  if (known === undefined) counter.failures.set(key, { ...kind, count: 1 });
  else known.count++;
}

function toStored({ day, domain, policy, ok, failed, failures }: Counter): TlsSessionCount {
  return { day, domain, policy, ok, failed, failures: [...failures.values()] };
}

const keyOf = (day: number, domain: string, { type, domain: policyDomain, strings, mxHosts }: AppliedPolicy) =>
  JSON.stringify([day, domain, type, policyDomain, strings, mxHosts]);

const sizeOf = ({ strings, mxHosts }: Pick<AppliedPolicy, 'strings' | 'mxHosts'>): number =>
  [...strings, ...mxHosts].reduce((sum, { length }) => sum + length, 0);

function seen({ type, domain, strings, mxHosts }: AppliedPolicy): SeenTlsPolicy {
  const key = createHash('sha256')
    .update(JSON.stringify([type, domain, strings, mxHosts]))
    .digest('base64url')
    .slice(0, 22);
  return { key, type, domain, strings, mxHosts };
}
