/** The relay stops during deliveries: no mail is lost, and none is sent twice without need. */
import { expect, test } from 'vitest';
import { MINUTE } from '../../src/system/clock.ts';
import { startScripted } from '../support/delivery-rig.ts';
import type { MxScript, MxStage } from '../support/mx-server.ts';

/** An answer about the host, or its domain, that proves nothing. */
const FOUND = { kind: 'found', name: 'mx0.good.test', secure: false, ttl: 1000 } as const;

/** Resolves when the host has come to a stage, and lets it answer later. */
function stopAt(stage: MxStage) {
  let arrived!: () => void;
  let release!: () => void;
  const reached = new Promise<void>((resolve) => (arrived = resolve));
  const released = new Promise<undefined>((resolve) => (release = () => resolve(undefined)));
  const script: MxScript = {
    [stage]: () => {
      arrived();
      return released;
    },
  };
  return { script, reached, release };
}

test.each(['greeting', 'EHLO', 'MAIL', 'RCPT', 'DATA'] as const)(
  'an attempt at the stage %s is given back at once',
  async (stage) => {
    const { script, reached, release } = stopAt(stage);
    const { relay, mx } = await startScripted(script, { host: { extensions: [] } });
    const stop = new AbortController();
    const sending = relay.send(['a@good.test', 'b@good.test'], { signal: stop.signal });
    await reached;
    stop.abort('closing');
    expect(await sending).toMatchObject([{ kind: 'returned' }, { kind: 'returned' }]);
    release();
    expect(mx.count()).toBe(0);
    expect(relay.paces.size).toBe(0);
  },
);

test('an attempt that has sent its final dot waits for the reply', async () => {
  const { script, reached, release } = stopAt('message');
  const { relay } = await startScripted(script);
  const stop = new AbortController();
  const sending = relay.send('a@good.test', { signal: stop.signal });
  await reached;
  stop.abort('closing');
  setTimeout(release, 100);
  expect(await sending).toMatchObject([{ kind: 'relayed' }]);
});

test('without time to wait the attempt is uncertain', async () => {
  const { script, reached } = stopAt('message');
  const { relay } = await startScripted(script);
  const stop = new AbortController();
  const sending = relay.send('a@good.test', { signal: stop.signal });
  await reached;
  stop.abort('now');
  expect(await sending).toMatchObject([{ kind: 'uncertain', mx: 'mx0.good.test' }]);
});

test('attempts that wait, and later ones, are given back', async () => {
  const { script, reached } = stopAt('MAIL');
  const { relay, mx } = await startScripted(script);
  const stop = new AbortController();
  const all = Array.from({ length: 6 }, () => relay.send('a@good.test', { signal: stop.signal }));
  await reached;
  stop.abort('closing');
  for (const [outcome] of await Promise.all(all)) expect(outcome).toMatchObject({ kind: 'returned', reply: { status: '4.3.2' } });
  expect(await relay.send('a@good.test', { signal: stop.signal })).toMatchObject([{ kind: 'returned' }]);
  expect(mx.count()).toBe(0);
});

test('closing ends the attempts that still run', async () => {
  const { script, reached } = stopAt('message');
  const { relay } = await startScripted(script);
  const sending = relay.send('a@good.test');
  await reached;
  await relay.close();
  expect(await sending).toMatchObject([{ kind: 'uncertain' }]);
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'returned' }]);
});

test('a failure of our own delays, and is logged with its cause', async () => {
  const { relay } = await startScripted({});
  relay.reload({
    dns: {
      mx: () => {
        throw new Error('a bug');
      },
    } as never,
  });
  expect(await relay.send(['a@good.test', 'b@good.test'])).toMatchObject([
    { kind: 'delayed', reply: { code: 451, status: '4.3.0' } },
    { kind: 'delayed' },
  ]);
  expect(relay.events).toContainEqual({
    event: 'deliveryFailed',
    fields: { queueId: '0123456789abc', error: expect.objectContaining({ message: 'a bug' }) },
  });
});

test.each(['before any address is known', 'while addresses are looked up'])('a stop %s lets no attempt begin', async (when) => {
  let looking = () => {};
  let gate = Promise.resolve();
  const dns = {
    mx: async () => ({ ...FOUND, values: [{ preference: 10, exchange: 'mx0.good.test' }] }),
    ptr: async () => ({ kind: 'none' }),
    aaaa: async () => {
      if (when.startsWith('before')) await held();
      return { kind: 'none' };
    },
    a: async () => {
      if (when.startsWith('while')) await held();
      return { ...FOUND, values: ['127.0.3.1'] };
    },
  };
  const held = () => {
    looking();
    return gate;
  };
  let now = Date.now();
  // `auto` with a source of its own asks about that source before the first address.
  const options = {
    dns: dns as never,
    now: () => now,
    ...(when.startsWith('before') && { ip: 'auto' as const, source: ['::1'] }),
  };
  const { relay, mx } = await startScripted({}, { delivery: options });
  expect(await relay.send('first@good.test')).toMatchObject([{ kind: 'relayed' }]); // leaves a connection that could be used at once
  now += 6 * MINUTE;
  const asked = new Promise<void>((resolve) => (looking = resolve));
  let answer = () => {};
  gate = new Promise((resolve) => (answer = resolve));
  const stop = new AbortController();
  const sending = relay.send('a@good.test', { signal: stop.signal });
  await asked;
  stop.abort('closing');
  answer();
  expect(await sending).toMatchObject([{ kind: 'returned', reply: { status: '4.3.2' } }]);
  expect(mx.count()).toBe(1);
});

test('a fault of our own does not undo deliveries before it', async () => {
  const { relay, mx } = await startScripted({});
  const dns = {
    mx: async (domain: string) => {
      if (domain !== 'good.test') throw new Error('a bug');
      return { ...FOUND, values: [{ preference: 10, exchange: 'mx0.good.test' }] };
    },
    a: async () => ({ ...FOUND, values: [mx.address] }),
  };
  relay.reload({ dns: dns as never });
  // As after a change of routes: recipients of one claim go different ways.
  expect(await relay.send(['a@good.test', 'b@other.test'])).toMatchObject([{ kind: 'relayed' }, { kind: 'delayed' }]);
});
