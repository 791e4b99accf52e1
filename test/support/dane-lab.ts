/** Signed zones on Knot, a validating Unbound, and MX hosts with certificates of every kind: for DANE, and for who else judges it. */

import { type DomainSurvey, surveyDomain } from '../../src/delivery/delivery.ts';
import { createDns } from '../../src/dns/dns.ts';
import { SECOND } from '../../src/system/clock.ts';
import { startTestDelivery, type TestDelivery, TIMEOUTS } from './delivery.ts';
import { type KnotOptions, startKnot } from './knot.ts';
import { startMx } from './mx.ts';
import type { MxServer, MxServerOptions, ReceivedMessage } from './mx-server.ts';
import { withNameserver } from './namespace.ts';
import { type Postfix, startPostfixSender } from './postfix.ts';
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
  /** What `smarthost tls check --connect` is made of. */
  survey(domain: string): Promise<DomainSurvey>;
  readonly hosts: ReadonlyMap<string, MxServer>;
  /** The rows whose hosts took a message for this recipient, one for each message. */
  takers(recipient: string): string[];
  /** A mail server that sends by DANE to the same hosts. */
  readonly postfix: Postfix;
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
  const linesOf = (zone: string) => lines.filter((line) => zoneOf(line) === zone);
  const start = (zone: string, signed: KnotOptions['signed'], records: readonly string[] = []) =>
    startKnot({ zone: `${zone}.`, records: [...linesOf(zone), ...records], signed: signed ?? false });
  const knots = {
    'lab.test': await start('lab.test', true),
    'bogus.test': await start('bogus.test', true),
    'optout.test': await start('optout.test', 'opt-out', ['child.optout.test. 60 IN NS ns.plain.test.']),
    'plain.test': await start('plain.test', false),
    'child.optout.test': await start('child.optout.test', false),
  };
  const wrong = knots['lab.test'].anchors.map((anchor) => anchor.replace(/^\S+/, 'bogus.test.'));
  const zones = Object.entries(knots);
  const unbound = await startUnbound({
    ...{
      stubs: zones.map(([zone, server]) => ({ zone: `${zone}.`, server })),
      anchors: [...knots['lab.test'].anchors, ...knots['optout.test'].anchors, ...wrong],
    },
    port: 53,
  });
  const server = `${unbound.address}:53`;
  const dns = createDns({ servers: [server], trustAd: true, timeout: 2 * SECOND });
  const postfix = await startPostfixSender({ hostname: 'sender.example.net', nameserver: unbound.address, port });
  const relay = await startTestDelivery({ server } as never, { dns, port });
  const folder = temporaryFolder('finger');
  return {
    relay,
    survey: (domain) =>
      surveyDomain(domain, {
        ...{ dns, port, hostname: 'relay.example.net', routes: [], ip: 'v4-only', source: [], allowPrivate: ['127.0.0.0/8'] },
        ...{ tls: 'opportunistic', timeouts: TIMEOUTS, connect: true },
      }),
    hosts,
    takers: (recipient) =>
      [...hosts].flatMap(([name, { messages }]) => messages.filter((message) => isFor(recipient, message)).map(() => name)),
    postfix,
    async finger(domain, level = 'dane') {
      const args = ['-c', '-l', level, '-L', 'summary,untrusted', '-o', 'inet_protocols=ipv4', '-T', '20', `${domain}:${port}`];
      const command = withNameserver(unbound.address, folder.path, 'posttls-finger', args, 'trust-ad edns0');
      const { stdout, stderr } = await run(command.command, command.args);
      return stdout + stderr;
    },
    async close() {
      await Promise.all([relay.close(), postfix.close()]);
      const parts: NameServer[] = [unbound, ...zones.map(([, knot]) => knot)];
      await Promise.all([...parts, ...hosts.values()].map((part) => part.close()));
      folder.remove();
    },
  };
}

const isFor = (recipient: string, { recipients }: ReceivedMessage) => recipients.some(({ address }) => address === recipient);

/** The longest first: what is below another one is its own. */
const ZONES = ['child.optout.test', 'optout.test', 'lab.test', 'bogus.test', 'plain.test'];

function zoneOf(line: string): string | undefined {
  const owner = line.split(' ')[0]!;
  return ZONES.find((zone) => owner === `${zone}.` || owner.endsWith(`.${zone}.`));
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
