/** Checks everything that direct sending depends on, in parallel and within time limits, and says what to do: behaviour rule 25. */

import type { Dns, DnsAnswer, Validated } from '../dns/dns.ts';
import type { IpPolicy } from '../smtp/route.ts';
import type { ClusterLook, DkimKey, StoredSenderVerdict } from '../store/store.ts';
import { type Clock, SECOND, systemClock } from '../system/clock.ts';
import { data, type Phrase, phrase } from '../system/phrase.ts';
import { checkBlockList, gatherBlockList } from './block-lists.ts';
import { checkDatabase } from './database.ts';
import { checkDnssec } from './dnssec.ts';
import type { DnssecAnswers } from './dnssec-questions.ts';
import { checkDomain, gatherDomain } from './domain.ts';
import { type CheckedRecord, describeRecords, namesOfTexts } from './domain-records.ts';
import { about, type Finding } from './finding.ts';
import { checkHost } from './host.ts';
import { type ConfiguredListener, checkListener, gatherListener, type TlsMode } from './listeners.ts';
import {
  type ClockFacts,
  checkClock,
  checkDisk,
  checkStore,
  checkThreads,
  type DiskFacts,
  type StoreFacts,
  type ThreadFacts,
} from './machine.ts';
import { checkSts, type StsFacts, type StsFetch } from './mta-sts.ts';
import { addressesSeen, checkOutbound, gatherOutbound } from './outbound.ts';
import { isUnreachable, ownAddresses } from './own-addresses.ts';
import { checkLogins, checkProviders, type HeldLoginFacts, type ProviderFacts } from './providers.ts';
import { checkReceivers } from './receivers.ts';
import { checkDane, checkDelays, checkExceptions, checkRoots, type RootFacts, type SecuredFacts } from './secured-delivery.ts';
import { checkSenders, checkSplit } from './senders.ts';
import type { SmtpProbe } from './smtp-probe.ts';
import { greetedTimes, type PeerTime } from './time.ts';
import { checkTlsReports, type TlsReportingFacts } from './tls-reports.ts';

export { checkDatabase } from './database.ts';
export { DNSSEC_QUESTIONS, type DnssecQuestion } from './dnssec-questions.ts';
export type { CheckedRecord } from './domain-records.ts';
export type { Finding, Severity } from './finding.ts';
export { checkHost } from './host.ts';
export { checkOutbound, gatherOutbound } from './outbound.ts';
export { ownAddresses } from './own-addresses.ts';
export { RECEIVERS } from './receivers.ts';
export { OLD_ROOT } from './secured-delivery.ts';
export { probeSmtp, type SmtpProbe } from './smtp-probe.ts';
export { httpTime } from './time.ts';

export type DoctorOptions = {
  readonly hostname: string;
  /** The sending domains, besides the domain of the host name. */
  readonly domains: readonly string[];
  readonly keys: readonly DkimKey[];
  readonly delivery: {
    readonly port: number;
    readonly ip: IpPolicy;
    readonly source: readonly string[];
    readonly allowPrivate: readonly string[];
  };
  /** The host to which a route without a condition sends all mail. */
  readonly upstream: string | undefined;
  /** Mail domains whose MX hosts are connected to. */
  readonly destinations: readonly string[];
  readonly blockLists: readonly string[];
  readonly trustAd: boolean;
  readonly listeners: readonly ConfiguredListener[];
  readonly certificate: {
    readonly mode: TlsMode;
    readonly names: readonly string[];
    readonly lastError: string | null;
    /** PEM of one more trusted authority. */
    readonly ca: string | undefined;
  };
  readonly sts: StsFacts;
  readonly secured: SecuredFacts;
  readonly tlsReports: TlsReportingFacts;
  readonly providers: ProviderFacts;
  readonly heldLogins: readonly HeldLoginFacts[];
  /** What the relay knows of the senders of the last day, the last used first. */
  readonly senders: readonly StoredSenderVerdict[];
  readonly past: ClockFacts['past'];
  readonly now?: Clock;
  /** Most milliseconds of one connection; default 6 s. */
  readonly timeout?: number;
};

