import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createTransport, type TransportAnswer } from '../../../src/certificates/transport.ts';
import { makePair } from '../../support/pair.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Asks a server that behaves as it is told. */
async function ask(behave: RequestListener, signal = new AbortController().signal): Promise<TransportAnswer> {
  const server = createServer(behave).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const transport = createTransport({ signal, now: () => 0 });
  closers.push(() => {
    transport.close();
    server.closeAllConnections();
    server.close();
  });
  return transport.send({ method: 'get', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/dir` });
}

test('returns status, body and Retry-After unchanged; a redirect is not followed', async () => {
  const answer = await ask((_, response) => {
    response.writeHead(302, { location: 'http://127.0.0.1:9/', 'retry-after': '3' });
    response.end('elsewhere');
  });
  expect(answer).toMatchObject({ status: 302, body: 'elsewhere', retryAfter: 3000 });
});

test('by HTTPS an authority is verified: one that only `ca` vouches for is refused without it', async () => {
  const { key, cert } = await makePair();
  const server = createTlsServer({ key, cert }, (_, response) => response.end('directory')).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  closers.push(() => server.close());
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/dir`;
  const ask = (ca: string | undefined) => {
    const transport = createTransport({ ca, signal: new AbortController().signal, now: () => 0 });
    closers.push(transport.close);
    return transport.send({ method: 'get', url });
  };
  expect((await ask(cert)).body).toBe('directory');
  await expect(ask(undefined)).rejects.toThrow(/SELF_SIGNED_CERT.*tls\.acme\.ca/);
});

test('names the program in the request', async () => {
  const answer = await ask((request, response) => response.end(request.headers['user-agent']));
  expect(answer.body).toMatch(/^smarthost\/\d+\.\d+/);
});

test('an answer without end is cut off', async () => {
  const endless: RequestListener = (_, response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536)));
    };
    response.on('drain', more);
    more();
  };
  await expect(ask(endless)).rejects.toThrow(/cannot be reached \(more than 1048576 bytes\)/);
});

test('a truncated answer is a failure', async () => {
  const cut: RequestListener = (_, response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('half', () => response.destroy());
  };
  await expect(ask(cut)).rejects.toMatchObject({
    name: 'AcmeError',
    status: 0,
    message: expect.stringMatching(/cannot be reached/),
  });
});

test('a stop ends the running request', async () => {
  const stop = new AbortController();
  const asked = ask(() => stop.abort(), stop.signal);
  await expect(asked).rejects.toThrow('stopped');
});
