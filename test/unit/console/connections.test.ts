/** What a connection to the console may do, and for how long. The times are those of the console itself: nothing here makes them shorter. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { watchConnections } from '../../../src/console/connections.ts';
import { startTestConsole } from '../../support/console.ts';
import { until } from '../../support/program.ts';

afterEach(() => void vi.useRealTimers());

const SECOND = 1000;
/** Longer than each of the times, whatever else the machine does. */
const PATIENT = { timeout: 120 * SECOND };
const HEAD = 'GET /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\n';

type TestConsole = Awaited<ReturnType<typeof startTestConsole>>;
const portOf = ({ origin }: TestConsole) => Number(new URL(origin).port);
const cookieOf = (console: TestConsole) => `Cookie: smarthost-${portOf(console)}=session of admin\r\n`;

async function dial(port: number, text = ''): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  await once(socket, 'connect');
  if (text !== '') socket.write(text);
  return socket;
}

/** What comes until the connection ends. */
async function rest(socket: Socket): Promise<string> {
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  if (!socket.destroyed) await once(socket, 'close');
  return Buffer.concat(pieces).toString('latin1');
}

describe.concurrent('a connection', () => {
  test.each([
    ['says nothing', ''],
    ['begins a head and does not end it', HEAD],
  ])('that %s is closed after ten seconds', PATIENT, async (_, text) => {
    await using console = await startTestConsole();
    const began = performance.now();
    const socket = await dial(portOf(console), text);
    const answer = await rest(socket);
    expect(performance.now() - began).toBeGreaterThan(9.9 * SECOND);
    if (text !== '') expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  });

  test.each([
    [
      'whose body does not come',
      (console: TestConsole) =>
        `POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Site: same-origin\r\n${cookieOf(console)}Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{`,
    ],
    ['that is kept and not used', (console: TestConsole) => `${HEAD}${cookieOf(console)}\r\n`],
  ])('%s is closed after 30 seconds', PATIENT, async (_, text) => {
    await using console = await startTestConsole();
    const began = performance.now();
    await rest(await dial(portOf(console), text(console)));
    expect(performance.now() - began).toBeGreaterThan(29.9 * SECOND);
  });
});

/** A server whose connections are watched, with an answer of our own. `theirs`: the server's ends, in their order. */
async function watchedServer(standstill: number, answer: (response: ServerResponse) => void) {
  const server = createServer();
  const connections = watchConnections(server, standstill);
  const theirs: Socket[] = [];
  server
    .on('connection', (socket) => theirs.push(socket))
    .on('request', (_, response) => {
      connections.begin(response);
      answer(response);
    });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { theirs, dial: (text: string) => dial((server.address() as AddressInfo).port, text) };
}

const ASKED = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n';

test('a connection whose answer nobody takes is closed, one whose answer is still being made is not', async () => {
  let late: ServerResponse | undefined;
  const { theirs, dial } = await watchedServer(200, (response) => {
    if (late === undefined) late = response;
    else response.end(Buffer.alloc(64 * 2 ** 20));
  });
  const waiting = await dial(ASKED);
  await until('the first request has come', () => late);
  const deaf = await dial(ASKED);
  deaf.pause();
  await until('the second connection is closed', () => theirs[1]?.destroyed);
  expect(theirs[0]?.destroyed).toBe(false);
  late!.end('late');
  expect(await rest(waiting)).toMatch(/late$/);
  deaf.destroy();
});

test('200 connections whose requests are under way are all that there are; the next one is closed', async () => {
  const asked: ServerResponse[] = [];
  const { dial } = await watchedServer(120 * SECOND, (response) => void asked.push(response));
  const sockets: Socket[] = [];
  for (let i = 0; i < 200; i++) sockets.push(await dial(ASKED));
  await until('all are under way', () => asked.length === 200);
  expect(await rest(await dial(ASKED))).toBe('');
  const answers = sockets.map(rest);
  for (const response of asked) response.end('done');
  for (const answer of await Promise.all(answers)) expect(answer).toMatch(/done$/);
});

test('a stream whose reader takes nothing is dropped after 30 seconds', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { createStreams } = await import('../../../src/console/streams.ts');
  const written: string[] = [];
  const listeners = new Map<string, () => void>();
  const response = {
    req: { method: 'GET' },
    writeHead: () => {},
    flushHeaders: () => {},
    write: (piece: string) => written.push(piece) < 2,
    once: (name: string, listener: () => void) => listeners.set(name, listener) && response,
    off: (name: string) => listeners.delete(name) && response,
    destroy: () => listeners.get('close')?.(),
    end: () => written.push('end'),
  };
  async function* pieces() {
    for (let i = 0; i < 2; i++) yield `piece ${i}`;
  }
  const sent = createStreams().send(response as never, 'text/csv', async () => pieces(), {
    owner: 'anna',
    signal: new AbortController().signal,
    account: undefined,
    isAllowed: async () => true,
  });
  await vi.advanceTimersByTimeAsync(29_999);
  expect([written.length, listeners.size]).toEqual([2, 2]);
  await vi.advanceTimersByTimeAsync(1);
  await sent;
  expect(listeners.size).toBe(0);
});

test('connections on which nothing is asked keep nobody out: of 200 the oldest makes room', async () => {
  await using console = await startTestConsole();
  const stalled: Socket[] = [];
  for (let i = 0; i < 200; i++) stalled.push(await dial(portOf(console), i % 2 === 0 ? '' : HEAD));
  const ended = once(stalled[0]!, 'close');
  expect((await console.ask('GET', '/session')).status).toBe(200);
  await ended;
  expect(stalled.slice(2).filter(({ destroyed }) => destroyed)).toEqual([]);
  for (const socket of stalled) socket.destroy();
});
