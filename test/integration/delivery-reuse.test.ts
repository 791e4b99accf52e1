/** Connections that are kept: behaviour rule 17. */
import { expect, test } from 'vitest';
import { startRig, startScripted, verbs } from '../support/delivery-rig.ts';
import { SessionCount } from '../support/session-count.ts';

test('at most 100 messages a connection, then QUIT', async () => {
  const { relay, mx } = await startRig();
  for (let i = 0; i < 101; i++) await relay.send('a@good.test');
  expect(mx.sessions()).toBe(2);
  await expect.poll(() => mx.open()).toBe(1);
  expect(mx.commands.filter((line) => line === '1 QUIT')).toHaveLength(1);
});

test('a connection that was idle for 10 s is closed with QUIT', async () => {
  let now = 1_000_000;
  const { relay, mx } = await startRig({ delivery: { now: () => now } });
  await relay.send('a@good.test');
  now += 9_000;
  await relay.send('a@good.test');
  expect(mx.sessions()).toBe(1);
  now += 10_001;
  await expect.poll(() => mx.open(), { timeout: 5000 }).toBe(0);
  expect(mx.commands.at(-1)).toBe('1 QUIT');
});

test('a connection that the host has closed meanwhile causes no failure', async () => {
  const { relay, mx } = await startRig();
  await relay.send('a@good.test');
  mx.disconnect();
  expect(await relay.send('b@good.test')).toMatchObject([{ kind: 'relayed' }]);
  expect(relay.blockedUntil('good.test')).toBeUndefined();
  expect(mx.count()).toBe(2);
});

test.each([
  ['closes at the second message', 'close'],
  ['says 421 to the second message', '421 4.7.0 One message a connection'],
  ['refuses the second message', '550 5.7.0 Too many messages in this session'],
] as const)('a host that %s gets it on a new connection, and is not backed off', async (_, action) => {
  const seen = new Set<number>();
  const script = {
    MAIL: ({ session }: { session: number }) => {
      if (seen.has(session)) return action;
      seen.add(session);
      return undefined;
    },
  };
  const { relay, mx } = await startScripted(script);
  for (let i = 0; i < 3; i++) expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed' }]);
  expect(mx.sessions()).toBe(3);
  expect(relay.blockedUntil('good.test')).toBeUndefined();
});

test('a refusal of a sender is final if it is repeated on a new connection', async () => {
  let asked = 0;
  const { relay, mx } = await startScripted({ MAIL: () => (asked++ > 0 ? '550 5.7.1 Sender refused' : undefined) });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed' }]);
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'failed', reply: { status: '5.7.1' } }]);
  expect(mx.sessions()).toBe(2);
});

test('a host that takes one transaction a connection gets 120 recipients on three', async () => {
  const seen = new Set<number>();
  const script = {
    MAIL: ({ session }: { session: number }) => {
      if (seen.has(session)) return '421 4.7.0 Enough';
      seen.add(session);
      return undefined;
    },
  };
  const { relay, mx } = await startScripted(script);
  const outcomes = await relay.send(Array.from({ length: 120 }, (_, i) => `u${i}@good.test`));
  expect(outcomes.every(({ kind }) => kind === 'relayed')).toBe(true);
  expect(mx.messages.map(({ recipients }) => recipients.length)).toEqual([50, 50, 20]);
});

test('data on an idle connection end it', async () => {
  const { relay, mx } = await startScripted({
    message: ({ session }) => (session === 1 ? { raw: '250 2.0.0 Ok\r\n421 4.4.2 Idle\r\n' } : undefined),
  });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed' }]);
  expect(await relay.send('b@good.test')).toMatchObject([{ kind: 'relayed' }]);
  expect(mx.sessions()).toBe(2);
});

test('domains with the same host share its connection, and recipients of other addresses do not', async () => {
  const rig = await startRig({
    zone: { 'same.test': { MX: ['5 mx0.good.test'] }, 'alias.test': { MX: ['5 h.test'] }, 'h.test': { A: ['127.0.3.1'] } },
  });
  await rig.relay.send('a@good.test');
  await rig.relay.send('a@same.test');
  expect(rig.mx.sessions()).toBe(1);
  await rig.relay.send('a@alias.test'); // another name may mean another certificate
  expect(rig.mx.sessions()).toBe(2);
  expect(verbs(rig)).not.toContain('RSET');
});

test('closing sends QUIT on every idle connection', async () => {
  const { relay, hosts } = await startRig({ hosts: [{}, {}], zone: { 'other.test': { MX: ['1 mx1.good.test'] } } });
  await Promise.all([relay.send('a@good.test'), relay.send('a@other.test')]);
  await relay.close();
  for (const host of hosts) expect(host.commands.at(-1)).toBe('1 QUIT');
  await expect.poll(() => hosts.reduce((sum, host) => sum + host.open(), 0)).toBe(0);
});

test('two hosts of equal preference together get no more sessions than the limit, those that wait for the next message included', async () => {
  const sessions = new SessionCount();
  const { relay, hosts } = await startRig({
    hosts: ['first', 'second'].map((name) => ({ script: sessions.script({}, name) })),
    zone: { 'good.test': { MX: ['10 mx0.good.test', '10 mx1.good.test'] } },
    delivery: { concurrency: 1 },
  });
  for (let i = 0; i < 40; i++) expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed' }]);
  expect([sessions.most, hosts.map((host) => host.sessions() > 0)]).toEqual([1, [true, true]]);
});
