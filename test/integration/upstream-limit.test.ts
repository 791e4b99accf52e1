/** `maxConnections` of a route: an upstream never sees more connections of its account, whatever threads and relays there are. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { MxServer } from '../support/mx-server.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, PostgresServer } from '../support/postgres.ts';
import { startSharingRelays } from '../support/postgres-relays.ts';
import { until } from '../support/program.ts';
import { openClient, startTestRelay, USER } from '../support/relay.ts';
import { SessionCount } from '../support/session-count.ts';
import { sized } from '../support/size.ts';

const TEXT = `From: ${USER}\r\nSubject: Hello\r\n\r\nHow are you?\r\n`;
const COUNT = sized(160, 80);
const CLIENTS = 8;

/** `COUNT` messages by several clients at once. */
async function sendMany(ports: readonly number[], domain: string): Promise<void> {
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, i) => {
      const client = await openClient(ports[i % ports.length]!, { tls: true });
      expect(await client.login()).toMatch(/^235/);
      for (let n = 0; n < COUNT / CLIENTS; n++)
        expect(await client.message({ text: TEXT, to: [`a${i}-${n}@${domain}`] })).toMatch(/^250/);
      client.close();
    }),
  );
}

test('an upstream gets no more connections than its route allows from the threads of a relay', async () => {
  const sessions = new SessionCount();
  const relay = await startTestRelay({
    yaml: `threads: 4
limits: { messages: [], recipients: [], newRecipients: [] }
routes: [{ hosts: ['127.0.0.1:MX_PORT'], tls: none, maxConnections: 3 }]`,
    mx: { script: sessions.script() },
  });
  onTestFinished(() => relay.close());
  await sendMany([relay.ports.submissions], 'dest.test');
  await relay.mx.received(COUNT, 60_000);
  expect(sessions.most).toBe(3);
});

describe.skipIf(!requirePeer('postgresql', hasPostgres))('of relays that share a database', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.create();
  });
  afterAll(() => server?.remove());

  const limitedTo = (maxConnections: number) => (mx: MxServer) => ({
    routes: [{ hosts: [`${mx.address}:${mx.port}`], tls: 'none', maxConnections }],
    limits: { messages: [], recipients: [], newRecipients: [] },
  });

  test('an upstream gets no more than its route allows from all together, each has its turns, and all mail arrives', async () => {
    const sessions = new SessionCount();
    const { relays, sources, mx } = await startSharingRelays(server, { script: sessions.script(), settings: limitedTo(3) });
    await sendMany(
      relays.map(({ ports }) => ports.submissions),
      'dest.test',
    );
    const messages = await mx.received(COUNT, 100_000);
    expect(sessions.most).toBe(3);
    for (const source of sources) expect(messages.some(({ remoteAddress }) => remoteAddress === source)).toBe(true);
  });

  test('what a relay had is free when it is dead, and not before', async () => {
    let isHeld = false;
    const { relays, sources, mx, send, database } = await startSharingRelays(server, {
      settings: limitedTo(1),
      script: {
        async message({ remote }) {
          if (remote !== sources[0]) return undefined;
          isHeld = true;
          return new Promise(() => {});
        },
      },
    });
    await send(relays[0]!, TEXT, ['first@dest.test']);
    await until('the first relay has the connection', () => isHeld);
    await send(relays[1]!, TEXT, ['second@dest.test']);
    const waits = async () => {
      const rows = await server.sql('SELECT held, waiting FROM smarthost.slots ORDER BY held', database);
      return JSON.stringify(rows) === '[{"held":0,"waiting":1},{"held":1,"waiting":0}]';
    };
    await until('the second one waits', waits);
    await relays[0]!.stop('SIGKILL');
    expect(await waits()).toBe(true);
    expect(mx.count()).toBe(0);
    // As if it had been silent for a minute.
    await server.sql(`UPDATE smarthost.nodes SET seen_at = seen_at - interval '1 min' WHERE name = 'relay0'`, database);
    const [message] = await mx.received(1);
    expect(message!.recipients[0]!.address).toBe('second@dest.test');
  });
});
