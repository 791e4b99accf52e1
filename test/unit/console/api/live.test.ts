/** What comes as it happens: messages and lines of the log. */
import { expect, test, vi } from 'vitest';
import type { BrowseQuery } from '../../../../src/store/store.ts';
import { startTestConsole } from '../../../support/console.ts';
import { quietFacts } from '../../../support/live-facts.ts';
import { newMessage } from '../../../support/store-rig.ts';

type Event = { readonly event: string; readonly id: string; readonly data: any };

/** The events of a stream, as they come. */
async function* eventsOf(pieces: AsyncIterable<string>): AsyncGenerator<Event> {
  let text = '';
  for await (const piece of pieces) {
    text += piece;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const fields = new Map(
        text
          .slice(0, end)
          .split('\n')
          .map((line) => line.split(/: (.*)/s, 2) as [string, string]),
      );
      text = text.slice(end + 2);
      if (fields.has('data')) yield { event: fields.get('event')!, id: fields.get('id')!, data: JSON.parse(fields.get('data')!) };
    }
  }
}

const accepted = (id: string, user = 'shop') =>
  ({
    event: 'accepted',
    fields: { queueId: id, user, reversePath: 'a@b.example', recipients: [], size: 1, messageId: '', signatures: [] },
  }) as const;

test('a message is shown when it is accepted, and again when it changes', async () => {
  const { live, books } = quietFacts();
  await using console = await startTestConsole({ live });
  const { pieces, close } = await console.open('/messages/live?credential=shop');
  const events = eventsOf(pieces);
  const ours = newMessage({ user: 'shop', acceptedAt: Date.now() });
  const other = newMessage({ user: 'exchange', acceptedAt: Date.now() });
  for (const message of [ours, other]) {
    await console.store.messages.accept({ message });
    books.observe(accepted(message.id, message.user!));
  }
  const first = (await events.next()).value as Event;
  expect(first).toMatchObject({ event: 'messages', id: ours.id, data: { more: 0 } });
  expect(first.data.items.map(({ id, states }: any) => [id, states])).toEqual([[ours.id, { queued: 1 }]]);
  await console.store.messages.hold({ ids: [ours.id] }, Date.now());
  books.observe({ event: 'held', fields: { queueId: ours.id, recipient: 'bob@example.net' } });
  const second = (await events.next()).value as Event;
  expect(second.data.items.map(({ states }: any) => states)).toEqual([{ held: 1 }]);
  close();
});

test('mail that another process has accepted is shown too, and what came while the browser was away', async () => {
  await using console = await startTestConsole();
  const before = newMessage({ acceptedAt: Date.now() });
  const missed = newMessage({ acceptedAt: Date.now() });
  for (const message of [before, missed]) await console.store.messages.accept({ message });
  const { pieces, close } = await console.open(`/messages/live?after=${before.id}`);
  const events = eventsOf(pieces);
  const first = (await events.next()).value as Event;
  expect(first.data.items.map(({ id }: any) => id)).toEqual([missed.id]);
  const late = newMessage({ acceptedAt: Date.now() });
  await console.store.messages.accept({ message: late });
  expect(((await events.next()).value as Event).data.items.map(({ id }: any) => id)).toEqual([late.id]);
  close();
});

/** What the store is asked for by those who follow mail. */
function watchBrowse(console: Awaited<ReturnType<typeof startTestConsole>>): BrowseQuery[] {
  const asked: BrowseQuery[] = [];
  const { browse } = console.store.messages;
  Object.assign(console.store.messages, {
    browse: (query: BrowseQuery) => {
      asked.push(query);
      return browse(query);
    },
  });
  return asked;
}

test('mail that was told is left out of the look for mail of other processes', async () => {
  const { live, books } = quietFacts();
  await using console = await startTestConsole({ live });
  const asked = watchBrowse(console);
  const { pieces, close } = await console.open('/messages/live');
  const events = eventsOf(pieces);
  const message = newMessage({ user: 'shop', acceptedAt: Date.now() });
  await console.store.messages.accept({ message });
  books.observe(accepted(message.id));
  await events.next();
  const look = await vi.waitUntil(() => asked.find(({ except }) => except !== undefined), { timeout: 20_000 });
  expect(look.except).toEqual([message.id]);
  close();
});

test('those who follow the same mail share each read of it, and who follows other mail has one of its own', async () => {
  const { live, books } = quietFacts();
  await using console = await startTestConsole({ live });
  const asked = watchBrowse(console);
  const paths = ['/messages/live', '/messages/live', '/messages/live?credential=shop'];
  const streams = await Promise.all(paths.map((path) => console.open(path)));
  const message = newMessage({ user: 'shop', acceptedAt: Date.now() });
  await console.store.messages.accept({ message });
  books.observe(accepted(message.id));
  for (const { pieces } of streams) {
    const { data } = (await eventsOf(pieces).next()).value as Event;
    expect(data.items.map(({ id }: any) => id)).toEqual([message.id]);
  }
  expect(asked.filter(({ ids }) => ids?.includes(message.id) === true).map(({ user }) => user)).toEqual([undefined, 'shop']);
  for (const { close } of streams) close();
});

test('of a flood 100 rows are shown in a frame, and the rest is counted', async () => {
  const { live, books } = quietFacts();
  await using console = await startTestConsole({ live });
  const { pieces, close } = await console.open('/messages/live');
  const reading = eventsOf(pieces);
  const messages = Array.from({ length: 130 }, () => newMessage({ user: 'shop', acceptedAt: Date.now() }));
  await Promise.all(messages.map((message) => console.store.messages.accept({ message })));
  for (const { id } of messages) books.observe(accepted(id));
  for (;;) {
    const { data } = (await reading.next()).value as Event;
    expect(data.items.length).toBeLessThanOrEqual(100);
    if (data.more === 0) continue; // some were seen before they were told of
    expect([data.items.length, data.more]).toEqual([100, 30]);
    break;
  }
  close();
});

test('the log is kept in memory, can be filtered, and goes on by itself', async () => {
  const { live, books } = quietFacts();
  books.log.add('{"level":"info","time":"t","event":"started"}\n{"level":"warn","time":"t","event":"resting"}\n');
  await using console = await startTestConsole({ live });
  const all = (await console.ask('GET', '/log')).body.items;
  expect(all.map(({ seq }: any) => seq)).toEqual([1, 2]);
  expect((await console.ask('GET', '/log?level=warn')).body.items).toHaveLength(1);
  expect((await console.ask('GET', '/log?event=started&after=1')).body.items).toEqual([]);
  expect((await console.ask('GET', '/log', undefined, { as: 'reader' })).status).toBe(403);
  const { pieces, close } = await console.open('/log/live?level=warn&after=0');
  const events = eventsOf(pieces);
  expect(((await events.next()).value as Event).data).toEqual({ items: [{ seq: 2, line: all[1].line }], more: 0 });
  books.log.add('{"level":"error","time":"t","event":"crashed"}\n');
  expect(((await events.next()).value as Event).data.items[0].seq).toBe(3);
  close();
});
