import { EventEmitter } from 'node:events';
import type { Server } from 'node:net';
import { expect, test } from 'vitest';
import { openPort } from '../../../src/net/open-port.ts';

/** A server that cannot listen, for reasons that a test's machine cannot be brought to. */
const failing = (code: string) => {
  const server = Object.assign(new EventEmitter(), {
    listen: () => void setImmediate(() => server.emit('error', Object.assign(new Error(code), { code }))),
  });
  return server as unknown as Server;
};

test.each([
  ['EACCES', '::', /^listen\.http: \[::\]:80 cannot be opened \(this user may not open it, EACCES\)$/],
  ['EADDRINUSE', '127.0.0.1', /^listen\.http: 127\.0\.0\.1:80 cannot be opened \(another program uses it\)/],
  ['EADDRNOTAVAIL', '192.0.2.1', /\(this machine has no such address\)/],
  ['EOTHER', '127.0.0.1', /\(EOTHER\)/],
])('%s on %s is one clear sentence', async (code, address, expected) => {
  await expect(openPort(failing(code), { name: 'http', address, port: 80 })).rejects.toThrow(expected);
});

test('without IPv6, all addresses means all IPv4 addresses', async () => {
  const asked: unknown[] = [];
  const server = Object.assign(new EventEmitter(), {
    listen({ host }: { host: string }, done: () => void) {
      asked.push(host);
      const error = Object.assign(new Error('no IPv6'), { code: 'EAFNOSUPPORT' });
      setImmediate(host === '::' ? () => server.emit('error', error) : done);
    },
    address: () => ({ address: '0.0.0.0', port: 80 }),
  });
  const opened = await openPort(server as unknown as Server, { name: 'http', address: '::', port: 80 });
  expect(opened).toEqual({ name: 'http', address: '0.0.0.0', port: 80 });
  expect(asked).toEqual(['::', '0.0.0.0']);
});
