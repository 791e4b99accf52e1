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
    await streams
      .send(response, 'text/event-stream', begin, { owner, signal: new AbortController().signal, isAllowed: async () => true })
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
  for (const id of ['1', '2']) await console.people.token(`token-${id}`, { id, name: 'ci', scopes: ['messages:read'] });
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
