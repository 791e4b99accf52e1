/** Actions of an operator from inside the relay's process, as an HTTP interface would do them. They take effect at once. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { codeOf } from '../support/raw-client.ts';
import { type LogLine, openClient, startTestRelay, type TestRelay, USER } from '../support/relay.ts';

let relay: TestRelay;
beforeAll(async () => {
  relay = await startTestRelay({ yaml: 'auth: { failureDelay: 0s }', domains: [] });
});
afterAll(() => relay.close());

const TEXT = `From: ${USER}\r\nSubject: x\r\n\r\nHello\r\n`;
const idOf = (reply: string) => reply.split(' ').at(-1)!;

async function login() {
  const client = await openClient(relay.ports.submissions, { tls: true });
  return { client, code: codeOf(await client.login()) };
}

test('a disabled login is refused, also if it was cached, and accepted again when it is enabled', async () => {
  const { client, code } = await login();
  expect(code).toBe('235 2.7.0');
  await relay.control.users.change(USER, { disabled: true });
  expect((await login()).code).toMatch(/^5/);
  expect(codeOf(await client.command(`MAIL FROM:<${USER}>`))).toBe('530 5.7.0');
  await relay.control.users.change(USER, { disabled: false });
  expect((await login()).code).toBe('235 2.7.0');
});

test('an added domain signs the next message, and a removed one does not', async () => {
  const { client } = await login();
  const signatures = async () => (await relay.control.queue.show(idOf(await client.message({ text: TEXT })))).signatures;
  expect(await signatures()).toEqual([]);
  await relay.control.domains.add('sender.test', 'mail');
  expect(await signatures()).toEqual(['mail._domainkey.sender.test', 'mail-ed._domainkey.sender.test']);
  await relay.control.domains.remove('sender.test', { force: true });
  expect(await signatures()).toEqual([]);
  client.close();
});

test('mail is held, released, and tried at once although its hosts rest, and the log says so', async () => {
  const { control, mx, logged } = relay;
  mx.script({ MAIL: '421 4.3.2 Busy' });
  const { id } = await control.send.submit({ to: 'anna@dest.test', from: USER });
  const stateOf = async (wanted: string) => {
    for await (const { message } of control.send.follow(id, 20_000)) if (message.recipients[0]!.state === wanted) return wanted;
    return undefined;
  };
  expect(await stateOf('delayed')).toBe('delayed');
  await logged('resting');
  mx.script({});
  const mine = (line: LogLine) => line['queueId'] === id;
  expect((await control.queue.hold({ ids: [id] })).touched).toEqual([{ id, recipient: 'anna@dest.test', state: 'held' }]);
  await logged('held', mine);
  await control.queue.release({ ids: [id] });
  await logged('released', mine);
  await control.queue.retry({ ids: [id] });
  await logged('relayed', mine);
  expect(await stateOf('relayed')).toBe('relayed');
});
