import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { portProblems } from '../../../src/net/open-port.ts';

async function takePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

test('every port that cannot be opened is named, with the reason', async () => {
  const [one, two] = [await takePort(), await takePort()];
  const closed = await portProblems([
    { name: 'submission', address: '127.0.0.1', port: one },
    { name: 'admin', address: '127.0.0.1', port: 0 },
    { name: 'http', address: '127.0.0.1', port: two, purpose: 'the challenge needs it' },
    { name: 'admin', address: '192.0.2.77', port: 4000 },
  ]);
  expect(closed.map(({ message }) => message)).toEqual([
    `listen.submission: 127.0.0.1:${one} cannot be opened (another program uses it)`,
    `listen.http: 127.0.0.1:${two} cannot be opened (another program uses it); the challenge needs it`,
    'listen.admin: 192.0.2.77:4000 cannot be opened (this machine has no such address)',
  ]);
  expect(closed.map(({ code }) => code)).toEqual(['EADDRINUSE', 'EADDRINUSE', 'EADDRNOTAVAIL']);
});

test('a port that was checked as free can be opened at once', async () => {
  const port = await takePort();
  expect(await portProblems([{ name: 'admin', address: '::1', port }])).toEqual([]);
  const server = createServer().listen(port, '::1');
  await once(server, 'listening');
  server.close();
});
