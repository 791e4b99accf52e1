import { type AddressInfo, connect as connectPlain, createServer } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAlpn01 } from '../../../src/certificates/alpn-01.ts';
import type { ChallengeListener } from '../../../src/certificates/http-01.ts';
import { createSelfSigned } from '../../../src/certificates/self-signed.ts';

const answers = new Map<string, string>();
let listener: ChallengeListener;
beforeAll(async () => {
  listener = await startAlpn01([{ address: '127.0.0.1', port: 0 }], { find: async (name) => answers.get(name) });
  answers.set('relay.test', JSON.stringify(await createSelfSigned('ecdsa', ['relay.test'], Date.now())));
});
afterAll(() => listener.close());
const port = () => listener.listening[0]!.port;

/** The certificate that a client sees; undefined if the connection was closed without one. */
function shown(options: ConnectionOptions): Promise<{ subject: string; protocol: string | false | null } | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ port: port(), host: '127.0.0.1', rejectUnauthorized: false, ...options }, () => {
      resolve({ subject: socket.getPeerX509Certificate()!.subject, protocol: socket.alpnProtocol });
      socket.destroy();
    });
    socket.on('error', () => resolve(undefined));
    socket.on('close', () => resolve(undefined));
  });
}

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'the authority is shown the challenge’s certificate over %s (RFC 8737 §3)',
  async (version) => {
    const options = { servername: 'relay.test', ALPNProtocols: ['acme-tls/1'], minVersion: version, maxVersion: version };
    expect(await shown(options)).toEqual({ subject: 'CN=relay.test', protocol: 'acme-tls/1' });
    expect(await shown({ ...options, servername: 'RELAY.test' })).toBeDefined();
  },
);

describe('a connection without a challenge gets no data', () => {
  test.each([
    ['without ALPN', { servername: 'relay.test' }],
    ['with another protocol', { servername: 'relay.test', ALPNProtocols: ['h2', 'http/1.1'] }],
    ['with another protocol beside it', { servername: 'relay.test', ALPNProtocols: ['acme-tls/1', 'h2'] }],
    ['without a name', { ALPNProtocols: ['acme-tls/1'] }],
    ['with a name that no challenge runs for', { servername: 'other.test', ALPNProtocols: ['acme-tls/1'] }],
  ] as const)('%s', async (_, options) => {
    expect(
      await shown({ ...options, ...('ALPNProtocols' in options ? { ALPNProtocols: [...options.ALPNProtocols] } : {}) }),
    ).toBeUndefined();
  });

  test('if no challenge is open any more', async () => {
    const kept = answers.get('relay.test')!;
    answers.delete('relay.test');
    expect(await shown({ servername: 'relay.test', ALPNProtocols: ['acme-tls/1'] })).toBeUndefined();
    answers.set('relay.test', kept);
  });

  test.each([['GET / HTTP/1.1\r\n\r\n'], [`\x16\x03\x01\x00\x2e${'\xff'.repeat(46)}`]])(
    'and no byte, whatever is sent (%j)',
    async (bytes) => {
      const got = await new Promise<string>((resolve) => {
        let text = '';
        const socket = connectPlain(port(), '127.0.0.1', () => socket.write(Buffer.from(bytes, 'latin1')));
        socket.on('data', (chunk) => {
          text += chunk.toString('latin1');
        });
        socket.on('error', () => {});
        socket.on('close', () => resolve(text));
      });
      expect(got).toBe('');
    },
  );
});

test('a ClientHello that comes byte by byte is understood', async () => {
  const { Duplex } = await import('node:stream');
  const socket = connectPlain(port(), '127.0.0.1');
  const slow = new Duplex({
    read() {},
    async write(chunk: Buffer, _, done) {
      for (const byte of chunk) {
        socket.write(Buffer.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
      done();
    },
  });
  socket.setNoDelay(true);
  socket.on('data', (chunk) => slow.push(chunk));
  socket.on('close', () => slow.push(null));
  socket.on('error', () => {});
  const protocol = await new Promise((resolve, reject) => {
    const options = { socket: slow, servername: 'relay.test', ALPNProtocols: ['acme-tls/1'], rejectUnauthorized: false };
    const client = connect(options, () => resolve(client.alpnProtocol));
    client.once('error', reject);
  });
  expect(protocol).toBe('acme-tls/1');
  socket.destroy();
});

test('names that no host has, and hellos that lie, leave it alive (T08)', async () => {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const server = createServer((socket) => socket.once('data', resolve).on('error', () => {}));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const name = 'a'.repeat(60);
  const options = {
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    servername: name,
    ALPNProtocols: ['acme-tls/1'],
  };
  const client = connect(options);
  client.on('error', () => {});
  const hello = await promise;
  client.destroy();
  server.close();
  const at = hello.indexOf(name);
  const names = [
    '\0'.repeat(60),
    '__proto__'.padEnd(60, '\0'),
    '127.0.0.1'.padEnd(60, '.'),
    '\xff'.repeat(60),
    `../${'x'.repeat(57)}`,
  ];
  const hellos = names.map((text) =>
    Buffer.concat([hello.subarray(0, at), Buffer.from(text, 'latin1'), hello.subarray(at + 60)]),
  );
  for (let i = 0; i < 200; i++) {
    const bytes = Buffer.from(hello);
    bytes[5 + ((i * 7919) % (bytes.length - 5))] = (i * 31) & 0xff;
    hellos.push(bytes);
  }
  for (const bytes of hellos) {
    await new Promise<void>((done) => {
      const socket = connectPlain(port(), '127.0.0.1', () => socket.end(bytes));
      socket.on('error', () => {});
      socket.on('close', () => done());
      socket.resume();
    });
  }
  expect(await shown({ servername: 'relay.test', ALPNProtocols: ['acme-tls/1'] })).toBeDefined();
});

test('a port that is taken is one clear sentence', async () => {
  await expect(startAlpn01([{ address: '127.0.0.1', port: port() }], { find: async () => undefined })).rejects.toThrow(
    /^listen\.alpn: 127\.0\.0\.1:\d+ cannot be opened \(another program uses it\); .*tls-alpn-01$/,
  );
});
