/** Prepares the doctor's input from configuration and store, and its probes of DNS, network and machine. */

import { existsSync } from 'node:fs';
import { readFile, statfs } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import { describeCertificates } from '../certificates/certificates.ts';
import type { Config } from '../config/config.ts';
import { catchAll, exceptionsOf, isUnmetReply } from '../delivery/delivery.ts';
import { askValidated, createDns, type DnsClient } from '../dns/dns.ts';
import {
  DNSSEC_QUESTIONS,
  type DnssecQuestion,
  type DoctorOptions,
  examine,
  type Finding,
  httpTime,
  OLD_ROOT,
  type Probes,
  probeSmtp,
} from '../doctor/doctor.ts';
import { publicAddresses } from '../net/addresses.ts';
import { isHeldByProvider } from '../smtp/outcome.ts';
import { type Credential, clusterOf, filesOf, type Store, type StoreData } from '../store/store.ts';
import { DAY, SECOND } from '../system/clock.ts';
import { data } from '../system/phrase.ts';
import { threadsOf } from '../system/thread-count.ts';
import { countRoots } from '../system/trust.ts';
import { tryStsPolicy } from '../tls-policy/tls-policy.ts';
import { heldLogins } from './behaviour-view.ts';

/** `domain`: the only one to check besides the host name. Default: all domains that have keys or that a credential may send as. */
export type DoctorParts = {
  readonly config: Config;
  readonly store: StoreData & Pick<Store, 'ping'>;
  readonly domain?: string | undefined;
};

/** Shorter than in delivery: a person waits, and for the doctor a missing answer is a result too. */
const DNS_TIMEOUT = 1.5 * SECOND;
const CONNECT_TIMEOUT = 6 * SECOND;
const POLICY_TIMEOUT = 15 * SECOND;
const MOST_REPORTS = 1000;
const MOST_SENDERS = 2000;
/** Of the queue, the oldest first. A page is what the store gives at once. */
const MOST_MESSAGES = 20_000;
const PAGE = 1000;

export async function examineRelay(parts: DoctorParts): Promise<readonly Finding[]> {
  const { ca } = parts.config.tls.acme;
  // `config check` reports a file that cannot be read.
  const authority = ca === undefined ? undefined : await readFile(ca, 'utf8').catch(() => undefined);
  return examine(await optionsOf(parts, authority), probesOf(parts, authority));
}

async function optionsOf({ config, store, domain }: DoctorParts, ca: string | undefined): Promise<DoctorOptions> {
  const keys = await store.operation.dkimKeys();
  const domains =
    domain === undefined ? [...keys.map((key) => key.domain), ...senderDomains(await store.credentials.list())] : [domain];
  const status = await describeCertificates(store.operation, Date.now());
  const { oldestAcceptedAt } = await store.messages.counts();
  const { hostname, tls, listen, reports } = config;
  const since = Math.floor(Date.now() / DAY) - 2;
  return {
    hostname,
    domains: domains.filter((name) => name !== hostname),
    keys,
    delivery: config.delivery,
    upstream: catchAll(config.routes)?.hosts[0],
    ...config.doctor,
    trustAd: config.dns.trustAd,
    listeners: (['submissions', 'submission'] as const).flatMap((name) => listen[name].map((at) => ({ name, ...at }))),
    certificate: {
      mode: tls.mode,
      names: [...new Set([hostname, ...tls.names])],
      lastError: status.find(({ lastError }) => lastError !== null)?.lastError ?? null,
      ca,
    },
    sts: await stsFacts(config, store),
    secured: await securedFacts(config, store),
    tlsReports: {
      mode: reports.tls,
      from: reports.tlsFrom,
      copies: await store.tlsResults.tlsReports({ since, limit: MOST_REPORTS }),
    },
    senders: await store.alignment.verdicts(Date.now() - DAY, MOST_SENDERS),
    heldLogins: await heldLogins(store),
    providers: {
      states: await store.operation.shaping(),
      held: (await store.messages.heldByProvider()).filter(isHeldByProvider),
    },
    past: [
      ...status.map(({ keyType, notBefore }) => ({ what: `the ${keyType} certificate was made`, at: notBefore })),
      ...(oldestAcceptedAt === null ? [] : [{ what: 'the oldest mail was accepted', at: oldestAcceptedAt }]),
    ],
    timeout: CONNECT_TIMEOUT,
  };
}

async function stsFacts({ delivery: { mtaSts: mode } }: Config, { tlsPolicies }: StoreData) {
  const { modes, overdue } = await tlsPolicies.countStsPolicies({ now: Date.now(), age: 3 * DAY });
  return { mode, held: modes.enforce + modes.testing, overdue };
}

async function securedFacts({ delivery, destinations, submission }: Config, store: StoreData): Promise<DoctorOptions['secured']> {
  return {
    tls: delivery.tls,
    dane: delivery.dane,
    exceptions: exceptionsOf(destinations, delivery.tls, Date.now()),
    delays: await policyDelays(store),
    requireTls: submission.requireTls,
  };
}

/** The domains of waiting messages whose hosts do not meet what is demanded of their TLS. */
async function policyDelays({ messages }: StoreData) {
  const delays = new Map<string, { domain: string; recipients: number; reply: string }>();
  for await (const { recipients } of delayedMessages(messages)) {
    for (const { address, lastReply, state } of recipients) {
      if (state !== 'delayed' || lastReply === null || !isUnmetReply(lastReply)) continue;
      const domain = address.slice(address.lastIndexOf('@') + 1).toLowerCase();
      delays.set(domain, { domain, recipients: (delays.get(domain)?.recipients ?? 0) + 1, reply: lastReply });
    }
  }
  return [...delays.values()].sort((a, b) => b.recipients - a.recipients);
}

