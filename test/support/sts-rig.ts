/** Policies of MTA-STS with clocks that the test sets, records and files that it writes, and a store that it can look into. */
import type { DnsAnswer } from '../../src/dns/dns.ts';
import type { TlsPolicyStore } from '../../src/store/store.ts';
import { data, inEnglish } from '../../src/system/phrase.ts';
import { parsePolicy, type StsProblem } from '../../src/tls-policy/mta-sts.ts';
import type { FetchedPolicy } from '../../src/tls-policy/mta-sts-fetch.ts';
import { StsPolicyKeeper, type StsPolicyOptions } from '../../src/tls-policy/mta-sts-policies.ts';
import { createMemoryTlsPolicies } from './memory-tls-policies.ts';

export const START = Date.UTC(2026, 0, 1, 12);

type Event = { readonly event: string; readonly level: string | undefined; readonly fields: Record<string, unknown> };

export type StsRig = ReturnType<typeof createStsRig>;

/** @param mode and its hosts. */
export const policyText = (mode: string, { mx = ['mx.x.example'], maxAge = 604_800 }: { mx?: string[]; maxAge?: number } = {}) =>
  ['version: STSv1', `mode: ${mode}`, ...mx.map((name) => `mx: ${name}`), `max_age: ${maxAge}`].join('\n');

export function createStsRig(given: Partial<StsPolicyOptions> = {}) {
  const store: TlsPolicyStore = given.store ?? createMemoryTlsPolicies();
  const events: Event[] = [];
  const rig = {
    now: START,
    monotonic: 0,
    /** Both clocks go on. */
    pass(ms: number) {
      rig.now += ms;
      rig.monotonic += ms;
    },
    store,
    events,
    /** `action` of each event about policies. */
    told: () => events.map(({ fields, level }) => `${fields['action']}${level === undefined ? '' : ` ${level}`}`),
    /** What the DNS says, by domain; `afresh` counts questions past the cache. */
    records: new Map<string, string | DnsAnswer<string>>(),
    afresh: 0,
    /** What policy hosts say, by domain. */
    files: new Map<string, string | StsProblem>(),
    fetched: [] as string[],
    /** Fetches wait for it. */
    gate: undefined as Promise<void> | undefined,
    announce(domain: string, id: string, file: string | StsProblem) {
      rig.records.set(domain, `v=STSv1; id=${id};`);
      rig.files.set(domain, file);
    },
    keeper: undefined as unknown as StsPolicyKeeper,
    /** As after a restart. */
    restart: () => (rig.keeper = create()),
  };
  const create = () =>
    new StsPolicyKeeper({
      ...{ store, by: 'relay', now: () => rig.now, monotonic: () => rig.monotonic, random: () => 0.5 },
      log: { emit: (event, fields, level) => void events.push({ event, level, fields: fields as Record<string, unknown> }) },
      dns: {
        async txt(name, isAfresh = false) {
          if (isAfresh) rig.afresh++;
          const record = rig.records.get(name.replace(/^_mta-sts\./, ''));
          if (record === undefined) return { kind: 'nxdomain', name, secure: false, trusted: true, ttl: 60_000 };
          const answer: DnsAnswer<string> = typeof record === 'string' ? { kind: 'found', values: [record] } : record;
          return { ...answer, name, secure: false, trusted: true, ttl: 60_000 } as never;
        },
      },
      async fetch(domain): Promise<FetchedPolicy> {
        rig.fetched.push(domain);
        await rig.gate;
        const file = rig.files.get(domain);
        if (file === undefined) return { problem: { type: 'sts-policy-fetch-error', why: data('no file') } };
        if (typeof file !== 'string') return { problem: file };
        const read = parsePolicy(Buffer.from(file));
        if ('invalid' in read) throw new Error(inEnglish(read.invalid));
        return { file: read };
      },
      ...given,
    });
  rig.keeper = create();
  return rig;
}
