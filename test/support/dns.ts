/** A DNS for one test. */
import { type DnsServer, startDnsServer, type Zone } from './dns-server.ts';

/** @param zone names and their records, see the DNS server; it can be changed while it runs by `set`. */
export function startDns(zone: Zone = {}): Promise<DnsServer> {
  return startDnsServer({ zone });
}
