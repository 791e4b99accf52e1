/** The DNS records that a new relay needs. RFC 7208 (SPF), RFC 6376 (DKIM), RFC 7489 (DMARC). */
import { isIP } from 'node:net';
import { reverseName } from '../net/addresses.ts';

export type NeededRecord = {
  readonly name: string;
  readonly type: 'A' | 'AAAA' | 'PTR' | 'TXT';
  readonly ttl: number;
  readonly value: string;
};
export type RecordGroup = { readonly comment: string; readonly records: readonly NeededRecord[] };

const TTL = 3600;

type Needed = {
  readonly hostname: string;
  readonly domains: readonly string[];
  readonly dkim: readonly NeededRecord[];
  readonly addresses: readonly string[];
  /** The records that the domains have already, if the DNS was asked. */
  readonly existing?: ReadonlyMap<string, Existing>;
};

/** `spf` is the record that should replace the existing one, made from it. */
export type Existing = { readonly spf?: string; readonly dmarc: boolean };

/** Returns the records in the order in which an operator sets them. */
export function neededRecords({ hostname, domains, dkim, addresses, existing = new Map() }: Needed): readonly RecordGroup[] {
  const about = (name: string) => dkim.filter((record) => record.name.endsWith(`._domainkey.${name}`));
  const found = addresses.length === 0 ? ': none was found on this machine, put yours here' : '';
  return [
    {
      comment: `The addresses of ${hostname}${found}`,
      records: addresses.map((address) => ({
        name: hostname,
        type: isIP(address) === 4 ? 'A' : 'AAAA',
        ttl: TTL,
        value: address,
      })),
    },
    {
      comment: 'Reverse DNS (PTR): ask the provider of the addresses to set it',
      records: addresses.map((address) => ({ name: reverseName(address), type: 'PTR', ttl: TTL, value: `${hostname}.` })),
    },
    {
      comment: `${hostname} sends its own delivery reports`,
      records: [txt(hostname, 'v=spf1 a -all'), ...about(hostname), txt(`_dmarc.${hostname}`, 'v=DMARC1; p=reject')],
    },
    ...domains
      .filter((domain) => domain !== hostname)
      .map((domain) => domainGroup({ domain, hostname, dkim: about(domain), existing: existing.get(domain) })),
  ];
}

type DomainNeeds = { domain: string; hostname: string; dkim: readonly NeededRecord[]; existing: Existing | undefined };

function domainGroup({ domain, hostname, dkim, existing }: DomainNeeds): RecordGroup {
  const spf = txt(domain, existing?.spf ?? `v=spf1 a:${hostname} ~all`);
  const dmarc = existing?.dmarc ? [] : [txt(`_dmarc.${domain}`, 'v=DMARC1; p=none')];
  return { comment: domainComment({ domain, hostname, existing }), records: [spf, ...dkim, ...dmarc] };
}

function domainComment({ domain, hostname, existing }: Omit<DomainNeeds, 'dkim'>): string {
  if (existing === undefined)
    return `${domain}: where it has an SPF record, add a:${hostname} to that one; where it has a DMARC record, keep that`;
  const spf = existing.spf === undefined ? '' : '; the SPF record replaces the one that is there';
  return `${domain}${spf}${existing.dmarc ? '; its DMARC record stays' : ''}`;
}

function txt(name: string, value: string): NeededRecord {
  return { name, type: 'TXT', ttl: TTL, value };
}

/** Lines of a zone file with comments. @param line prints one TXT record. */
export function zoneText(groups: readonly RecordGroup[], line: (record: NeededRecord & { type: 'TXT' }) => string): string {
  const print = (record: NeededRecord) =>
    record.type === 'TXT'
      ? line(record as NeededRecord & { type: 'TXT' })
      : `${record.name}. ${record.ttl} IN ${record.type} ${record.value}`;
  return groups.map(({ comment, records }) => [`; ${comment}`, ...records.map(print), ''].join('\n')).join('\n');
}
