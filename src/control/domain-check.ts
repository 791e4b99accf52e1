/** Asks the DNS afresh what a sending domain has, and compares it with what its mail needs. */
import { getServers } from 'node:dns';
import { createDns } from '../dns/dns.ts';
import { type CheckedRecord, examineDomain, type Finding } from '../doctor/doctor.ts';
import { publicAddresses } from '../net/addresses.ts';
import type { IpPolicy } from '../smtp/route.ts';
import type { DkimKey } from '../store/store.ts';
import { type Clock, SECOND } from '../system/clock.ts';
import { iso } from './shapes.ts';

export type DomainCheckSettings = {
  readonly hostname: string;
  readonly dns: { readonly servers: readonly string[]; readonly trustAd: boolean };
  readonly delivery: {
    readonly port: number;
    readonly ip: IpPolicy;
    readonly source: readonly string[];
    readonly allowPrivate: readonly string[];
  };
};

/** `asked`: the servers that were asked. `findings` as those of `doctor`. */
export type DomainLook = {
  readonly domain: string;
  readonly at: string;
  readonly asked: readonly string[];
  readonly records: readonly CheckedRecord[];
  readonly findings: readonly Finding[];
};

/** Shorter than in delivery: a person waits. */
const DNS_TIMEOUT = 1.5 * SECOND;

type CheckParts = { readonly settings: DomainCheckSettings; readonly keys: readonly DkimKey[]; readonly now: Clock };

/** What earlier look-ups found is not used. */
export async function lookAtDomain(domain: string, { settings, keys, now }: CheckParts): Promise<DomainLook> {
  const { hostname, dns: options, delivery } = settings;
  const dns = createDns({ ...options, timeout: DNS_TIMEOUT });
  const at = iso(now());
  const asked = options.servers.length > 0 ? options.servers : getServers();
  return { domain, at, asked, ...(await examineDomain({ domain, hostname, keys, delivery }, { dns, machine: publicAddresses })) };
}
