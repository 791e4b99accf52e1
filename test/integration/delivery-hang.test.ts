/** Hosts that hang, send slowly or vanish: every wait ends by its deadline, behaviour rule 14. */
import { describe, expect, test } from 'vitest';
import { startScripted } from '../support/delivery-rig.ts';
import type { MxScript } from '../support/mx-server.ts';
import { makePair } from '../support/pair.ts';

const SHORT = 250;
const timeouts = { connect: SHORT, greeting: SHORT, command: SHORT, data: SHORT, block: SHORT, dot: SHORT };
const delivery = { timeouts };

describe.each([
  ['with PIPELINING', {}],
  ['without PIPELINING', { extensions: [] }],
])('%s', (_, host) => {
  test.each<readonly [string, MxScript, string]>([
    ['greeting', { greeting: 'hang' }, '4.4.2'],
    ['EHLO', { EHLO: 'hang' }, '4.4.2'],
    ['MAIL', { MAIL: 'hang' }, '4.4.2'],
    ['RCPT', { RCPT: 'hang' }, '4.4.2'],
    ['DATA', { DATA: 'hang' }, '4.4.2'],
  ])('a host that hangs at %s delays the mail at its deadline', async (stage, script, status) => {
    const { relay, mx } = await startScripted(script, { host, delivery });
    const [outcome] = await relay.send('a@good.test');
    expect(outcome).toMatchObject({ kind: 'delayed', reply: { code: 451, status } });
    expect(outcome!.reply.text).toContain(stage);
    expect(outcome!.seconds).toBeGreaterThanOrEqual(0.2);
    expect(outcome!.seconds).toBeLessThan(2);
    await expect.poll(() => mx.open()).toBe(0);
  });

  test.each([
    ['hang', 'hang'],
    ['vanish', 'close'],
  ] as const)('hosts that %s after the final dot leave it uncertain, and no other host is asked', async (_name, action) => {
    const { relay, hosts } = await startScripted({ message: action }, { host, delivery, hosts: [{}] });
    expect(await relay.send(['a@good.test', 'b@good.test'])).toMatchObject([
      { kind: 'uncertain', mx: 'mx0.good.test', reply: { status: '4.4.2' } },
      { kind: 'uncertain', mx: 'mx0.good.test' },
    ]);
    expect(hosts[1]!.sessions()).toBe(0);
  });
});

test('a host that sends single bytes gets no more time', async () => {
  const trickle = { trickle: `250 ${'x'.repeat(100)}\r\n`, every: 50 };
  const { relay } = await startScripted({ MAIL: trickle }, { delivery, host: { extensions: [] } });
  const [outcome] = await relay.send('a@good.test');
  expect(outcome).toMatchObject({ kind: 'delayed', reply: { status: '4.4.2' } });
  expect(outcome!.seconds).toBeLessThan(1);
});

test('an address that does not answer is given up at its deadline', async () => {
  // A listener whose backlog is never served still completes connections, so its greeting is what is missed.
  const { relay } = await startScripted({ greeting: 'hang' }, { delivery, hosts: [{}] });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', mx: 'mx1.good.test' }]);
});

test('a host that hangs in the TLS handshake gets the mail in clear, at a later attempt', async () => {
  const tls = await makePair();
  const { relay, mx } = await startScripted({ handshake: 'hang' }, { delivery, host: { tls } });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'delayed' }]);
  const [outcome] = await relay.send('a@good.test', { recipient: { attempts: 1 } });
  expect(outcome).toMatchObject({ kind: 'relayed' });
  await expect.poll(() => mx.open()).toBe(1);
  expect(outcome!.tls).toBeUndefined();
});

test('a QUIT that is never answered delays nothing', async () => {
  const { relay, mx } = await startScripted({ QUIT: 'hang' }, { delivery });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed' }]);
  const began = Date.now();
  await relay.close();
  expect(Date.now() - began).toBeLessThan(2000);
  expect(mx.count()).toBe(1);
});

test('while one host hangs, other hosts are served', async () => {
  const { relay, hosts } = await startScripted(
    { MAIL: 'hang' },
    { delivery: { timeouts: { ...timeouts, command: 1500 } }, hosts: [{}], zone: { 'other.test': { MX: ['10 mx1.good.test'] } } },
  );
  const slow = relay.send('a@good.test');
  const [other] = await relay.send('b@other.test');
  expect(other).toMatchObject({ kind: 'relayed', mx: 'mx1.good.test' });
  expect(other!.seconds).toBeLessThan(1);
  expect(hosts[1]!.count()).toBe(1);
  await slow;
});
