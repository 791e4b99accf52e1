/** Two relays on one database, and one certificate: either machine may be the one that the authority asks, and both serve what it signs. */
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { SECOND } from '../../src/system/clock.ts';
import { startAcmeProxy } from '../support/acme-proxy.ts';
import { startDnsServer } from '../support/dns-server.ts';
import { type Pebble, startPebble } from '../support/pebble.ts';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { hasPostgres, newDatabase, PostgresServer } from '../support/postgres.ts';
import { freePort, until } from '../support/program.ts';
import { prepareRelay, type RelayProcess } from '../support/relay-process.ts';

const here = '127.0.0.1';

describe.skipIf(!requirePeer('pebble', hasCommand('pebble', 'openssl')) || !requirePeer('postgresql', hasPostgres))(
  'two relays with tls.mode acme on one database',
  () => {
    let pebble: Pebble;
    let server: PostgresServer;
    beforeAll(async () => {
      [pebble, server] = await Promise.all([startPebble(), PostgresServer.create()]);
    });
    afterAll(() => Promise.all([pebble?.close(), server?.remove()]));

    /** By its serial number. */
    const served = ({ ports }: RelayProcess, algorithm: string) =>
      new Promise<string>((resolve, reject) => {
        const socket = connect({
          ...{ host: here, port: ports.submissions, servername: 'relay.test', rejectUnauthorized: false },
          ...{ maxVersion: 'TLSv1.2' as const, ciphers: `ECDHE-${algorithm}-AES256-GCM-SHA384` },
        });
        socket.on('error', reject).on('secureConnect', () => {
          const { serialNumber, issuer } = socket.getPeerCertificate();
          socket.destroy();
          resolve(issuer.CN?.includes('Pebble') ? serialNumber : 'self-signed');
        });
      });

    test('the authority asks one for the challenge of the other, and both serve the certificate', async () => {
      const [proxy, dns, database] = await Promise.all([
        startAcmeProxy(pebble),
        startDnsServer({ zone: {} }),
        newDatabase(server),
      ]);
      onTestFinished(async () => void (await Promise.all([proxy.close(), dns.close()])));
      const prepare = async (node: string, port: number) => {
        const relay = await prepareRelay({
          ...{ hostname: 'relay.test', dns: dns.server, deliveryPort: 1 },
          settings: {
            listen: { http: [`${here}:${port}`], admin: [], console: [] },
            tls: { mode: 'acme', acme: { directory: proxy.directory, ca: proxy.ca, acceptTerms: true, challenge: 'http-01' } },
            store: { postgres: [`${here}:${server.port}`], database, user: 'postgres', tls: 'none', durability: 'one', node },
          },
        });
        onTestFinished(() => relay.close());
        return relay;
      };
      // The first one has the lease, and no port where the authority asks.
      const [first, second] = await Promise.all([prepare('first', await freePort()), prepare('second', pebble.httpPort)]);
      const held = proxy.hold(/POST \/order-plz/);
      await first.start();
      await held.reached;
      await second.start();
      held.release();
      for (const [kind, algorithm] of [
        ['ecdsa', 'ECDSA'],
        ['rsa', 'RSA'],
      ] as const) {
        await first.event('certificate', ({ action, keyType }) => action === 'issued' && keyType === kind, 60 * SECOND);
        // It is in use a moment after it was logged.
        const own = await until('the first serves it', async () => {
          const serial = await served(first, algorithm);
          return serial === 'self-signed' ? undefined : serial;
        });
        await until('the other serves it', async () => (await served(second, algorithm)) === own);
      }
      expect(second.events('certificate').filter(({ action }) => action === 'issued')).toEqual([]);
    }, 120_000);
  },
);
