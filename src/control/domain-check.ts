/** Asks the servers of a sending domain what it has now, and compares it with what its mail needs. */
import { type Answerer, createZoneDns } from '../dns/dns.ts';
import { type CheckedRecord, examineDomain, type Finding } from '../doctor/doctor.ts';
import { createAddressGuard } from '../net/address-guard.ts';
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

/** A record, and who was asked for it. null: nobody answered. */
type AnsweredRecord = CheckedRecord & { readonly answerer: Answerer | null };

/** `asked`: the servers that answered for the records. `findings` as those of `doctor`. */
export type DomainLook = {
  readonly domain: string;
  readonly at: string;
  readonly asked: readonly string[];
  readonly records: readonly AnsweredRecord[];
  readonly findings: readonly Finding[];
};

/** Shorter than in delivery: a person waits. */
const DNS_TIMEOUT = 1.5 * SECOND;

type CheckParts = {
  readonly settings: DomainCheckSettings;
  readonly keys: readonly DkimKey[];
  readonly now: Clock;
  /** Of the name servers of zones. */
  readonly port?: number;
};

/** The servers of the domain's own zone are asked: what resolvers have kept, ours or others, is not used where these answer. */
export async function lookAtDomain(domain: string, { settings, keys, now, port }: CheckParts): Promise<DomainLook> {
  const { hostname, dns: options, delivery } = settings;
  const guard = createAddressGuard(delivery.allowPrivate, () => []);
  const dns = createZoneDns({
    ...{ servers: options.servers, timeout: DNS_TIMEOUT, isOwn: isNear(domain) },
    mayAsk: (address) => guard(address) === undefined,
    ...(port === undefined ? {} : { port }),
  });
  const at = iso(now());
  const { records, findings } = await examineDomain({ domain, hostname, keys, delivery }, { dns, machine: publicAddresses });
  const answered = await Promise.all(
    records.map(async (record) => ({ ...record, answerer: (await dns.answerer(record.type, record.name)) ?? null })),
  );
  const named = answered.flatMap(({ answerer }) => (answerer === null ? [] : serverName(answerer)));
  return { domain, at, asked: [...new Set(named)], records: answered, findings };
}

/** Names of the domain, and those above it that its policy may come from: RFC 9989 §4.10. */
function isNear(domain: string): (name: string) => boolean {
  const top = domain.split('.').slice(-2).join('.');
  return (name) => name === top || name.endsWith(`.${top}`);
}

/** `ns1.example.org [192.0.2.53]`; of a resolver its address alone. */
function serverName(answerer: Answerer): string {
  return answerer.authoritative ? `${answerer.name} [${answerer.server}]` : answerer.server;
}