async function* delayedMessages(messages: Pick<StoreData['messages'], 'list'>) {
  let after: string | undefined;
  for (let read = 0; read < MOST_MESSAGES; read += PAGE) {
    const page = await messages.list({ states: ['delayed'], limit: PAGE, ...(after !== undefined && { after }) });
    yield* page;
    if (page.length < PAGE) return;
    after = page.at(-1)!.id;
  }
}

/** Takes `anna@example.org`, `@example.org` and `@.example.org`; `*` names no domain. */
function senderDomains(credentials: readonly Credential[]): readonly string[] {
  const rules = credentials.flatMap(({ senders }) => senders).filter((rule) => rule.includes('@'));
  return [
    ...new Set(
      rules.map((rule) =>
        rule
          .slice(rule.lastIndexOf('@') + 1)
          .replace(/^\./, '')
          .toLowerCase(),
      ),
    ),
  ];
}

/** The look-up cache is new for each check, so that `--watch` sees changes. */
function probesOf({ config, store }: DoctorParts, ca: string | undefined): Probes {
  const { servers } = config.dns;
  const dns = createDns({ servers, timeout: DNS_TIMEOUT });
  const { resolvers } = config.alignment;
  return {
    dns,
    ...(resolvers.length === 0 ? {} : { publicDns: createDns({ servers: resolvers, timeout: DNS_TIMEOUT }) }),
    smtp: probeSmtp,
    signed: () => askValidated({ name: '.', type: 'SOA', servers, timeout: DNS_TIMEOUT }),
    dnssec: async () => {
      const ask = (question: DnssecQuestion) => askValidated({ ...DNSSEC_QUESTIONS[question], servers, timeout: DNS_TIMEOUT });
      const [absent, unsigned, bogus, large] = await Promise.all([ask('absent'), ask('unsigned'), ask('bogus'), ask('large')]);
      return { absent, unsigned, bogus, large };
    },
    roots() {
      const { has: old, ...counts } = countRoots(OLD_ROOT);
      return { ...counts, old };
    },
    policy: (domain) => tryPolicy(domain, config, dns),
    machine: publicAddresses,
    disk: async () => ({
      dir: config.dataDir,
      free: await statfs(config.dataDir).then(
        ({ bavail, bsize }) => bavail * bsize,
        () => undefined,
      ),
      minFree: config.queue.minFree,
    }),
    store: () => storeFacts(config, store),
    database: async () => clusterOf(config)?.look(),
    threads: () => threadFacts(config),
    async times() {
      if (config.tls.mode !== 'acme') return [];
      const url = config.tls.acme.directory;
      const answer = await dns.a(new URL(url).hostname);
      const address = answer.kind === 'found' ? answer.values[0] : undefined;
      const time = await httpTime({ url, address, ca, timeout: CONNECT_TIMEOUT });
      return time === undefined ? [] : [time];
    },
    synchronized: async () => existsSync('/run/systemd/timesync/synchronized'),
  };
}

async function storeFacts(config: Config, { messages, ...store }: Pick<Store, 'messages' | 'ping'>) {
  const begun = performance.now();
  const commit = await store.ping().then(
    () => performance.now() - begun,
    (error: Error) => error.message,
  );
  const { states, oldestAcceptedAt } = await messages.counts();
  const { queued = 0, active = 0, delayed = 0, uncertain = 0, held = 0 } = states;
  const waiting = queued + active + delayed + uncertain;
  const running = filesOf(config)?.isRunning() ?? (await runsHere(config));
  return { dir: config.dataDir, commit, waiting, held, oldestAcceptedAt, running, now: Date.now() };
}

/** True if a relay of this machine has the database open. */
async function runsHere(config: Config): Promise<boolean> {
  const nodes = (await clusterOf(config)?.nodes()) ?? [];
  return nodes.some(({ isRelay, isAlive, machine }) => isRelay && isAlive && machine === hostname());
}

/** Asks the running relay by its metrics. */
async function threadFacts(config: Config): ReturnType<Probes['threads']> {
  const wanted = threadsOf(config);
  const at = config.listen.admin[0];
  if (at === undefined) return { wanted, seen: undefined };
  const host =
    at.address === '::' ? '[::1]' : at.address === '0.0.0.0' ? '127.0.0.1' : isIPv6(at.address) ? `[${at.address}]` : at.address;
  try {
    const answer = await fetch(`http://${host}:${at.port}/metrics`, { signal: AbortSignal.timeout(CONNECT_TIMEOUT) });
    return { wanted, seen: threadsSeen(await answer.text()) };
  } catch {
    return { wanted, seen: undefined };
  }
}

/** @param metrics the page of another version of the relay, or of another program, may lack the numbers. */
function threadsSeen(metrics: string): Awaited<ReturnType<Probes['threads']>>['seen'] {
  const values = (name: string) =>
    [...metrics.matchAll(new RegExp(`^${name}(?:{.*})? (\\d+)$`, 'gm'))].map(([, value]) => Number(value));
  const [working] = values('smarthost_session_threads');
  const [ends = 0] = values('smarthost_thread_ends_total');
  return working === undefined ? undefined : { working, ends, sessions: values('smarthost_thread_sessions') };
}

/** `config check` reports a `delivery.ca` that cannot be read. */
function tryPolicy(domain: string, { delivery: { allowPrivate, ca } }: Config, dns: DnsClient): ReturnType<Probes['policy']> {
  const signal = AbortSignal.timeout(POLICY_TIMEOUT);
  return tryStsPolicy(domain, { dns, allowPrivate, caFile: ca, signal }).catch(({ message }: Error) => ({
    ...{ type: 'sts-policy-fetch-error', why: data(message) },
  }));
}
