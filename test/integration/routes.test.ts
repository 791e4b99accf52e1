/** The effect of a route on the whole relay: behaviour rule 23. */
import { readFile, writeFile } from 'node:fs/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { openClient, startTestRelay, type TestRelay, type TestRelayOptions, USER } from '../support/relay.ts';

let relay: TestRelay | undefined;
afterEach(async () => {
  await relay?.close();
  relay = undefined;
});
const start = async (options?: TestRelayOptions) => (relay = await startTestRelay(options));
const TEXT = `From: ${USER}\r\nTo: anna@dest.test\r\nSubject: Hello\r\n\r\nHow are you?\r\n`;

async function send(port: number, ...to: string[]): Promise<string> {
  const client = await openClient(port, { tls: true });
  await client.login();
  const reply = await client.message({ to, text: TEXT });
  client.close();
  expect(reply).toMatch(/^250 /);
  return reply.split(' ').at(-1)!;
}

describe('sign: false', () => {
  const yaml = `routes:
  - { recipientDomain: plain.test, hosts: ['127.0.0.1:MX_PORT'], tls: none, sign: false }
  - { recipientDomain: sender.test, hosts: ['127.0.0.1:MX_PORT'], tls: none, sign: false }
signing: { noKey: refuse }`;

  test('mail that only takes such routes gets no signature of ours, even if keys are required', async () => {
    const { ports, mx, logged } = await start({ yaml, domains: [] });
    const id = await send(ports.submissions, 'a@plain.test', 'b@plain.test');
    const [message] = await mx.received(1);
    expect(message!.data.toString()).not.toMatch(/^DKIM-Signature:/m);
    expect(await logged('accepted')).toMatchObject({ queueId: id, signatures: [] });
  });

  test('one recipient on another way is enough for a signature', async () => {
    const { ports, mx } = await start({ yaml });
    await send(ports.submissions, 'a@plain.test', 'b@dest.test');
    for (const { data } of await mx.received(2)) expect(data.toString().match(/^DKIM-Signature:/gm)).toHaveLength(2);
  });

  test('our reports follow the route of their recipient', async () => {
    const { ports, mx } = await start({
      yaml,
      mx: { script: { RCPT: ({ address }) => (address.startsWith('nobody') ? '550 5.1.1 No such user' : undefined) } },
    });
    await send(ports.submissions, 'nobody@dest.test');
    const [report] = await mx.received(1);
    expect(report!.mailFrom).toBe('');
    expect(report!.data.toString()).toMatch(/^From: Mail Delivery System/); // the original quoted below has its signatures
  });
});

test('reports that must be signed but cannot be are reported at the start and after a reload', async () => {
  const yaml = 'signing: { noKey: refuse }\nreports: { from: postmaster@other.test }';
  const { log, logged, reload } = await start({ yaml });
  expect(await logged('reportsNotSigned')).toMatchObject({
    level: 'warn',
    from: 'postmaster@other.test',
    reason: expect.stringMatching(
      /^reports\.from is in other\.test, which has no DKIM key here.*smarthost domain add other\.test$/,
    ),
  });
  await reload();
  await logged('reloaded');
  expect(log.filter(({ event }) => event === 'reportsNotSigned')).toHaveLength(2);
});

test.each([
  'signing: { noKey: refuse }',
  'signing: { noKey: refuse }\nreports: { from: postmaster@sender.test }',
  'signing: { noKey: refuse }\nreports: { from: postmaster@below.sender.test }',
  'signing: { noKey: send }\nreports: { from: postmaster@other.test }',
])('reports that can be sent are no matter: %s', async (yaml) => {
  expect((await start({ yaml })).log.filter(({ event }) => event === 'reportsNotSigned')).toEqual([]);
});

test('waiting mail takes another way as soon as a route says so', async () => {
  const { ports, mx, file, logged, reload } = await start({
    zone: { 'late.test': { MX: ['10 mx.late.test'] }, 'mx.late.test': { A: ['127.9.9.9'] } },
  });
  const id = await send(ports.submissions, 'a@late.test');
  expect(await logged('delayed')).toMatchObject({ queueId: id });
  const before = await readFile(file, 'utf8');
  await writeFile(file, `${before}routes: [{ recipientDomain: late.test, hosts: ['127.0.0.1:${mx.port}'], tls: none }]\n`);
  await reload();
  expect(await logged('relayed', (line) => line['queueId'] === id)).toMatchObject({ recipient: 'a@late.test', mx: '127.0.0.1' });
});

test('what is asked of one destination holds from a reload on, and an exception is in the log and among the metrics', async () => {
  const { ports, file, logged, log, reload } = await start({ yaml: 'destinations: [{ domain: dest.test, tls: dane }]' });
  const first = await send(ports.submissions, 'a@dest.test');
  const why = await logged('delayed', (line) => line['queueId'] === first);
  expect(why).toMatchObject({ status: '4.7.5', reply: expect.stringContaining('DANE is required for dest.test') });
  expect(log.filter(({ event }) => event === 'tlsException')).toEqual([]);
  const before = await readFile(file, 'utf8');
  await writeFile(file, before.replace('tls: dane', 'tls: none, until: 2099-01-01'));
  await reload();
  expect(await logged('tlsException')).toMatchObject({ subject: 'domain: dest.test', until: '2099-01-01T00:00:00.000Z' });
  const second = await send(ports.submissions, 'a@dest.test');
  expect(await logged('relayed', (line) => line['queueId'] === second)).toMatchObject({ tls: null });
  expect(await (await fetch(`http://127.0.0.1:${ports.admin}/metrics`)).text()).toContain('\nsmarthost_tls_exceptions 1\n');
});