/** All functions that reach out of this process. None of them rejects. */
export type Probes = {
  readonly dns: Dns;
  /** What receivers see, if the resolvers of this machine have other answers for some domains. */
  readonly publicDns?: Dns;
  readonly smtp: SmtpProbe;
  /** Asks for a name in a signed zone, to see whether the resolver validates. */
  readonly signed: () => Promise<Validated>;
  /** Asks for names that show how well it does. */
  readonly dnssec: () => Promise<DnssecAnswers>;
  readonly roots: () => RootFacts;
  /** Fetches the policy of a domain that announces one. @returns why it cannot be had, or undefined. */
  readonly policy: (domain: string) => Promise<StsFetch['problem']>;
  /** Public addresses of this machine. */
  readonly machine: () => readonly string[];
  readonly disk: () => Promise<DiskFacts>;
  readonly store: () => Promise<StoreFacts>;
  /** undefined: the data are in files of this machine. */
  readonly database: () => Promise<ClusterLook | undefined>;
  readonly threads: () => Promise<ThreadFacts>;
  /** The time that servers report, besides mail servers. */
  readonly times: () => Promise<readonly PeerTime[]>;
  readonly synchronized: () => Promise<boolean>;
};

const LOOK = 6 * SECOND;

/** @returns findings in the order in which an operator should mend them. Rejects only if a probe does. */
export async function examine(options: DoctorOptions, given: Probes): Promise<readonly Finding[]> {
  const { now = systemClock } = options;
  const signed = await given.signed();
  // If no resolver answers, the other look-ups are not made.
  const probes: Probes = signed.kind === 'silent' ? { ...given, dns: silentDns(signed.why) } : given;
  const { dns, smtp } = probes;
  const { timeout = LOOK } = options;
  const validates = signed.kind === 'answered' && signed.authenticated;
  const [disk, store, database, threads, outbound, served, times, records, fetched, asked] = await Promise.all([
    probes.disk(),
    probes.store(),
    probes.database(),
    probes.threads(),
    gatherOutbound({ ...options, ...options.delivery, dns, smtp, timeout }),
    lookAtListeners(options, probes),
    probes.times(),
    Promise.all([dns.a(options.hostname), dns.aaaa(options.hostname)]),
    fetchOnePolicy(options, probes),
    validates ? probes.dnssec() : undefined,
  ]);
  const host = await lookAtHost(options, probes, { records, seenAs: addressesSeen(outbound) });
  const addresses = host.own.addresses.filter((address) => !isUnreachable(options.delivery, address));
  const [domains, lists] = await Promise.all([
    lookAtDomains(options, probes, addresses),
    lookAtBlockLists(options, probes, addresses),
  ]);
  const peers = [...greetedTimes(outbound.attempts), ...times];
  const clock = { now: now(), peers, past: options.past, synchronized: await probes.synchronized() };
  const findings = [
    checkDisk(disk),
    ...checkStore(store),
    ...(database === undefined ? [] : checkDatabase(database)),
    ...checkThreads(threads),
    checkClock(clock),
    ...checkDnssec({ signed, trustAd: options.trustAd }, asked),
    ...checkHost(host),
    ...checkOutbound({
      ...options,
      ...options.delivery,
      ...outbound,
      hasIpv6: host.own.addresses.some((address) => address.includes(':')),
    }),
    ...(store.running ? served : unseen(options)),
    ...domains,
    ...checkSenders(options.senders, new Set([options.hostname, ...options.domains])),
    ...lists,
    ...checkTlsReports(options.tlsReports, options.keys),
    ...checkProviders(options.providers),
    ...checkLogins(options.heldLogins),
    checkDane(options.secured, { signed, trustAd: options.trustAd }),
    ...checkSts(options.sts, fetched),
    checkRoots(probes.roots()),
    ...checkExceptions(options.secured),
    ...checkDelays(options.secured),
  ];
  return [...findings, ...checkReceivers(findings, options.hostname, options.secured)];
}

type DomainQuestion = Pick<DoctorOptions, 'hostname' | 'keys' | 'delivery' | 'timeout'> & { readonly domain: string };

