/**
 * Policies of MTA-STS while a relay runs: fetched anew each day for domains that get mail, so that a policy never ends because nobody
 * looked, and forgotten when they are of no use. RFC 8461 §3.3, §10.2.
 */
import type { DnsClient } from '../dns/dns.ts';
import type { EventLog } from '../events/events.ts';
import { createAddressGuard } from '../net/address-guard.ts';
import type { TlsPolicyStore } from '../store/store.ts';
import { type Clock, DAY, HOUR, MINUTE, SECOND, systemClock } from '../system/clock.ts';
import { createTrust } from '../system/trust.ts';
import type { StsProblem } from './mta-sts.ts';
import { fetchPolicy } from './mta-sts-fetch.ts';
import { OVERDUE, StsPolicyKeeper } from './mta-sts-policies.ts';

/** What follows from the configuration. */
export type StsSettings = {
  /** `off`: nothing is fetched by itself, and what is kept is kept. */
  readonly mtaSts: 'on' | 'audit' | 'off';
  /** Networks in CIDR that policy hosts may lie in though they are private. */
  readonly allowPrivate: readonly string[];
  /** PEM file of further roots to trust. */
  readonly caFile?: string | undefined;
};

export type StsServiceOptions = StsSettings & {
  readonly store: TlsPolicyStore;
  readonly dns: Pick<DnsClient, 'txt' | 'a' | 'aaaa'>;
  readonly log: Pick<EventLog, 'emit'>;
  /** Of policy hosts; 443, RFC 8461 §3.3. */
  readonly port?: number;
  readonly now?: Clock;
  readonly monotonic?: () => number;
  readonly random?: () => number;
  /** Milliseconds between two looks at what is due; default 1 min. */
  readonly interval?: number;
};

export type StsCounts = Awaited<ReturnType<TlsPolicyStore['countStsPolicies']>>;

type StsPolicies = Pick<StsPolicyKeeper, 'policyFor' | 'heal' | 'forget'> & {
  /** How many policies hold, and how many cannot be fetched anew for long; as they were a few minutes ago. */
  counts(): StsCounts;
  /** @throws where `caFile` cannot be read */
  prepareReload(settings: StsSettings): () => void;
  /** Ends what is under way; takes no more than a second. */
  close(): Promise<void>;
};

/** A policy of a domain that got no mail for so long is not fetched anew. */
const USED = 30 * DAY;
/** Expired ones are kept for people who ask why, and unused ones in case that mail comes again. */
const EXPIRED_KEPT = 7 * DAY;
const UNUSED_KEPT = 180 * DAY;
/** 50 a minute are 72,000 a day. */
const DUE_AT_ONCE = 50;
const FETCHED_AT_ONCE = 8;
const COUNTED = 5 * MINUTE;
const TRIMMED = HOUR;

/** Fetches with the roots, and in the networks, that the settings allow. */
function createStsFetch({ dns, port, allowPrivate, caFile }: Omit<StsServiceOptions, 'store' | 'log' | 'mtaSts'>) {
  const guard = createAddressGuard(allowPrivate, () => []); // a domain of our own may have its policy on this machine
  const trust = createTrust(caFile);
  return (domain: string, signal: AbortSignal) =>
    fetchPolicy(domain, { dns, guard, secureContext: trust(), signal, ...(port !== undefined && { port }) });
}

