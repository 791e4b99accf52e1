/** The limit of all sessions together, `delivery.maxSessions`: its effect, and the mail that it does not affect. */
import { expect, test } from 'vitest';
import { SECOND } from '../../src/system/clock.ts';
import { startRig } from '../support/delivery-rig.ts';

/** `count` domains, each with a host of its own that takes the connection and never says a word. */
async function startCrowd(count: number, maxSessions: number) {
  let silent = true;
  const names = Array.from({ length: count }, (_, i) => `dead${i}.test`);
  const held = new Set<() => void>();
  const greeting = () => (silent ? new Promise<'close'>((resolve) => held.add(() => resolve('close'))) : undefined);
  const rig = await startRig({
    hosts: [{}, { script: { greeting } }],
    zone: Object.fromEntries(
      names.flatMap((name) => [
        [name, { MX: [`10 mx.${name}`] }],
        [`mx.${name}`, { A: ['127.0.3.2'] }],
        ['new.test', { MX: ['10 mx.new.test'] }],
        ['mx.new.test', { A: ['127.0.3.1'] }],
      ]),
    ),
    delivery: { maxSessions, now: () => 5_000_000 },
  });
  const end = () => {
    silent = false;
    for (const close of held) close();
  };
  const endOne = () => {
    for (const close of [...held].slice(0, 1)) close();
  };
  return { ...rig, names, end, endOne };
}

test('a message to many dead hosts never has more sessions than the bound, and other mail goes on meanwhile', async () => {
  const { relay, hosts, names, end, endOne } = await startCrowd(40, 8);
  const dead = hosts[1]!;
  expect(await relay.send('a@good.test', { id: 'before' })).toMatchObject([{ kind: 'relayed' }]);
  const all = names.map((name) => relay.send(`a@${name}`, { id: 'many' }));
  await expect.poll(() => dead.open()).toBe(4);

  for (let i = 0; i < 20; i++) expect(await relay.send('a@good.test', { id: `good${i}` })).toMatchObject([{ kind: 'relayed' }]);
  expect(dead.sessions()).toBe(4);
  const unknown = relay.send('a@new.test', { id: 'another' });
  await expect.poll(() => relay.room('new.test')).toBe(7); // its hosts are known: it waits for a session
  endOne();
  expect(await unknown).toMatchObject([{ kind: 'relayed' }]);

  end();
  const outcomes = (await Promise.all(all)).flat();
  const returned = outcomes.filter(({ kind }) => kind === 'returned');
  expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['delayed', 'returned', 'relayed']));
  expect(returned.length).toBeGreaterThan(0);
  for (const outcome of returned) {
    expect(outcome).toMatchObject({ notBefore: 5_000_000 + 30 * SECOND, reply: { status: '4.4.5' } });
  }
  expect(relay.events.filter(({ event }) => event === 'sessionsCrowded')).toHaveLength(1);
});

test('a report about TLS goes only where a session is free that no mail waits for', async () => {
  const { relay, hosts, names, end } = await startCrowd(6, 4);
  const report = (address: string, acceptedAt = 5_000_000) => relay.send(address, { id: 'report', tlsReport: true, acceptedAt });
  expect(await report('tls@good.test')).toMatchObject([{ kind: 'relayed' }]);
  const all = names.map((name) => relay.send(`a@${name}`, { id: 'many' }));
  await expect.poll(() => hosts[1]!.open()).toBe(2);
  expect(await report('tls@good.test')).toMatchObject([{ kind: 'returned', notBefore: 5_000_000 + 30 * SECOND }]);
  expect(await relay.send('a@good.test', { id: 'mail' })).toMatchObject([{ kind: 'relayed' }]);
  // After an hour it goes like mail.
  expect(await report('tls@good.test', 5_000_000 - 3600 * SECOND)).toMatchObject([{ kind: 'relayed' }]);
  end();
  await Promise.all(all);
});

test('idle connections are closed if their sessions are needed now', async () => {
  const names = Array.from({ length: 6 }, (_, i) => `d${i}.test`);
  const zone = Object.fromEntries(
    names.flatMap((name) => [
      [name, { MX: [`10 mx.${name}`] }],
      [`mx.${name}`, { A: ['127.0.3.1'] }],
    ]),
  );
  const { relay, mx } = await startRig({ zone, delivery: { maxSessions: 3 } });
  for (const name of names) {
    expect(await relay.send(`a@${name}`, { id: name })).toMatchObject([{ kind: 'relayed' }]);
    await expect.poll(() => mx.open()).toBeLessThanOrEqual(3);
  }
  expect(mx.sessions()).toBe(6);
});

test('a stopping relay gives back the mail that waits for a session', async () => {
  const { relay, names, hosts } = await startCrowd(6, 2);
  const all = names.map((name) => relay.send(`a@${name}`, { id: 'many' }));
  await expect.poll(() => hosts[1]!.open()).toBe(1);
  await relay.close();
  const outcomes = (await Promise.all(all)).flat();
  expect(outcomes.map(({ kind }) => kind)).toEqual(names.map(() => 'returned'));
});
