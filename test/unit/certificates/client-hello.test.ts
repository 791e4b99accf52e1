import { connect as connectPlain, createServer } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readClientHello } from '../../../src/certificates/client-hello.ts';
import { sized } from '../../support/size.ts';

/** What a real client sends first. */
async function helloOf(options: ConnectionOptions): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const server = createServer((socket) => {
    socket.once('data', (chunk) => {
      resolve(chunk);
      socket.destroy();
    });
    socket.on('error', () => {});
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  const client = connect({ socket: connectPlain(port, '127.0.0.1'), ...options });
  client.on('error', () => {});
  const bytes = await promise;
  client.destroy();
  await new Promise((done) => server.close(done));
  return bytes;
}

test('reads server name and protocols of a real client', async () => {
  const bytes = await helloOf({ servername: 'Relay.Test', ALPNProtocols: ['acme-tls/1', 'h2'] });
  expect(readClientHello(bytes)).toEqual({ serverName: 'relay.test', protocols: ['acme-tls/1', 'h2'] });
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)('reads a %s client that names neither', async (version) => {
  const bytes = await helloOf({ minVersion: version, maxVersion: version });
  expect(readClientHello(bytes)).toEqual({ serverName: undefined, protocols: [] });
});

test('waits for the rest at every cut', async () => {
  const bytes = await helloOf({ servername: 'relay.test', ALPNProtocols: ['acme-tls/1'] });
  for (let cut = 0; cut < bytes.length; cut++) expect(readClientHello(bytes.subarray(0, cut))).toBe('more');
});

test.each([
  ['HTTP', 'GET / HTTP/1.1\r\nHost: relay.test\r\n\r\n'],
  ['SMTP', 'EHLO client.test\r\n'],
  ['an SSL 2 hello', '\x80\x2e\x01\x00\x02'],
  ['a record too large', '\x16\x03\x01\xff\xff\x01'],
  ['a record too small', '\x16\x03\x01\x00\x04\x01\x00\x00\x00'],
])('%s is no ClientHello', (_, text) => {
  expect(readClientHello(Buffer.from(text, 'latin1'))).toBeUndefined();
});

test('wrong length fields never lead to a read beyond the end', async () => {
  const real = await helloOf({ servername: 'relay.test', ALPNProtocols: ['acme-tls/1'] });
  const edits = fc.array(fc.tuple(fc.nat(real.length - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(edits, (changes) => {
      const bytes = Buffer.from(real);
      for (const [at, value] of changes) bytes[at] = value;
      readClientHello(bytes);
    }),
    { numRuns: sized(2000, 200) },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => void readClientHello(Buffer.from([22, 3, 1, ...bytes]))));
});