/** @throws where `caFile` cannot be read */
export function startStsPolicies(options: StsServiceOptions): StsPolicies {
  const { store, log, now = systemClock, monotonic = () => performance.now(), random = Math.random } = options;
  let settings: StsSettings = options;
  let fetch = createStsFetch(options);
  const keeper = new StsPolicyKeeper({
    ...{ store, log, now, monotonic, random, by: 'relay' as const, dns: options.dns },
    fetch: (domain, signal) => fetch(domain, signal),
  });
  let counts: StsCounts = { modes: { enforce: 0, testing: 0, none: 0 }, overdue: 0 };
  let trimmedAt = monotonic(); // not at once: at its start a machine may have a wrong clock
  let countedAt = Number.NEGATIVE_INFINITY;
  const stop = new AbortController();

  async function look(): Promise<void> {
    await keeper.save();
    if (settings.mtaSts !== 'off') await refreshDue();
    const { hasLeapt } = keeper.lookAtClock();
    if (!hasLeapt && monotonic() - trimmedAt >= TRIMMED) await trim();
    if (monotonic() - countedAt < COUNTED) return;
    counts = await store.countStsPolicies({ now: now(), age: OVERDUE });
    countedAt = monotonic();
  }

  async function refreshDue(): Promise<void> {
    const { heldAt } = keeper.lookAtClock();
    const { due, expired } = await store.dueStsPolicies({ now: now(), usedAfter: now() - USED, heldAt, limit: DUE_AT_ONCE });
    for (const domain of expired) log.emit('stsPolicy', { action: 'expired', domain });
    const left = [...due];
    const one = async () => {
      for (let next = left.shift(); next !== undefined && !stop.signal.aborted; next = left.shift())
        await keeper.refresh(next.domain);
    };
    await Promise.all(Array.from({ length: FETCHED_AT_ONCE }, one));
  }

  async function trim(): Promise<void> {
    trimmedAt = monotonic();
    const domains = await store.trimStsPolicies({ expired: now() - EXPIRED_KEPT, unused: now() - UNUSED_KEPT });
    for (const domain of domains) log.emit('stsPolicy', { action: 'forgotten', domain });
  }

  const { interval = MINUTE } = options;
  const running = repeat(look, { interval, first: interval * random(), signal: stop.signal, log });
  return {
    policyFor: (domain) => keeper.policyFor(domain),
    heal: (domain, failed) => keeper.heal(domain, failed),
    forget: () => keeper.forget(),
    counts: () => counts,
    prepareReload(next) {
      const nextFetch = createStsFetch({ ...options, ...next });
      return () => {
        settings = next;
        fetch = nextFetch;
      };
    },
    async close() {
      stop.abort();
      keeper.stop();
      const saved = running
        .then(() => keeper.save())
        .catch((error: unknown) => log.emit('storeFailed', { operation: 'sts', error }));
      await Promise.race([saved, new Promise((resolve) => setTimeout(resolve, SECOND).unref())]);
    },
  };
}

type Repeated = Pick<StsServiceOptions, 'log'> & {
  readonly interval: number;
  readonly first: number;
  readonly signal: AbortSignal;
};

/** One look after the other. A failure of the store is logged, and the next look comes. */
async function repeat(look: () => Promise<void>, { interval, first, signal, log }: Repeated): Promise<void> {
  for (let pause = first; ; pause = interval) {
    await pauseFor(pause, signal);
    if (signal.aborted) return;
    await look().catch((error: unknown) => log.emit('storeFailed', { operation: 'stsPolicies', error }));
  }
}

function pauseFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds).unref();
    signal.addEventListener('abort', done);
  });
}

/** Fetches a policy, and keeps nothing of it. Never rejects. @returns why it could not be had. @throws where `caFile` cannot be read */
export async function tryStsPolicy(
  domain: string,
  { signal, ...options }: Omit<OneFetch, 'store'> & { readonly signal: AbortSignal },
): Promise<StsProblem | undefined> {
  const fetched = await createStsFetch(options)(domain, signal);
  return 'problem' in fetched ? fetched.problem : undefined;
}

type OneFetch = Pick<StsServiceOptions, 'store' | 'dns' | 'allowPrivate' | 'caFile'>;

/**
 * Fetches a policy now, because an operator asks for it, and keeps it. A running relay hears of it.
 * @returns why it could not be had; `absent`: the domain announces no policy, and none holds. Rejects if the store fails.
 */
export async function fetchStsPolicy(domain: string, options: OneFetch): Promise<StsProblem | 'absent' | undefined> {
  const keeper = createOperatorKeeper(options);
  const problem = await keeper.refresh(domain);
  await keeper.save();
  return problem;
}

/** The policies that hold, for an operator who looks at a domain: as for mail, without a service. @throws where `caFile` cannot be read */
export function openStsPolicies(options: OneFetch): Pick<StsPolicies, 'policyFor' | 'heal' | 'close'> {
  const keeper = createOperatorKeeper(options);
  return {
    policyFor: (domain) => keeper.policyFor(domain),
    heal: (domain, failed) => keeper.heal(domain, failed),
    close() {
      keeper.stop();
      return keeper.save();
    },
  };
}

function createOperatorKeeper(options: OneFetch): StsPolicyKeeper {
  const { store, dns } = options;
  const clocks = { now: systemClock, monotonic: () => performance.now(), random: Math.random };
  return new StsPolicyKeeper({
    ...{ store, dns, ...clocks, by: 'operator', log: { emit: () => {} }, fetch: createStsFetch(options) },
  });
}
