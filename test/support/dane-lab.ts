/** Signed zones on Knot, a validating Unbound, and MX hosts with certificates of every kind: for DANE, and for who else judges it. */

import { createDns } from '../../src/dns/dns.ts';
import { SECOND } from '../../src/system/clock.ts';
import { startTestDelivery, type TestDelivery } from './delivery.ts';
import { type Knot, startKnot } from './knot.ts';
import { startMx } from './mx.ts';
import type { MxServer, MxServerOptions } from './mx-server.ts';
import { withNameserver } from './namespace.ts';
import { freePort, loopbackAddress, run, temporaryFolder } from './program.ts';
import { type NameServer, startUnbound } from './unbound.ts';

/** One destination: `NAME.lab.test`, and its host `mx.NAME.lab.test`. */
export type DaneRow = {
  readonly name: string;
  /** What the host sends; absent: it offers no TLS. */
  readonly tls?: MxServerOptions['tls'] | undefined;
  /** `3 1 1 0123…`, at `_PORT._tcp.mx.NAME.lab.test`. */
  readonly tlsa?: readonly string[];
  /** Lines with `HOST`, `PORT` and `IP`, instead of the MX, address and TLSA records. */
  readonly zone?: readonly string[];
  /** The domain that mail is for; default: `NAME.lab.test`. */
  readonly domain?: string;
};

export type DaneLab = {
  readonly relay: TestDelivery;
  readonly hosts: ReadonlyMap<string, MxServer>;
  /** What posttls-finger says of a destination. */
  finger(domain: string, level?: string): Promise<string>;
  close(): Promise<void>;
};

export async function startDaneLab(rows: readonly DaneRow[]): Promise<DaneLab> {
  const addresses = new Map(rows.map(({ name }) => [name, loopbackAddress()]));
  const port = await freePort(...addresses.values());
  const hosts = new Map<string, MxServer>();
  for (const { name, tls } of rows) {
    const hostname = `mx.${name}.lab.test`;
    hosts.set(name, await startMx({ address: addresses.get(name)!, port, hostname, ...(tls && { tls }) }));
  }
  const lines = rows.flatMap((row) => recordsOf(row, port, addresses.get(row.name)!));
  const inZone = (zone: string) => lines.filter((line) => line.split(' ')[0]!.endsWith(`${zone}.`));
  const signed = await startKnot({ zone: 'lab.test.', records: inZone('lab.test'), signed: true });
  const bogus = await startKnot({ zone: 'bogus.test.', records: inZone('bogus.test'), signed: true });
  const plain = await startKnot({ zone: 'plain.test.', records: inZone('plain.test') });
  const wrong = signed.anchors.map((anchor) => anchor.replace(/^\S+/, 'bogus.test.'));
  const zones: readonly (readonly [string, Knot])[] = [
    ['lab.test', signed],
    ['bogus.test', bogus],
    ['plain.test', plain],
  ];
  const unbound = await startUnbound({
    ...{ stubs: zones.map(([zone, server]) => ({ zone: `${zone}.`, server })), anchors: [...signed.anchors, ...wrong] },
    port: 53,
  });
  const server = `${unbound.address}:53`;
  const dns = createDns({ servers: [server], trustAd: true, timeout: 2 * SECOND });
  const relay = await startTestDelivery({ server } as never, { dns, port });
  const folder = temporaryFolder('finger');
  return {
    relay,
    hosts,
    async finger(domain, level = 'dane') {
      const args = ['-c', '-l', level, '-L', 'summary,untrusted', '-o', 'inet_protocols=ipv4', '-T', '20', `${domain}:${port}`];
      const command = withNameserver(unbound.address, folder.path, 'posttls-finger', args, 'trust-ad edns0');
      const { stdout, stderr } = await run(command.command, command.args);
      return stdout + stderr;
    },
    async close() {
      await relay.close();
      const parts: NameServer[] = [unbound, ...zones.map(([, knot]) => knot)];
      await Promise.all([...parts, ...hosts.values()].map((part) => part.close()));
      folder.remove();
    },
  };
}

function recordsOf({ name, tlsa = [], zone }: DaneRow, port: number, ip: string): string[] {
  const host = `mx.${name}.lab.test.`;
  const lines = zone ?? [
    `${name}.lab.test. 60 IN MX 10 HOST`,
    'HOST 60 IN A IP',
    ...tlsa.map((record) => `_PORT._tcp.HOST 60 IN TLSA ${record}`),
  ];
  return lines.map((line) => line.replaceAll('HOST', host).replaceAll('PORT', String(port)).replaceAll('IP', ip));
}
