/** How many sessions a host set gets, and how it rests: behaviour rule 17. */
import { describe, expect, test } from 'vitest';
import { createDns } from '../../src/dns/dns.ts';
import { MINUTE } from '../../src/system/clock.ts';
import { claimOf } from '../support/delivery.ts';
import { startRig, startScripted } from '../support/delivery-rig.ts';

/** A gate that holds messages at their final dot. */
function gate() {
  const held: (() => void)[] = [];
  let most = 0;
  return {
    script: {
      message: () =>
        new Promise<undefined>((resolve) => {
          held.push(() => resolve(undefined));
          most = Math.max(most, held.length);
        }),
    },
    held: () => held.length,
    most: () => most,
    open: () => {
      for (const release of held.splice(0)) release();
    },
  };
}

test('a host set starts with two sessions, grows with what it takes, and stops at the limit', async () => {
  const holding = gate();
  const { relay } = await startScripted(holding.script, { delivery: { concurrency: 5 } });
  const all = Array.from({ length: 40 }, () => relay.send('a@good.test'));
  await expect.poll(() => holding.held()).toBe(2);
  let done = false;
  const settled = Promise.all(all).then((outcomes) => {
    done = true;
    return outcomes.flat();
  });
  while (!done) {
    holding.open();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect((await settled).every(({ kind }) => kind === 'relayed')).toBe(true);
  expect(holding.most()).toBe(5);
});

test('domains with the same hosts share the limit, others have their own', async () => {
  const holding = gate();
  const { relay, mx } = await startScripted(holding.script, {
    hosts: [{}],
    zone: { 'same.test': { MX: ['10 mx0.good.test', '11 mx1.good.test'] }, 'other.test': { MX: ['10 mx1.good.test'] } },
  });
  const held = [1, 2, 3].flatMap(() => [relay.send('a@good.test'), relay.send('a@same.test')]);
  await expect.poll(() => holding.held()).toBe(2);
  expect(await relay.send('a@other.test')).toMatchObject([{ kind: 'relayed' }]);
  expect(mx.sessions()).toBe(2);
  const timer = setInterval(holding.open, 10);
  await Promise.all(held);
  clearInterval(timer);
});

test('room falls with running and waiting mail, and callers without room are told when there is some', async () => {
  const holding = gate();
  const { relay } = await startScripted(holding.script);
  expect(relay.room('good.test')).toBe(10);
  const first = relay.send('a@good.test');
  await expect.poll(() => holding.held()).toBe(1);
  expect(relay.room('good.test')).toBe(7);
  const rest = Array.from({ length: 7 }, () => relay.send('a@good.test'));
  await expect.poll(() => relay.room('good.test')).toBe(0);
  const told: string[] = [];
  relay.onRoom((destination) => told.push(destination));
  const timer = setInterval(holding.open, 10);
  await Promise.all([first, ...rest]);
  clearInterval(timer);
  expect(told).toContain('good.test');
  expect(relay.room('good.test')).toBeGreaterThan(8);
});

test('a 421 rests only that host set, and its waiting mail is given back with a time', async () => {
  let now = 1_000_000;
  const { relay, mx } = await startScripted(
    { MAIL: '421 4.7.0 Too fast' },
    {
      hosts: [{}],
      zone: { 'solo.test': { MX: ['1 mx0.good.test'] }, 'other.test': { MX: ['1 mx1.good.test'] } },
      delivery: { now: () => now },
    },
  );
  expect(await relay.send('a@solo.test')).toMatchObject([{ kind: 'delayed', reply: { code: 421, status: '4.7.0' } }]);
  expect(relay.blockedUntil('solo.test')).toBe(now + MINUTE);
  expect(relay.room('solo.test')).toBe(0);
  expect(await relay.send('b@solo.test')).toMatchObject([
    { kind: 'returned', notBefore: now + MINUTE, reply: { status: '4.4.5' } },
  ]);
  expect(mx.sessions()).toBe(1);
  expect(await relay.send('a@other.test')).toMatchObject([{ kind: 'relayed' }]);
  expect([...relay.paces.values()]).toMatchObject([
    { key: 'mx:mx0.good.test', blockedUntil: now + MINUTE, failures: 1, reason: 'Too fast' },
  ]);
  expect(relay.events).toContainEqual(expect.objectContaining({ event: 'resting' }));
  expect(relay.resting()).toBe(1);

  now += MINUTE;
  expect(relay.blockedUntil('solo.test')).toBeUndefined();
  expect(relay.room('solo.test')).toBe(2);
  await relay.send('c@solo.test');
  expect(relay.blockedUntil('solo.test')).toBe(now + 2 * MINUTE);

  now += 2 * MINUTE;
  mx.script({});
  expect(await relay.send('d@solo.test')).toMatchObject([{ kind: 'relayed' }]);
  expect(relay.room('solo.test')).toBeGreaterThan(2);
  expect(relay.paces.size).toBe(0);
});

test('a session that hangs since before a rest does not delay the next mail, and does not rest the hosts again', async () => {
  let now = 1_000_000;
  const hanging = Promise.withResolvers<'close'>();
  const { relay, mx } = await startScripted({ EHLO: () => hanging.promise }, { delivery: { now: () => now } });
  const first = relay.send('a@good.test');
  await expect.poll(() => mx.commands.length).toBe(1);
  mx.script({ MAIL: '421 4.3.2 Busy' });
  expect(await relay.send('b@good.test')).toMatchObject([{ kind: 'delayed' }]);
  const until = relay.blockedUntil('good.test')!;

  now = until;
  mx.script({});
  expect(relay.room('good.test')).toBe(2);
  expect(await relay.send('c@good.test')).toMatchObject([{ kind: 'relayed' }]);
  mx.script({ EHLO: () => hanging.promise });
  hanging.resolve('close');
  expect(await first).toMatchObject([{ kind: 'delayed' }]);
  expect(relay.blockedUntil('good.test')).toBeUndefined();
});

test('a refusal by policy at MAIL rests that sender at those hosts, and no other', async () => {
  const now = 1_000_000;
  const refuse = ({ address }: { address: string }) =>
    address.startsWith('bad') ? '450 4.7.1 Sender not welcome now' : undefined;
  const { relay, mx } = await startScripted({ MAIL: refuse }, { delivery: { now: () => now } });
  const from = (reversePath: string) => relay.send('a@good.test', { reversePath });
  expect(await from('bad@sender.test')).toMatchObject([{ kind: 'delayed', reply: { code: 450, status: '4.7.1' } }]);
  expect(await from('good@sender.test')).toMatchObject([{ kind: 'relayed' }]);
  const commands = mx.commands.length;
  expect(await from('bad@sender.test')).toMatchObject([
    { kind: 'returned', notBefore: now + MINUTE, reply: { status: '4.4.5' } },
  ]);
  expect(mx.commands.length).toBe(commands);
  expect(relay.resting()).toBe(0);
  expect(relay.room('good.test')).toBeGreaterThan(0);
  expect(relay.events).toContainEqual(
    expect.objectContaining({ event: 'resting', fields: expect.objectContaining({ sender: 'bad@sender.test' }) }),
  );
});

describe('an attempt that the operator requests while the hosts rest', () => {
  async function startResting() {
    let now = 1_000_000;
    const rig = await startScripted({ MAIL: '421 4.3.2 Busy' }, { delivery: { now: () => now } });
    await rig.relay.send('a@good.test');
    now += 10;
    return { ...rig, until: rig.relay.blockedUntil('good.test')! };
  }

  test('is made, and ends the rest for all mail if the hosts answer', async () => {
    const { relay, mx } = await startResting();
    mx.script({});
    const told: string[] = [];
    relay.onRoom((destination) => told.push(destination));
    expect(await relay.send('b@good.test')).toMatchObject([{ kind: 'returned' }]);
    relay.tryNow('good.test');
    expect(told).toEqual(['good.test']);
    expect(relay.room('good.test')).toBeGreaterThan(0);
    const all = await Promise.all(['c', 'd', 'e'].map((name) => relay.send(`${name}@good.test`)));
    expect(all.flat().map(({ kind }) => kind)).toEqual(['relayed', 'relayed', 'relayed']);
    expect(relay.resting()).toBe(0);
    expect(relay.paces.size).toBe(0);
  });

  test('is the only one, and the rest continues if the hosts do not answer', async () => {
    const { relay, mx, until } = await startResting();
    relay.tryNow('good.test');
    const all = await Promise.all(['c', 'd', 'e'].map((name) => relay.send(`${name}@good.test`)));
    expect(all.flat().map(({ kind }) => kind)).toEqual(['delayed', 'returned', 'returned']);
    expect(all[2]).toMatchObject([{ notBefore: until }]);
    expect(mx.sessions()).toBe(2);
    expect(relay.blockedUntil('good.test')).toBe(until);
    expect(relay.room('good.test')).toBe(0);
  });

  test('goes to the current hosts of the destination', async () => {
    const { relay, dns, mx } = await startResting();
    dns.set('good.test', { MX: ['10 other.good.test'] });
    dns.set('other.good.test', { A: [mx.address] });
    mx.script({});
    relay.tryNow('good.test');
    relay.reload({ dns: createDns({ servers: [dns.server] }) }); // without the cache of a minute
    expect(relay.room('good.test')).toBe(10);
    expect(await relay.send('b@good.test')).toMatchObject([{ kind: 'relayed', mx: 'other.good.test' }]);
  });
});

test('waiting mail is given back when its host set begins to rest', async () => {
  const { relay, mx } = await startScripted({
    RCPT: async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      return '421 4.3.2 Closing';
    },
  });
  const outcomes = (await Promise.all(Array.from({ length: 6 }, () => relay.send('a@good.test')))).flat();
  const kinds = outcomes.map(({ kind }) => kind).sort();
  expect(kinds).toEqual(['delayed', 'delayed', 'returned', 'returned', 'returned', 'returned']);
  expect(mx.sessions()).toBe(2);
});

