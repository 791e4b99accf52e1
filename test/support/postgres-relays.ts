/** Several relays on one PostgreSQL database, each a process of its own with its own source address, and a destination for all of them. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type DnsServer, startDnsServer } from './dns-server.ts';
import { type MxServer, type MxServerOptions, startMxServer } from './mx-server.ts';
import { newDatabase, OWNER, OWNER_PASSWORD, type PostgresServer } from './postgres.ts';
import { loopbackAddress, temporaryFolder } from './program.ts';
import { openClient, PASSWORD, USER } from './relay.ts';
import { prepareRelay, type RelayOptions, type RelayProcess } from './relay-process.ts';

export type SharingRelays = {
  readonly relays: readonly RelayProcess[];
  /** The address from which each relay connects to hosts. */
  readonly sources: readonly string[];
  readonly mx: MxServer;
  readonly dns: DnsServer;
  readonly database: string;
  /** The last reply to one message, by a connection of its own. */
  send(relay: RelayProcess, text: string, to?: readonly string[]): Promise<string>;
};

type Settings = NonNullable<RelayOptions['settings']>;
type Sharing = {
  /** Relays to start. Default: 2. */
  readonly count?: number;
  readonly script?: MxServerOptions['script'];
  readonly settings?: Settings | ((mx: MxServer) => Settings);
  /** What stands in `store` besides the place of the database. */
  readonly store?: Readonly<Record<string, unknown>>;
  /** All servers of the cluster. Default: the one with the database. */
  readonly servers?: readonly Pick<PostgresServer, 'port'>[];
};

/** They run when this resolves, and end with the test. */
export async function startSharingRelays(
  server: Pick<PostgresServer, 'sql' | 'port'>,
  options: Sharing = {},
): Promise<SharingRelays> {
  const { count = 2, script = {}, settings: given = {}, servers = [server] } = options;
  const database = await newDatabase(server, OWNER);
  const folder = temporaryFolder('sharing');
  onTestFinished(() => folder.remove());
  const passwordFile = join(folder.path, 'password');
  writeFileSync(passwordFile, `${OWNER_PASSWORD}\n`);
  chmodSync(passwordFile, 0o600);
  const mx = await startMxServer({ hostname: 'mx.dest.test', address: loopbackAddress(), script });
  const settings = typeof given === 'function' ? given(mx) : given;
  const dns = await startDnsServer({
    zone: {
      'dest.test': { MX: ['10 mx.dest.test'] },
      'sender.test': { MX: ['10 mx.dest.test'] },
      'mx.dest.test': { A: [mx.address] },
      // hosts of their own, so that none waits for the sessions of another
      ...Object.fromEntries(
        [0, 1, 2].flatMap((i) => [
          [`${i}.dest.test`, { MX: [`10 mx${i}.dest.test`] }],
          [`mx${i}.dest.test`, { A: [mx.address] }],
        ]),
      ),
    },
  });
  onTestFinished(async () => void (await Promise.all([mx.close(), dns.close()])));
  const sources = Array.from({ length: count }, () => loopbackAddress());
  const store = {
    postgres: servers.map(({ port }) => `127.0.0.1:${port}`),
    database,
    passwordFile,
    tls: 'none',
    durability: 'one',
  };
  const relays = await Promise.all(
    sources.map((source, i) =>
      prepareRelay({
        ...{ dns: dns.server, deliveryPort: mx.port },
        settings: {
          ...{ signing: { noKey: 'send' }, ...settings },
          delivery: { source: [source], ...(settings['delivery'] as object | undefined) },
          store: { ...store, node: `relay${i}`, ...options.store },
        },
      }),
    ),
  );
  for (const relay of relays) onTestFinished(() => relay.close());
  await relays[0]!.addUser(USER, PASSWORD, '--sender', '@sender.test');
  await Promise.all(relays.map((relay) => relay.start()));
  return {
    ...{ relays, sources, mx, dns, database },
    async send({ ports }, text, to) {
      const client = await openClient(ports.submissions, { tls: true });
      try {
        const welcome = await client.login();
        if (!welcome.startsWith('235')) return welcome;
        return await client.message({ text, ...(to === undefined ? {} : { to }) });
      } finally {
        client.close();
      }
    },
  };
}
