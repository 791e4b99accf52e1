import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startAdmin } from '../../../src/admin/admin.ts';

async function start() {
  const admin = await startAdmin({
    listen: [{ address: '127.0.0.1', port: 0 }],
    names: ['relay.example.net'],
    metrics: async () => ({ body: 'm 1\n', contentType: 'text/plain' }),
    unready: async () => [],
  });
  onTestFinished(() => admin.close());
  return admin.listening[0]!.port;
}

/** @param host as it stands in the request. */
async function statusFor(port: number, host: string): Promise<number | undefined> {
  const asking = request({ host: '127.0.0.1', port, path: '/metrics', agent: false, headers: { host } });
  asking.end();
  const [response] = await once(asking, 'response');
  response.resume();
  return response.statusCode;
}

describe('the page only answers requests for the names of the relay', () => {
  test.each([
    ['localhost:8025', 200],
    ['127.0.0.1:8025', 200],
    ['[::1]:8025', 200],
    ['192.0.2.7', 200],
    ['smarthost:8025', 200],
    ['Relay.Example.Net.:8025', 200],
    ['x.localhost', 200],
    ['evil.example.org', 421],
    ['evil.example.org:8025', 421],
    ['relay.example.net.evil.example.org', 421],
    ['127.0.0.1.evil.example.org', 421],
    ['[evil.example.org]', 421],
  ])('%s: %i', async (host, status) => {
    expect(await statusFor(await start(), host)).toBe(status);
  });
});

test('more connections than the limit are not accepted until others close', async () => {
  const port = await start();
  const sockets: Socket[] = [];
  onTestFinished(() => sockets.forEach((socket) => void socket.destroy()));
  for (let i = 0; i < 64; i++) {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    await once(socket, 'connect');
  }
  await expect(statusFor(port, 'localhost')).rejects.toThrow();
  for (const socket of sockets.splice(0, 8)) socket.destroy();
  await expect.poll(() => statusFor(port, 'localhost').catch(() => 0)).toBe(200);
});
