/** The operator gets notices about limits: behaviour rule 7. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { openClient, startTestRelay, type TestRelay, type TestRelayOptions, USER } from '../support/relay.ts';

let relay: TestRelay | undefined;
afterEach(async () => {
  await relay?.close();
  relay = undefined;
});
const start = async (options?: TestRelayOptions) => (relay = await startTestRelay(options));
const TEXT = `From: ${USER}\r\nSubject: Hello\r\n\r\nHow are you?\r\n`;
const OPERATOR = 'ops@dest.test';

async function sendAll(port: number, count: number, to = ['anna@dest.test']): Promise<string[]> {
  const client = await openClient(port, { tls: true });
  await client.login();
  const replies: string[] = [];
  for (let i = 0; i < count; i++) replies.push(await client.message({ to, text: TEXT }));
  client.close();
  return replies.map((reply) => reply.slice(0, 9));
}

const notices = ({ mx }: TestRelay) => mx.messages.filter(({ recipients }) => recipients[0]!.address === OPERATOR);

test('by a signed mail at 80 % and at 100 %, once a window, and not again after a restart', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'smarthost-test-'));
  onTestFinished(() => rm(dataDir, { recursive: true }));
  const options = { dataDir, yaml: `operator: ${OPERATOR}\nlimits: { messages: [5/day], newRecipients: [] }` };
  const { ports, logged } = await start(options);
  expect(await sendAll(ports.submissions, 6)).toEqual([...Array(5).fill('250 2.0.0'), '450 4.7.1']);
  await relay!.mx.received(7);
  const [first, second] = notices(relay!);
  expect(notices(relay!)).toHaveLength(2);
  expect(first!.mailFrom).toBe('');
  const text = first!.data.toString();
  expect(text).toMatch(/^Subject: relay\.test: app@sender\.test has used 80 % of 5 messages\s+per day/m);
  expect(text).toMatch(/^DKIM-Signature: [\s\S]*d=relay\.test/m);
  expect(text).toMatch(/^Auto-Submitted: auto-generated\r$/m);
  expect(text).toContain('has used 4 of 5 messages per day');
  expect(second!.data.toString()).toMatch(/100 % of 5 messages/);
  expect(await logged('limit', (line) => line['percent'] === 80)).toMatchObject({ user: USER, kind: 'messages', used: 4 });
  const id = /^Message-ID: <([^.@]+)\./m.exec(text)![1];
  expect(await logged('accepted', (line) => line['queueId'] === id)).toMatchObject({ user: null, recipients: [OPERATOR] });
  await logged('relayed', (line) => line['queueId'] === id);

  await relay!.close();
  const again = await start(options);
  expect(await sendAll(again.ports.submissions, 2)).toEqual(['450 4.7.1', '450 4.7.1']);
  expect(notices(again)).toHaveLength(0);
  expect(again.log.some(({ event }) => event === 'limit')).toBe(false);
}, 30_000);

test('also where a message is refused before the limit is used up', async () => {
  const { ports, mx } = await start({
    yaml: `operator: ${OPERATOR}\nlimits: { recipients: [5/day], messages: [], newRecipients: [] }`,
  });
  const two = ['a@dest.test', 'b@dest.test'];
  const client = await openClient(ports.submissions, { tls: true });
  await client.login();
  expect(await client.message({ to: two, text: TEXT })).toMatch(/^250 /);
  expect(await client.message({ to: [...two, 'c@dest.test', 'd@dest.test'], text: TEXT })).toMatch(/^450 4\.7\.1 /);
  client.close();
  const [, notice] = await mx.received(2);
  expect(notice!.data.toString()).toMatch(/100 % of 5 recipients\s+per day/);
});

test('only by the log if there is no operator', async () => {
  const { ports, logged, mx } = await start({ yaml: 'limits: { messages: [1/day], newRecipients: [] }' });
  await sendAll(ports.submissions, 1);
  expect(await logged('limit')).toMatchObject({ percent: 100, used: 1, count: 1, per: 'day' });
  await logged('relayed');
  expect(mx.count()).toBe(1);
});
