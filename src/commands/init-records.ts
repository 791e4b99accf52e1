/** The DNS records that a new relay needs. RFC 7208 (SPF), RFC 6376 (DKIM), RFC 7489 (DMARC). */
import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

export type DnsRecord = {
  readonly name: string;
  readonly type: 'A' | 'AAAA' | 'PTR' | 'TXT';
  readonly ttl: number;
  readonly value: string;
};
export type RecordGroup = { readonly comment: string; readonly records: readonly DnsRecord[] };

const TTL = 3600;

export type Needed = {
  readonly hostname: string;
  readonly domains: readonly string[];
  readonly dkim: readonly DnsRecord[];
  readonly addresses: readonly string[];
};

/** In the order in which an operator sets them. */
export function neededRecords({ hostname, domains, dkim, addresses }: Needed): readonly RecordGroup[] {
  const txt = (name: string, value: string): DnsRecord => ({ name, type: 'TXT', ttl: TTL, value });
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
      comment: 'The way back, set by whoever provides the addresses',
      records: addresses.map((address) => ({ name: reverseName(address), type: 'PTR', ttl: TTL, value: `${hostname}.` })),
    },
    {
      comment: `${hostname} sends its own delivery reports`,
      records: [txt(hostname, 'v=spf1 a -all'), ...about(hostname), txt(`_dmarc.${hostname}`, 'v=DMARC1; p=reject')],
    },
    ...domains
      .filter((domain) => domain !== hostname)
      .map((domain) => ({
        comment: `${domain}: where it has an SPF record, add a:${hostname} to that one; where it has a DMARC record, keep that`,
        records: [txt(domain, `v=spf1 a:${hostname} ~all`), ...about(domain), txt(`_dmarc.${domain}`, 'v=DMARC1; p=none')],
      })),
  ];
}

/** Zone lines with their comments. @param line prints one TXT record. */
export function zoneText(groups: readonly RecordGroup[], line: (record: DnsRecord & { type: 'TXT' }) => string): string {
  const print = (record: DnsRecord) =>
    record.type === 'TXT'
      ? line(record as DnsRecord & { type: 'TXT' })
      : `${record.name}. ${record.ttl} IN ${record.type} ${record.value}`;
  return groups.map(({ comment, records }) => [`; ${comment}`, ...records.map(print), ''].join('\n')).join('\n');
}

/** `5.2.0.192.in-addr.arpa`, RFC 1035 §3.5; nibbles for IPv6, RFC 3596 §2.5. */
export function reverseName(address: string): string {
  if (isIP(address) === 4) return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  const [head = '', tail = ''] = address.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const missing = address.includes('::') ? 8 - groups(head).length - groups(tail).length : 0;
  const all = [...groups(head), ...Array<string>(missing).fill('0'), ...groups(tail)];
  const nibbles = all.map((group) => group.padStart(4, '0')).join('');
  return `${[...nibbles].reverse().join('.')}.ip6.arpa`;
}

const PRIVATE = new BlockList();
for (const [network, bits] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
  ['169.254.0.0', 16],
] as const) {
  PRIVATE.addSubnet(network, bits);
}
PRIVATE.addSubnet('fc00::', 7, 'ipv6');
PRIVATE.addSubnet('fe80::', 10, 'ipv6');

/** Addresses of this machine that the world can reach; behind a NAT there is none. */
export function publicAddresses(interfaces = networkInterfaces()): readonly string[] {
  const all = Object.values(interfaces).flatMap((list) => list ?? []);
  const open = all.filter(
    ({ internal, address, family }) => !internal && !PRIVATE.check(address, family === 'IPv4' ? 'ipv4' : 'ipv6'),
  );
  return [...new Set(open.map(({ address }) => address))];
}
