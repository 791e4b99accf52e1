/** What the DNS and the machine say to the answers of a person who sets up a relay, while they are given. */
import { isDmarc, isSpf, wantedSpf } from '../alignment/alignment.ts';
import { parseConfig } from '../config/config.ts';
import { createDns, type Dns, type DnsAnswer } from '../dns/dns.ts';
import { checkHost, ownAddresses } from '../doctor/doctor.ts';
import { SECOND } from '../system/clock.ts';
import { inEnglish, type Phrase, phrase } from '../system/phrase.ts';
import type { Existing } from './records.ts';

export type SeenByDns = {
  readonly result: 'ok' | 'warning' | 'unknown';
  readonly sentence: string /** `sentence`, to be said in another language. */;
  readonly phrase: Phrase;
};

export type SetupLooks = {
  /** Compares A, AAAA and PTR records with the host name and its addresses. */
  host(hostname: string, addresses: readonly string[]): Promise<readonly SeenByDns[]>;
  domain(domain: string, hostname: string): Promise<SeenByDns & { readonly existing?: Existing }>;
  /** @returns the name in the PTR record of an address. */
  nameOf(address: string | undefined): Promise<string | undefined>;
  addressesOf(hostname: string): Promise<readonly string[]>;
};

/** Where the configuration is looked for and completed. */
export type Surroundings = { readonly env: Readonly<Record<string, string | undefined>>; readonly cwd: string };

/** Reads `dns.servers` from the environment, because there may be no file yet. */
export async function createSetupLooks(io: Surroundings): Promise<SetupLooks> {
  const parsed = await parseConfig({ path: 'smarthost.yaml', text: 'hostname: relay.example.net' }, { env: io.env, cwd: io.cwd });
  const servers = 'config' in parsed ? parsed.config.dns.servers : [];
  const dns = createDns({ servers, timeout: SECOND });
  return {
    host: (hostname, addresses) => lookAtHost(dns, hostname, addresses),
    domain: (domain, hostname) => lookAtDomain(dns, domain, hostname),
    async nameOf(address) {
      return address === undefined ? undefined : values(await dns.ptr(address))[0];
    },
    async addressesOf(hostname) {
      const answers = await Promise.all([dns.a(hostname), dns.aaaa(hostname)]);
      return answers.flatMap(values);
    },
  };
}

/** Uses the doctor's checks. A missing record is no error here, because it is not set yet. */
async function lookAtHost(dns: Dns, hostname: string, addresses: readonly string[]): Promise<readonly SeenByDns[]> {
  const [a, aaaa] = await Promise.all([dns.a(hostname), dns.aaaa(hostname)]);
  const facts = { source: addresses, ip: 'auto', allowPrivate: [], machine: [], seenAs: [], a, aaaa } as const;
  const own = ownAddresses(facts);
  const ptr = new Map(await Promise.all(own.addresses.map(async (address) => [address, await dns.ptr(address)] as const)));
  return checkHost({ ...facts, hostname, own, ptr })
    .filter(({ check }) => check !== 'helo')
    .map(({ check, subject, result, phrases: { found, advice } }) => {
      const said = phrase`${check.toUpperCase()} of ${subject}: ${found}`;
      if (result === 'ok' || result === 'unknown') return seen(result, said);
      return seen('warning', phrase`${said}. ${advice}`);
    });
}

async function lookAtDomain(dns: Dns, domain: string, hostname: string): Promise<SeenByDns & { readonly existing?: Existing }> {
  const [txt, dmarc] = await Promise.all([dns.txt(domain), dns.txt(`_dmarc.${domain}`)]);
  if (txt.kind === 'temporary' || dmarc.kind === 'temporary')
    return seen('unknown', phrase`${domain}: the DNS gave no answer, so what it has is not known.`);
  const record = values(txt).find(isSpf);
  const existing = {
    ...(record === undefined ? {} : { spf: wantedSpf(record, { domain, hostname }) }),
    dmarc: values(dmarc).some(isDmarc),
  };
  const spf =
    record === undefined
      ? phrase`no SPF record`
      : existing.spf === record
        ? phrase`an SPF record that allows us`
        : phrase`an SPF record, to be extended`;
  const policy = existing.dmarc ? phrase`a DMARC record, which stays` : phrase`no DMARC record`;
  return { ...seen('ok', phrase`${domain} has ${spf}, and ${policy}.`), existing };
}

const seen = (result: SeenByDns['result'], said: Phrase): SeenByDns => ({ result, sentence: inEnglish(said), phrase: said });

function values<T>(answer: DnsAnswer<T>): readonly T[] {
  return answer.kind === 'found' ? answer.values : [];
}
