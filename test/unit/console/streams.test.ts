/** How many answers may come in pieces at a time. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { createStreams } from '../../../src/console/streams.ts';
import { startTestConsole } from '../../support/console.ts';

test('there are 32 streams at once, the next one is refused, and one that ends makes room', async () => {
  const streams = createStreams();
  const server = createServer(async (request, response) => {
    const owner = request.url!;
    const begin = async () => endless();
    const { signal } = new AbortController();
    await streams
      .send(response, 'text/event-stream', begin, { owner, account: undefined, signal, isAllowed: async () => true })
      .catch((error) => {
        response.writeHead(error.status).end();
      });
  });
  async function* endless() {
    yield 'data: 1\n\n';
    await new Promise((resolve) => ends.push(resolve));
  }
  const ends: ((value: unknown) => void)[] = [];
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const open = await Promise.all(Array.from({ length: 32 }, (_, i) => fetch(`${origin}/${i % 8}`)));
  expect(open.map(({ status }) => status)).toEqual(Array(32).fill(200));
  expect((await fetch(`${origin}/9`)).status).toBe(503);
  ends[0]!(undefined);
  await Promise.any(open.map((one) => one.text()));
  const next = await fetch(`${origin}/9`);
  expect(next.status).toBe(200);
  server.closeAllConnections();
  server.close();
});

test('a caller has eight streams, others are not kept out by it, and one that ends gives its place back', async () => {
  await using console = await startTestConsole();
  await console.people.session('admin', 'another browser');
  for (const id of ['1', '2']) await console.people.token(`token-${id}`, { scopes: ['messages:read'] });
  for (const [first, ...others] of [
    ['admin', { token: 'token-1' }, 'operator'],
    [{ token: 'token-1' }, { token: 'token-2' }, 'reader'],
  ] as const) {
    const open = () => console.open('/messages/live', first);
    const streams = await Promise.all(Array.from({ length: 8 }, open));
    expect(streams.map(({ status }) => status)).toEqual(Array(8).fill(200));
    const same = first === 'admin' ? { session: 'another browser' } : first;
    const refused = await console.ask('GET', '/messages/live', undefined, { as: same });
    expect([refused.status, refused.headers.get('retry-after'), refused.body.detail]).toEqual([
      ...[429, '10', 'You have 8 streams open already. Close one of them, or wait for its end.'],
    ]);
    for (const as of others) {
      const other = await console.open('/messages/live', as);
      expect(other.status).toBe(200);
      other.close();
    }
    streams[0]!.close(); // the connection is cut, as by a browser that dies
    await expect
      .poll(async () => {
        const next = await open();
        streams.push(next);
        return next.status;
      })
      .toBe(200);
    for (const { close } of streams) close();
    await expect.poll(async () => (await console.ask('HEAD', '/messages/live', undefined, { as: first })).status).toBe(200);
  }
});

test('an account has sixteen streams with all its tokens, so that others find room', async () => {
  await using console = await startTestConsole();
  for (const id of ['1', '2']) await console.people.token(`token-${id}`, { scopes: ['messages:read'] });
  const open = (token: string) => console.open('/messages/live', { token });
  const streams = await Promise.all(['token-1', 'token-2'].flatMap((token) => Array.from({ length: 8 }, () => open(token))));
  expect(new Set(streams.map(({ status }) => status))).toEqual(new Set([200]));
  const refused = await console.ask('GET', '/messages/live', undefined, { as: 'admin' });
  expect([refused.status, refused.body.detail]).toEqual([
    ...[429, 'Your account has 16 streams open already, with all its tokens. Close one of them, or wait for its end.'],
  ]);
  for (const as of ['operator', 'reader'] as const)
    expect((await console.ask('HEAD', '/messages/live', undefined, { as })).status).toBe(200);
  for (const { close } of streams) close();
  await expect.poll(async () => (await console.ask('HEAD', '/messages/live', undefined, { as: 'admin' })).status).toBe(200);
});
