/** The deadlines of a connection: one after the other, longer and shorter ones, each from its own beginning. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { Connection } from '../../../src/delivery/connection.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
});

/** A host whose replies the test sends. */
async function connect(timeouts: Readonly<Record<string, number>>) {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const { port } = server.address() as { port: number };
  const limits = new Proxy(timeouts, { get: (given, stage: string) => given[stage] ?? 600_000 });
  const connection = await Connection.open({ ip: '127.0.0.1', port }, limits as Parameters<typeof Connection.open>[1]);
  if (!(connection instanceof Connection)) throw new Error('no connection');
  const [host] = (await accepted) as [Socket];
  host.resume();
  onTestFinished(() => {
    connection.destroy();
    host.destroy();
    server.close();
  });
  return { connection, host };
}

const timedOut = (stage: string, limit: number) => ({
  replies: [],
  failure: { kind: 'timeout', stage, detail: `nothing within ${limit / 1000} s` },
});

const MAIL = 'MAIL FROM:<>\r\n';
const RCPT = 'RCPT TO:<a@b>\r\n';

test('a short deadline holds after a long one that was met', async () => {
  const { connection, host } = await connect({ MAIL: 60_000, RCPT: 2_000 });
  const first = connection.exchange(MAIL, ['MAIL']);
  host.write('250 2.1.0 Ok\r\n');
  expect(await first).toMatchObject({ replies: [{ code: 250 }] });
  const second = connection.exchange(RCPT, ['RCPT']);
  vi.advanceTimersByTime(1_990);
  expect(connection.failure).toBeUndefined();
  vi.advanceTimersByTime(20);
  expect(await second).toEqual(timedOut('RCPT', 2_000));
});

test('a long deadline is not cut short by a short one that was met, and holds', async () => {
  const { connection, host } = await connect({ MAIL: 2_000, RCPT: 60_000 });
  const first = connection.exchange(MAIL, ['MAIL']);
  host.write('250 2.1.0 Ok\r\n');
  expect(await first).toMatchObject({ replies: [{ code: 250 }] });
  vi.advanceTimersByTime(1_000);
  const second = connection.exchange(RCPT, ['RCPT']);
  vi.advanceTimersByTime(59_990);
  expect(connection.failure).toBeUndefined();
  vi.advanceTimersByTime(20);
  expect(await second).toEqual(timedOut('RCPT', 60_000));
});

test('a connection that waits for nothing has no deadline, and the next reply has all of its time', async () => {
  const { connection, host } = await connect({ MAIL: 2_000 });
  for (let i = 0; i < 3; i++) {
    const exchange = connection.exchange(MAIL, ['MAIL']);
    vi.advanceTimersByTime(1_990);
    host.write('250 2.1.0 Ok\r\n');
    expect(await exchange).toMatchObject({ replies: [{ code: 250 }] });
    vi.advanceTimersByTime(100_000);
    expect(connection.failure).toBeUndefined();
  }
});

test('a connection that has ended leaves no timer, which would keep the process alive', async () => {
  const { connection } = await connect({ MAIL: 500_000 });
  const waiting = connection.exchange(MAIL, ['MAIL']);
  expect(vi.getTimerCount()).toBe(1);
  connection.destroy();
  await waiting;
  expect(vi.getTimerCount()).toBe(0);
});
