/** The whole relay with `tls.mode: acme`: from an empty data directory to certificates of Pebble, renewed under load. */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SECOND } from '../../src/system/clock.ts';
import { type AcmeProxy, startAcmeProxy } from '../support/acme-proxy.ts';
import { type DnsServer, startDnsServer } from '../support/dns-server.ts';
import { startMxServer } from '../support/mx-server.ts';
import { type Pebble, startPebble } from '../support/pebble.ts';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { freePort, run, until } from '../support/program.ts';
import { openClient } from '../support/relay.ts';
import { prepareRelay, type RelayProcess } from '../support/relay-process.ts';

const USER = 'app@sender.test';
const PASSWORD = 'correct horse battery staple';

describe.skipIf(!requirePeer('pebble', hasCommand('pebble', 'openssl')))('a relay with tls.mode acme', () => {
  let pebble: Pebble;
  let proxy: AcmeProxy;
  let dns: DnsServer;
  let mx: Awaited<ReturnType<typeof startMxServer>>;
  const relays: RelayProcess[] = [];
  beforeAll(async () => {
    pebble = await startPebble();
    mx = await startMxServer({ hostname: 'mx.dest.test' });
    dns = await startDnsServer({ zone: { 'dest.test': { MX: ['10 mx.dest.test'] }, 'mx.dest.test': { A: ['127.0.0.1'] } } });
  });
  afterAll(() => Promise.all([pebble.close(), mx.close(), dns.close()]));
  beforeEach(async () => {
    proxy = await startAcmeProxy(pebble);
  });
  afterEach(async () => {
    for (const relay of relays.splice(0)) await relay.close();
    await proxy.close();
  });

  async function prepare(acme: object = {}): Promise<RelayProcess & { readonly admin: string }> {
    const [adminPort, address] = [await freePort(), '127.0.0.1'];
    const relay = await prepareRelay({
      hostname: 'relay.test',
      dns: dns.server,
      deliveryPort: mx.port,
      settings: {
        listen: {
          http: [`${address}:${pebble.httpPort}`],
          alpn: [`${address}:${pebble.tlsPort}`],
          admin: [`${address}:${adminPort}`],
          console: [],
        },
        tls: {
          mode: 'acme',
          names: ['smtp.relay.test'],
          acme: { directory: proxy.directory, ca: proxy.ca, acceptTerms: true, ...acme },
        },
        submission: { maxSessionsPerAddress: 500 },
      },
    });
    relays.push(relay);
    return { ...relay, admin: `http://${address}:${adminPort}` };
  }
  const signed = (relay: RelayProcess) =>
    Promise.all(
      ['ecdsa', 'rsa'].map((kind) =>
        relay.event('certificate', ({ action, keyType }) => action === 'issued' && keyType === kind, 60 * SECOND),
      ),
    );
  const renewals = (relay: RelayProcess) => relay.events('certificate').filter(({ action }) => action === 'renewed').length;

  test.each(['http-01', 'tls-alpn-01'])(
    'goes from an empty data directory to certificates by itself (%s)',
    async (challenge) => {
      const relay = await prepare({ challenge });
      const held = proxy.hold(/POST \/finalize-order/);
      await relay.start();
      await held.reached;
      const early = await fetch(`${relay.admin}/readyz`);
      expect(early.status).toBe(503);
      expect(((await early.json()) as { reasons: string[] }).reasons).toContainEqual(expect.stringMatching(/self-signed/));
      held.release();
      await signed(relay);
      const opened = relay.events('started')[0]!['listen'] as { name: string }[];
      expect(opened.map(({ name }) => name)).toContain(challenge === 'http-01' ? 'http' : 'alpn');
      expect(opened.map(({ name }) => name)).not.toContain(challenge === 'http-01' ? 'alpn' : 'http');

      const root = join(relay.folder, 'root.pem');
      writeFileSync(root, await pebble.root());
      const verify = async (port: number, ...more: string[]) => {
        const args = [
          's_client',
          '-connect',
          `127.0.0.1:${port}`,
          '-CAfile',
          root,
          '-verify_return_error',
          '-noservername',
          ...more,
        ];
        return (await run('openssl', [...args, '-verify_hostname', 'smtp.relay.test'], { input: 'QUIT\r\n' })).stdout;
      };
      for (const [port, ...starttls] of [[relay.ports.submissions], [relay.ports.submission, '-starttls', 'smtp']] as const) {
        expect(await verify(port, ...starttls)).toMatch(/Verification: OK/);
        const old = await verify(port, ...starttls, '-tls1_2', '-cipher', 'ECDHE-RSA-AES256-GCM-SHA384');
        expect(old).toMatch(/Verification: OK[\s\S]*Server public key is 2048 bit/);
      }

      await until('readiness', async () => (await fetch(`${relay.admin}/readyz`)).status === 200);
      const metrics = await (await fetch(`${relay.admin}/metrics`)).text();
      expect(metrics).toMatch(/smarthost_certificate_renewal_failures\{keyType="rsa"\} 0/);
      const shown = JSON.parse(await relay.command(['cert', 'show', '--json'])) as Record<string, unknown>[];
      expect(shown.map(({ keyType }) => keyType)).toEqual(['ecdsa', 'rsa']);
      expect(shown[0]).toMatchObject({
        names: ['relay.test', 'smtp.relay.test'],
        issuer: expect.stringMatching(/Pebble/),
        lastError: null,
      });
      expect(relay.output()).not.toMatch(/PRIVATE/);
    },
    90_000,
  );

  test('cert renew beside the running relay renews at once', async () => {
    const relay = await prepare();
    await relay.start();
    await signed(relay);
    await relay.command(['cert', 'renew']);
    await until('both renewed', () => renewals(relay) === 2, { deadline: 30 * SECOND, context: relay.output });
  }, 90_000);

  test('after a crash in the middle of an order the next start continues it', async () => {
    const relay = await prepare();
    const held = proxy.hold(/POST \/finalize-order/);
    await relay.start();
    await held.reached;
    await relay.stop('SIGKILL');
    held.release();
    await relay.start();
    await signed(relay);
    expect(proxy.orders).toHaveLength(2);
  }, 90_000);

  test('renews under load without a failed session, and a hundred sessions in DATA do not notice', async () => {
    proxy.setLifetime(14 * SECOND);
    const relay = await prepare();
    await relay.addUser(USER, PASSWORD);
    await relay.start();
    await signed(relay);
    const errors: string[] = [];
    let stop = false;
    let accepted = 0;
    const load = Array.from({ length: 4 }, async (_, i) => {
      while (!stop) {
        const client = await openClient(i % 2 === 0 ? relay.ports.submissions : relay.ports.submission, { tls: i % 2 === 0 });
        if (i % 2 === 1) await client.startTls();
        const login = await client.login(USER, PASSWORD);
        if (!login.startsWith('235')) errors.push(login);
        for (let n = 0; n < 5; n++) {
          const reply = await client.message({ from: USER, text: `From: ${USER}\r\nSubject: ${n}\r\n\r\nText\r\n` });
          if (reply.startsWith('250')) accepted++;
          else errors.push(reply);
        }
        await client.command('QUIT');
        client.close();
      }
    });
    const sessions = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const client = await openClient(relay.ports.submissions, { tls: true });
        await client.login(USER, PASSWORD);
        for (const line of [`MAIL FROM:<${USER}>`, 'RCPT TO:<anna@dest.test>', 'DATA']) await client.command(line);
        client.send(`From: ${USER}\r\nSubject: through a swap\r\n\r\nThe first half\r\n`);
        return client;
      }),
    );
    const before = renewals(relay);
    await until('two swaps of both', () => renewals(relay) >= before + 4, { deadline: 60 * SECOND, context: relay.output });
    const replies = await Promise.all(
      sessions.map((client) => {
        client.send('The second half\r\n');
        return client.command('.');
      }),
    );
    expect(replies.filter((reply) => !reply.startsWith('250 '))).toEqual([]);
    stop = true;
    await Promise.all(load);
    for (const client of sessions) client.close();
    expect(errors).toEqual([]);
    expect(accepted).toBeGreaterThan(20);
    expect(relay.events('certificate').filter(({ action }) => action === 'failed')).toEqual([]);
  }, 120_000);

  test('a port in use ends the start with one clear sentence', async () => {
    const relay = await prepare();
    const squatter = createServer().listen(pebble.httpPort, '127.0.0.1');
    await expect(relay.start()).rejects.toThrow(
      `listen.http: 127.0.0.1:${pebble.httpPort} cannot be opened (another program uses it); tls.mode acme needs it for the challenge http-01`,
    );
    await new Promise((resolve) => squatter.close(resolve));
  }, 60_000);
});