/** One sending domain alone. @param dns remembers nothing of earlier look-ups. */
export async function examineDomain(
  { domain, ...options }: DomainQuestion,
  { dns, machine }: Pick<Probes, 'dns' | 'machine'>,
): Promise<{ readonly records: readonly CheckedRecord[]; readonly findings: readonly Finding[] }> {
  const { hostname, keys, delivery, timeout = LOOK } = options;
  const [a, aaaa] = await Promise.all([dns.a(hostname), dns.aaaa(hostname)]);
  const { addresses } = ownAddresses({ ...delivery, machine: machine(), seenAs: [], a, aaaa });
  const usable = addresses.filter((address) => !isUnreachable(delivery, address));
  const facts = await gatherDomain({ domain, hostname, addresses: usable, keys, dns, timeout: 2 * timeout });
  const findings = checkDomain(facts);
  const asked = namesOfTexts(facts).map(async (name) => [name, await dns.txt(name)] as const);
  return { records: describeRecords({ facts, findings, hostname, texts: new Map(await Promise.all(asked)) }), findings };
}

type Seen = { readonly records: readonly [DnsAnswer<string>, DnsAnswer<string>]; readonly seenAs: readonly string[] };

async function lookAtHost({ hostname, delivery }: DoctorOptions, { dns, machine }: Probes, { records: [a, aaaa], seenAs }: Seen) {
  const facts = { ...delivery, machine: machine(), seenAs, a, aaaa };
  const own = ownAddresses(facts);
  const reverse = own.addresses.map(async (address): Promise<[string, DnsAnswer<string>]> => [address, await dns.ptr(address)]);
  return { ...facts, hostname, own, ptr: new Map(await Promise.all(reverse)) };
}

function silentDns(why: Phrase): Dns {
  const silent = async () => ({ kind: 'temporary', why }) as const;
  return { mx: silent, a: silent, aaaa: silent, ptr: silent, txt: silent };
}

async function lookAtDomains(
  options: DoctorOptions,
  { dns, publicDns }: Probes,
  addresses: readonly string[],
): Promise<readonly Finding[]> {
  const { hostname, keys, timeout = LOOK } = options;
  const domains = [...new Set([hostname, ...options.domains])];
  const gather = (domain: string, by: Dns) => gatherDomain({ domain, hostname, addresses, keys, dns: by, timeout: 2 * timeout });
  const found = domains.map(async (domain) => {
    const [here, seen] = await Promise.all([gather(domain, dns), publicDns && gather(domain, publicDns)]);
    return seen === undefined ? checkDomain(here) : [...checkDomain(seen), ...checkSplit(here, seen)];
  });
  return (await Promise.all(found)).flat();
}

async function lookAtBlockLists(
  { blockLists }: DoctorOptions,
  { dns }: Probes,
  addresses: readonly string[],
): Promise<readonly Finding[]> {
  const pairs = addresses.flatMap((address) => blockLists.map((list) => ({ list, address })));
  const found = await Promise.all(
    pairs.map(async ({ list, address }) => checkBlockList(await gatherBlockList(list, address, dns))),
  );
  return found.filter((finding) => finding !== undefined);
}

async function lookAtListeners(options: DoctorOptions, { smtp }: Probes): Promise<readonly Finding[]> {
  const { hostname, certificate, timeout = LOOK, now = systemClock } = options;
  // Port 0 means any free port. Only the relay's log has its number.
  const known = options.listeners.filter(({ port }) => port !== 0);
  const found = known.map(async (listener) => {
    const answers = await gatherListener({ listener, hostname, smtp, ca: certificate.ca, timeout });
    return checkListener({ listener, ...certificate, ...answers, now: now() });
  });
  return (await Promise.all(found)).flat();
}

/** Findings for listeners if the relay does not run. */
function unseen({ listeners, certificate }: DoctorOptions): readonly Finding[] {
  const wanted = data(certificate.names.join(', '));
  const advice = phrase`Start the relay, then run doctor again: smarthost serve`;
  return listeners.map(({ name, port }) =>
    about('certificate', `${name} ${port}`)('unknown', phrase`the relay does not run`, wanted, advice),
  );
}

/** One destination with a policy is enough to see whether policies can be fetched. RFC 8461 §3.1 */
async function fetchOnePolicy({ destinations, sts }: DoctorOptions, { dns, policy }: Probes): Promise<StsFetch | undefined> {
  if (sts.mode === 'off') return undefined;
  const answers = await Promise.all(destinations.map((destination) => dns.txt(`_mta-sts.${destination}`)));
  const at = answers.findIndex((answer) => answer.kind === 'found' && answer.values.some((text) => text.startsWith('v=STSv1')));
  const domain = destinations[at];
  return domain === undefined ? undefined : { host: `mta-sts.${domain}`, problem: await policy(domain) };
}
