/** Hosts that hang, send slowly or vanish: every wait ends by its deadline, behaviour rule 14. */
import { describe, expect, test } from 'vitest';
import { startScripted } from '../support/delivery-rig.ts';
import type { MxScript } from '../support/mx-server.ts';
import { makePair } from '../support/pair.ts';

const SHORT = 250;
/** Longer than any test: what is not to end by its deadline. */
const LONG = 600_000;
const patient = { connect: LONG, greeting: LONG, command: LONG, data: LONG, block: LONG, dot: LONG };
/** Only the deadlines that a test is about are short, so that no other one decides on a busy machine. */
const hasty = (...names: (keyof typeof patient)[]) => ({
  timeouts: { ...patient, ...Object.fromEntries(names.map((name) => [name, SHORT])) },
});

describe.each([
  ['with PIPELINING', {}],
  ['without PIPELINING', { extensions: [] }],
])('%s', (_, host) => {
  test.each<readonly [string, MxScript, keyof typeof patient]>([
    ['greeting', { greeting: 'hang' }, 'greeting'],
    ['EHLO', { EHLO: 'hang' }, 'command'],
    ['MAIL', { MAIL: 'hang' }, 'command'],
    ['RCPT', { RCPT: 'hang' }, 'command'],
    ['DATA', { DATA: 'hang' }, 'data'],
  ])('a host that hangs at %s delays the mail at its deadline', async (stage, script, deadline) => {
    const { relay, mx } = await startScripted(script, { host, delivery: hasty(deadline) });
    const [outcome] = await relay.send('a@good.test');
    expect(outcome).toMatchObject({ kind: 'delayed', reply: { code: 451, status: '4.4.2' } });
    expect(outcome!.reply.text).toContain(stage);
    expect(outcome!.seconds).toBeGreaterThanOrEqual(0.2);
    await expect.poll(() => mx.open()).toBe(0);
  });

  test.each([
    ['hang', 'hang'],
    ['vanish', 'close'],
  ] as const)('hosts that %s after the final dot leave it uncertain, and no other host is asked', async (_name, action) => {
    const { relay, hosts } = await startScripted({ message: action }, { host, delivery: hasty('dot'), hosts: [{}] });
    expect(await relay.send(['a@good.test', 'b@good.test'])).toMatchObject([
      { kind: 'uncertain', mx: 'mx0.good.test', reply: { status: '4.4.2' } },
      { kind: 'uncertain', mx: 'mx0.good.test' },
    ]);
    expect(hosts[1]!.sessions()).toBe(0);
  });
});

test('a host that sends single bytes gets no more time', async () => {
  const trickle = { trickle: `250 ${'x'.repeat(4000)}\r\n`, every: 50 };
  const { relay } = await startScripted({ MAIL: trickle }, { delivery: hasty('command'), host: { extensions: [] } });
  const [outcome] = await relay.send('a@good.test');
  expect(outcome).toMatchObject({ kind: 'delayed', reply: { status: '4.4.2' } });
});

test('an address that does not answer is given up at its deadline', async () => {
  // A listener whose backlog is never served still completes connections, so its greeting is what is missed.
  const { relay } = await startScripted({ greeting: 'hang' }, { delivery: hasty('greeting'), hosts: [{}] });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', mx: 'mx1.good.test' }]);
});

test('a host that hangs in the TLS handshake gets the mail in clear, at a later attempt', async () => {
  const tls = await makePair();
  const { relay, mx } = await startScripted({ handshake: 'hang' }, { delivery: hasty('command'), host: { tls } });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'delayed' }]);
  const [outcome] = await relay.send('a@good.test', { recipient: { attempts: 1 } });
  expect(outcome).toMatchObject({ kind: 'relayed' });
  await expect.poll(() => mx.open()).toBe(1);
  expect(outcome!.tls).toBeUndefined();
});

test('a QUIT that is never answered delays no mail, and a stop only until its deadline', async () => {
  const { relay, mx } = await startScripted({ QUIT: 'hang' }, { delivery: { timeouts: { ...patient, command: 2000 } } });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed' }]);
  await relay.close();
  expect(mx.count()).toBe(1);
});

test('while one host hangs, other hosts are served', async () => {
  const { relay, mx, hosts } = await startScripted(
    { MAIL: 'hang' },
    { delivery: hasty(), hosts: [{}], zone: { 'other.test': { MX: ['10 mx1.good.test'] } } },
  );
  const slow = relay.send('a@good.test');
  const [other] = await relay.send('b@other.test');
  expect(other).toMatchObject({ kind: 'relayed', mx: 'mx1.good.test' });
  expect(hosts[1]!.count()).toBe(1);
  await expect.poll(() => mx.commands.some((line) => line.includes('MAIL')), { timeout: 90_000 }).toBe(true);
  mx.disconnect();
  await slow;
});
