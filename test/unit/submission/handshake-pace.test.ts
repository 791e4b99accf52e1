import { describe, expect, test } from 'vitest';
import { createHandshakePace } from '../../../src/submission/handshake-pace.ts';
import { codeOf, RawClient } from '../../support/raw-client.ts';
import { startRig } from '../../support/submission-rig.ts';

const STRANGERS = { has: () => false };

/** Waits in milliseconds of so many handshakes at once. */
const burst = (pace: { next(key: string): number | undefined }, key: string, count: number) =>
  Array.from({ length: count }, () => pace.next(key));

describe('the pace of handshakes', () => {
  test('five seconds of the rate at once, then one after the other, then none', () => {
    const pace = createHandshakePace(2, () => 0, STRANGERS);
    expect(burst(pace, 'a', 10)).toEqual(Array(10).fill(0));
    expect(burst(pace, 'a', 10)).toEqual([500, 1000, 1500, 2000, 2500, 3000, 3500, 4000, 4500, 5000]);
    expect(pace.next('a')).toBeUndefined();
    expect(pace.next('b')).toBe(0);
  });

  test('time forgives', () => {
    let time = 0;
    const pace = createHandshakePace(2, () => time, STRANGERS);
    burst(pace, 'a', 20);
    time += 1000;
    expect(burst(pace, 'a', 3)).toEqual([4500, 5000, undefined]);
    time += 60_000;
    expect(burst(pace, 'a', 11)).toEqual([...Array(10).fill(0), 500]);
  });

  test('a handshake that leads to a login does not count, however many there are', () => {
    const pace = createHandshakePace(2, () => 0, STRANGERS);
    for (let i = 0; i < 1000; i++) {
      expect(pace.next('a')).toBe(0);
      pace.repay('a');
    }
  });

  test('a client that has logged in before waits, and is never refused', () => {
    const pace = createHandshakePace(2, () => 0, { has: (key) => key === 'a' });
    expect(burst(pace, 'a', 30).at(-1)).toBe(10_000);
  });

  test('another rate holds at once', () => {
    const pace = createHandshakePace(2, () => 0, STRANGERS);
    burst(pace, 'a', 20);
    pace.reload(20);
    expect(pace.next('a')).toBe(0);
  });
});

describe.each(['submissions', 'submission'] as const)('on %s', (name) => {
  const secured = async (port: number) => {
    const client = RawClient.clear(port);
    if (name === 'submission') {
      await client.reply();
      await client.startTls();
    } else {
      await client.upgrade();
      await client.reply();
    }
    return client;
  };

  test('handshakes without a login wait, and end where too many wait; others come in', async () => {
    const rig = await startRig({ limits: { handshakesPerAddress: 1 }, monotonic: () => 0 });
    const port = rig.port(name);
    for (let i = 0; i < 5; i++) (await secured(port)).close();
    const began = performance.now();
    const waiting = Array.from({ length: 6 }, () => secured(port));
    const codes = await Promise.all(
      waiting.map((one) =>
        one.then(
          (client) => client.close(),
          () => 'refused',
        ),
      ),
    );
    expect(codes.filter((code) => code === 'refused')).toHaveLength(1);
    expect(performance.now() - began).toBeGreaterThan(4900); // the last one waited for its turn
    expect(rig.events('refused')).toMatchObject([{ reply: '421 4.7.0 Too many TLS handshakes without a login' }]);
    const other = RawClient.clear(rig.port('submission'), '127.0.0.2');
    expect(codeOf(await other.reply())).toBe('220');
    await other.startTls();
    await rig.close();
  });

  test('a client with a connection for each message is not slowed', async () => {
    const rig = await startRig({ limits: { handshakesPerAddress: 1 }, monotonic: () => 0 });
    for (let i = 0; i < 20; i++) (await rig.loggedIn(name)).close();
    expect(rig.events('authenticated')).toHaveLength(20);
    await rig.close();
  });

  test('a client that leaves while it waits for its turn gives up its place', async () => {
    const rig = await startRig({ limits: { handshakesPerAddress: 1, maxSessionsPerAddress: 1 }, monotonic: () => 0 });
    const port = rig.port(name);
    for (let i = 0; i < 5; i++) (await secured(port)).close();
    const waiting = RawClient.clear(port);
    if (name === 'submission') {
      await waiting.reply();
      waiting.send('STARTTLS\r\n');
    }
    waiting.close();
    const next = RawClient.clear(rig.port('submission'));
    expect(codeOf(await next.reply())).toBe('220');
    await rig.close();
  });
});
