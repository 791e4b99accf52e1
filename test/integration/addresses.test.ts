/** Addresses that are long, in another script, or without a domain, through the whole relay. */
import { afterEach, expect, test } from 'vitest';
import { openClient, startTestRelay, type TestRelay, type TestRelayOptions, USER } from '../support/relay.ts';

let relay: TestRelay | undefined;
afterEach(async () => {
  await relay?.close();
  relay = undefined;
});
const start = async (options?: TestRelayOptions) => (relay = await startTestRelay(options));

async function send(message: { from?: string; to?: string[]; text?: string | Buffer }): Promise<string> {
  const client = await openClient(relay!.ports.submissions, { tls: true });
  await client.login();
  const reply = await client.message({ text: `From: ${USER}\r\nSubject: Hello\r\n\r\nHow are you?\r\n`, ...message });
  client.close();
  return reply.slice(0, 9);
}

test('a reply to a code host arrives, and a report reaches a sender whose path is as long', async () => {
  const RCPT = ({ address }: { address: string }) => (address.startsWith('nobody') ? '550 5.1.1 No such user' : undefined);
  const { mx } = await start({ mx: { script: { RCPT } } });
  const long = `reply+${'a'.repeat(400)}@dest.test`;
  const path = `bounces+${'b'.repeat(500)}@sender.test`;
  expect(await send({ from: path, to: [long] })).toBe('250 2.0.0');
  const [message] = await mx.received(1);
  expect(message!.mailFrom).toBe(path);
  expect(message!.recipients[0]!.address).toBe(long);
  expect(await send({ from: path, to: ['nobody@dest.test'] })).toBe('250 2.0.0');
  const [, report] = await mx.received(2);
  expect(report!.mailFrom).toBe('');
  expect(report!.recipients[0]!.address).toBe(path);
  expect(report!.data.toString()).toContain(`To:\r\n <${path}>\r\n`);
});

test('a rewritten sender that is not ASCII is sent with SMTPUTF8', async () => {
  const { mx } = await start({ user: { rewrite: 'jürgen@sender.test' } });
  expect(await send({ from: 'scanner@lan.test' })).toBe('250 2.0.0');
  const [message] = await mx.received(1);
  expect(message!.mailParameters).toContain('SMTPUTF8');
  expect(Buffer.from(message!.mailFrom, 'latin1').toString()).toContain('rgen@sender.test');
});

test('a message with an 8-bit header and a 7-bit text is sent with BODY=8BITMIME', async () => {
  const { mx } = await start();
  expect(await send({ text: Buffer.from(`From: ${USER}\r\nSubject: Gr\xfc\xdfe\r\n\r\nHow are you?\r\n`, 'latin1') })).toBe(
    '250 2.0.0',
  );
  const [message] = await mx.received(1);
  expect(message!.mailParameters).toContain('BODY=8BITMIME');
});

test('mail for <postmaster> reaches the operator', async () => {
  const { mx } = await start({ yaml: 'operator: ops@dest.test' });
  expect(await send({ to: ['Postmaster'] })).toBe('250 2.0.0');
  const [message] = await mx.received(1);
  expect(message!.recipients.map(({ address }) => address)).toEqual(['ops@dest.test']);
});
