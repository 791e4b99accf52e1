/** Lists of messages and one message, over the API. */
import { expect, test } from 'vitest';
import { startTestConsole } from '../../../support/console.ts';
import { NOW, newMessage } from '../../../support/store-rig.ts';

type Console = Awaited<ReturnType<typeof startTestConsole>>;

async function filled({ store }: Console) {
  const origin = (subject: string) => ({ ip: '192.0.2.7', tls: 'TLSv1.3', mechanism: 'LOGIN', subject });
  const messages = [
    newMessage({ user: 'shop', acceptedAt: NOW - 2, to: ['a@x.example', 'b@y.example'], origin: origin('Invoice 1') }),
    newMessage({ user: 'exchange', acceptedAt: NOW - 1, to: ['c@x.example'], messageId: '<offer@corp.example>' }),
    newMessage({ user: 'shop', acceptedAt: NOW, to: ['d@z.example'], origin: origin('Invoice 2') }),
  ];
  for (const message of messages) await store.messages.accept({ message });
  return messages.map(({ id }) => id);
}

test('a list has pages, the newest first, and each filter is a parameter', async () => {
  await using console = await startTestConsole();
  const ids = await filled(console);
  const found = async (query: string) =>
    (await console.ask('GET', `/messages?${query}`)).body.items.map(({ id }: { id: string }) => ids.indexOf(id));
  const first = (await console.ask('GET', '/messages?limit=2')).body;
  expect(first.items.map(({ id }: { id: string }) => ids.indexOf(id))).toEqual([2, 1]);
  expect(first.items[0]).toMatchObject({ user: 'shop', subject: 'Invoice 2', states: { queued: 1 } });
  expect(await found(`before=${first.next}`)).toEqual([0]);
  expect(await found('credential=SHOP')).toEqual([2, 0]);
  expect(await found('state=waiting,failed&to=%40x.example')).toEqual([1, 0]);
  expect(await found('subject=invoice&destination=y.example')).toEqual([0]);
  expect(await found('messageId=offer%40corp.example')).toEqual([1]);
  expect(await found(`until=${new Date(NOW).toISOString()}&since=${new Date(NOW - 1).toISOString()}`)).toEqual([1]);
});

test('wrong parameters are told all at once', async () => {
  await using console = await startTestConsole();
  const { status, body } = await console.ask('GET', '/messages?limit=501&state=nothing&since=never&colour=red');
  expect(status).toBe(422);
  expect(body.errors.map(({ pointer }: { pointer: string }) => pointer).sort()).toEqual(['colour', 'limit', 'since', 'state']);
});

test('one message has each attempt and what its sender was told', async () => {
  await using console = await startTestConsole();
  const [id] = (await filled(console)) as [string];
  const report = newMessage({ user: null, acceptedAt: NOW, to: ['sender@corp.example'], about: id });
  await console.store.messages.accept({ message: report });
  const { body } = await console.ask('GET', `/messages/${id}`);
  expect(body).toMatchObject({ id, subject: 'Invoice 1', client: { ip: '192.0.2.7' }, about: null });
  expect(body.recipients.map(({ attempts }: { attempts: unknown }) => attempts)).toEqual([[], []]);
  expect(body.reports).toMatchObject([{ id: report.id, recipient: 'sender@corp.example', state: 'queued' }]);
  expect((await console.ask('GET', '/messages/1h8m2k9x70abc')).status).toBe(404);
});

test('the recipients of one message come in parts, each with its attempts', async () => {
  await using console = await startTestConsole();
  const message = newMessage({ user: 'shop', acceptedAt: NOW, to: ['a', 'b', 'c', 'd', 'e'].map((name) => `${name}@x.example`) });
  await console.store.messages.accept({ message });
  const part = async (query: string) => (await console.ask('GET', `/messages/${message.id}?${query}`)).body;
  const names = ({ recipients }: any) => recipients.map(({ recipient }: any) => recipient[0]).join('');
  const first = await part('limit=2');
  expect([names(first), first.next, first.states]).toEqual(['ab', 2, { queued: 5 }]);
  const last = await part(`limit=3&from=${first.next}`);
  expect([names(last), last.next, last.states]).toEqual(['cde', null, { queued: 5 }]);
  expect(names(await part('from=5'))).toBe('');
  expect((await console.ask('GET', `/messages/${message.id}?from=-1`)).status).toBe(422);
});

test('the queue is shown by destination, by credential, and message by message', async () => {
  await using console = await startTestConsole();
  const ids = await filled(console);
  const { body } = await console.ask('GET', '/queue');
  expect(body.items.map(({ name, recipients }: any) => [name, recipients])).toEqual([
    ['x.example', 2],
    ['y.example', 1],
    ['z.example', 1],
  ]);
  expect(body.items[0]).toMatchObject({ messages: 2, states: { queued: 2 }, lastReply: null, rest: null });
  const byUser = (await console.ask('GET', '/queue?by=credential')).body.items;
  expect(byUser.map(({ name, recipients }: any) => [name, recipients])).toEqual([
    ['shop', 3],
    ['exchange', 1],
  ]);
  const messages = (await console.ask('GET', '/queue?by=message&state=waiting')).body;
  expect(messages.items.map(({ id }: any) => ids.indexOf(id))).toEqual([2, 1, 0]);
  expect((await console.ask('GET', '/queue?by=message&state=relayed')).body.items, 'what has ended does not wait').toEqual([]);
  expect((await console.ask('GET', '/queue?subject=x')).status).toBe(422);
});
