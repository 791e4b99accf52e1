/** A doctor that sees only a test's DNS and MX. */
import { onTestFinished } from 'vitest';
import { askValidated, createDns } from '../../src/dns/dns.ts';
import { type DoctorOptions, examine, type Finding, type Probes, probeSmtp } from '../../src/doctor/doctor.ts';
import { createDkimKeys, dkimRecord } from '../../src/signing/signing.ts';
import type { DkimKey } from '../../src/store/store.ts';
import { data } from '../../src/system/phrase.ts';
import { startDns } from './dns.ts';
import type { DnsServer, Zone } from './dns-server.ts';

export const HOST = 'relay.sender.test';
export const DOMAIN = 'shop.test';
/** A public address that is never connected to or from. */
export const ADDRESS = '203.0.113.5';

export const KEYS: readonly DkimKey[] = [
  ...(await createDkimKeys({ domain: HOST, now: 0, state: 'active' })),
  ...(await createDkimKeys({ domain: DOMAIN, now: 0, state: 'active' })),
];

/** All records as `init` asks for them. */
export function rightZone(): Zone {
  return {
    [HOST]: { A: [ADDRESS], TXT: ['v=spf1 a -all'] },
    [ADDRESS]: { PTR: [HOST] },
    [`_dmarc.${HOST}`]: { TXT: ['v=DMARC1; p=reject'] },
    [DOMAIN]: { TXT: [`v=spf1 a:${HOST} -all`], MX: [`10 mx.${DOMAIN}`] },
    [`_dmarc.${DOMAIN}`]: { TXT: ['v=DMARC1; p=quarantine'] },
    ...Object.fromEntries(KEYS.map(dkimRecord).map(({ name, value }) => [name, { TXT: [value] }])),
    'signed.test': { A: ['192.0.2.1'], secure: true },
    '2.0.0.127.list.test': { A: ['127.0.0.2'] },
    'dest.test': { MX: ['10 mx.dest.test'] },
    'mx.dest.test': { A: ['127.0.0.1'] },
  };
}

const answered = (authenticated: boolean, octets = 100) =>
  ({ kind: 'answered', authenticated, octets, server: '127.0.0.1' }) as const;
/** As a resolver that validates gives them. */
export const RIGHT_ANSWERS = {
  absent: answered(true),
  unsigned: answered(false),
  bogus: { kind: 'failed', why: data('SERVFAIL'), server: '127.0.0.1' },
  large: answered(false, 2000),
} as const;

export type Patient = {
  readonly zone?: Zone;
  readonly options?: Partial<DoctorOptions>;
  readonly probes?: Partial<Probes>;
  /** Correct names that are missing in this test. */
  readonly without?: readonly string[];
};

/** The doctor's findings if only the named things are wrong. */
export async function diagnose({
  zone = {},
  options = {},
  probes = {},
  without = [],
}: Patient = {}): Promise<readonly Finding[]> {
  const world = Object.fromEntries(Object.entries({ ...rightZone(), ...zone }).filter(([name]) => !without.includes(name)));
  const server: DnsServer = await startDns(world);
  onTestFinished(() => server.close());
  const now = () => Date.UTC(2026, 5, 1, 12);
  const given: DoctorOptions = {
    hostname: HOST,
    domains: [DOMAIN],
    keys: KEYS,
    delivery: { port: 1, ip: 'auto', source: [], allowPrivate: [] },
    upstream: undefined,
    destinations: ['dest.test'],
    blockLists: ['list.test'],
    trustAd: false,
    listeners: [],
    certificate: { mode: 'acme', names: [HOST], lastError: null, ca: undefined },
    sts: { mode: 'on', held: 0, overdue: 0 },
    secured: { tls: 'opportunistic', dane: 'on', exceptions: [], delays: [], requireTls: 'offer' },
    providers: { states: [], held: [] },
    heldLogins: [],
    senders: [],
    tlsReports: { mode: 'failures', from: `postmaster@${HOST}`, copies: [] },
    past: [],
    now,
    timeout: 2000,
    ...options,
  };
  return examine(given, {
    dns: createDns({ servers: [server.server], timeout: 250 }),
    smtp: probeSmtp,
    signed: () => askValidated({ name: 'signed.test', type: 'A', servers: [server.server], timeout: 500 }),
    policy: async () => undefined,
    dnssec: async () => RIGHT_ANSWERS,
    roots: () => ({ bundled: 140, system: 140, old: true }),
    machine: () => [ADDRESS],
    disk: async () => ({ dir: '/data', free: 100 * 2 ** 30, minFree: 2 ** 30 }),
    database: async () => undefined,
    store: async () => ({ dir: '/data', commit: 1, waiting: 0, held: 0, oldestAcceptedAt: null, running: true, now: now() }),
    threads: async () => ({ wanted: 1, seen: undefined }),
    times: async () => [{ name: 'a peer', at: now(), heardAt: now() }],
    synchronized: async () => false,
    ...probes,
  });
}

/** The findings of one check, or of one subject of it. */
export function of(findings: readonly Finding[], check: string, subject?: string): readonly Finding[] {
  return findings.filter((finding) => finding.check === check && (subject === undefined || finding.subject.includes(subject)));
}
