/** A DNS for one test. */
import { type DnsServer, startDnsServer, type Zone } from '../../src/demo/dns-server.ts';

/** @param zone names and their records, see the demo's DNS server; it can be changed while it runs by `set`. */
export function startDns(zone: Zone = {}): Promise<DnsServer> {
  return startDnsServer({ zone });
}