test('back-off survives a restart', async () => {
  const now = 5_000_000;
  const kept = { key: 'mx:mx0.good.test', concurrency: 3, blockedUntil: now + MINUTE, reason: '421', failures: 2 };
  const old = { ...kept, key: 'mx:old.test', blockedUntil: 0 };
  const { relay, mx } = await startRig({ delivery: { now: () => now }, paces: [kept, old] });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'returned', notBefore: now + MINUTE }]);
  expect(mx.sessions()).toBe(0);
  expect([...relay.paces.keys()]).toEqual(['mx:mx0.good.test']);
});

test('callers that wait for a resting destination are told when its rest is over', async () => {
  let now = 5_000_000;
  const kept = { key: 'mx:mx0.good.test', concurrency: 3, blockedUntil: now + 50, reason: '421', failures: 2 };
  const { relay } = await startRig({ delivery: { now: () => now }, paces: [kept] });
  const told: string[] = [];
  relay.onRoom((destination) => told.push(destination));
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'returned' }]);
  expect(relay.room('good.test')).toBe(0);
  expect(told).toEqual([]);
  now = kept.blockedUntil;
  await expect.poll(() => told).toEqual(['good.test']);
  expect(relay.room('good.test')).toBe(2);
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed' }]);
});

test('greylisting and full mailboxes delay only their recipients', async () => {
  const { relay } = await startScripted({
    RCPT: ({ address }) => (address.startsWith('new') ? '451 4.7.1 Greylisting in action' : undefined),
  });
  for (let i = 0; i < 8; i++)
    expect(await relay.send(`new${i}@good.test`)).toMatchObject([{ kind: 'delayed', reply: { status: '4.7.1' } }]);
  expect(relay.blockedUntil('good.test')).toBeUndefined();
  expect(await relay.send('old@good.test')).toMatchObject([{ kind: 'relayed' }]);
});

test('a dead host is tried last for a while', async () => {
  const { relay, hosts } = await startRig({ hosts: [{}, {}] });
  await hosts[0]!.close();
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', mx: 'mx1.good.test' }]);
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', mx: 'mx1.good.test' }]);
  expect(hosts[1]!.sessions()).toBe(1);
});

test('a hundred messages at once to a domain whose DNS is dead leave room for others', async () => {
  const { relay } = await startRig({ zone: { 'dead.test': { fault: 'timeout' } } });
  const waiting = Array.from({ length: 10 }, () => relay.deliver(claimOf(relay, 'a@dead.test'), new AbortController().signal));
  expect(relay.room('dead.test')).toBe(0);
  expect(relay.room('good.test')).toBe(10);
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed' }]);
  for (const [outcome] of await Promise.all(waiting))
    expect(outcome).toMatchObject({ kind: 'delayed', reply: { status: '4.4.3' } });
  expect(relay.room('dead.test')).toBe(10);
});
