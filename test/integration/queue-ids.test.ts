/** Two messages with the same queue ID: the first keeps it, the second gets another one, and neither is lost. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Report } from '../../src/queue/queue.ts';
import type { MessageStore, NewMessage, Store } from '../../src/store/store.ts';
import { failed, message, type Rig, recipient, relayed, startRig } from '../support/queue-rig.ts';
import { statesOf, testStore } from '../support/store-rig.ts';

let store: Store;
let rig: Rig | undefined;
beforeEach(async () => {
  store = await testStore();
});
afterEach(() => rig?.queue.close(0));

const text = (id: string, subject: string) =>
  `Received: by relay.example.net with ESMTPSA id ${id};\r\n Sun, 31 Jan 2027 12:00:00 +0000\r\nSubject: ${subject}\r\n\r\nid ${id}\r\n`;

/** A message as preparation makes it: the field in front names the queue ID. */
function mail(to: string, change: Partial<NewMessage> = {}): NewMessage {
  const made = message([recipient(to)], change);
  const bytes = new Uint8Array(Buffer.from(text(made.id, to)));
  return { ...made, size: bytes.length, content: { kind: 'inline', bytes }, ...change };
}

/** Does what it is asked for, and says once that it failed. */
function losingAccept(): MessageStore {
  let left = 1;
  return {
    ...store.messages,
    async accept(request) {
      const result = await store.messages.accept(request);
      if (left-- > 0) throw Object.assign(new Error('The thread of the store ended'), { code: 'ESTORE' });
      return result;
    },
  };
}

test('for a queue ID that exists a new one is drawn: the client gets 250, the first message stays, both are delivered', async () => {
  const seen: string[] = [];
  rig = startRig({
    store: store.messages,
    deliver: async ({ content, recipients }) => {
      if (content.kind === 'inline') seen.push(Buffer.from(content.bytes).toString());
      return recipients.map(() => relayed);
    },
  });
  const first = mail('first@example.org');
  const second = mail('second@example.org', { id: first.id });
  await store.messages.accept({ message: first });
  const added = await rig.queue.add({ message: second });
  if (!added.accepted) throw new Error('refused');
  expect(added.id).not.toBe(first.id);
  rig.queue.wake();
  await rig.logged('relayed', 2);
  expect(rig.of('relayed').map(({ fields }) => [fields['queueId'], fields['recipient']])).toEqual(
    expect.arrayContaining([
      [first.id, 'first@example.org'],
      [added.id, 'second@example.org'],
    ]),
  );
  // The field in front tells the new one; what was signed and written by others stays as it was.
  expect(seen).toContain(text(added.id, 'second@example.org').replace(/id \w+\r\n$/, `id ${first.id}\r\n`));
});

test('a message counts once against a limit if its queue ID is drawn again', async () => {
  rig = startRig({ store: store.messages });
  const first = mail('first@example.org');
  await store.messages.accept({ message: first });
  const list = [{ kind: 'messages', count: 5, per: 'day' }] as const;
  const second = mail('second@example.org', { id: first.id });
  const added = await rig.queue.add({ message: second, limits: { user: 'anna', list, over: 'refuse' } });
  expect(added).toMatchObject({ accepted: true, use: [{ used: 1 }] });
});

test('a failed accept does not change another message with the same queue ID', async () => {
  const first = mail('first@example.org');
  await store.messages.accept({ message: first });
  await store.messages.hold({ all: true }, Date.now());
  const broken: MessageStore = {
    ...store.messages,
    async accept() {
      throw Object.assign(new Error('disk I/O error'), { code: 'EIO' });
    },
  };
  rig = startRig({ store: broken });
  let gone = false;
  const discard = async () => {
    gone = true;
  };
  await expect(rig.queue.add({ message: mail('second@example.org', { id: first.id }), discard })).rejects.toThrow('disk');
  await expect.poll(() => gone).toBe(true);
  expect(await statesOf(store, first.id)).toEqual(['held']);
  expect(await store.messages.content(first.id)).toBeDefined();
});

test('if the answer about the new queue ID is lost too, only that message is removed', async () => {
  const first = mail('first@example.org');
  await store.messages.accept({ message: first });
  await store.messages.hold({ all: true }, Date.now());
  let asked = 0;
  const lossy = losingAccept();
  rig = startRig({
    store: {
      ...lossy,
      accept: (request) => (asked++ === 0 ? store.messages.accept(request) : lossy.accept(request)),
    },
  });
  await expect(rig.queue.add({ message: mail('second@example.org', { id: first.id }) })).rejects.toThrow('thread');
  await expect
    .poll(async () => (await store.messages.list({ states: ['removed'] })).map((m) => m.recipients[0]!.address))
    .toEqual(['second@example.org']);
  expect(await statesOf(store, first.id)).toEqual(['held']);
});

test('a report whose queue ID exists is stored and logged under another one', async () => {
  const first = mail('first@example.org');
  await store.messages.accept({ message: first });
  await store.messages.hold({ all: true }, Date.now());
  const report: Report = {
    ...mail('a@example.net', { id: first.id, user: null, reversePath: '', about: 'x' }),
    action: 'failed',
  };
  rig = startRig({
    store: store.messages,
    deliver: async ({ message: { reversePath }, recipients }) => recipients.map(() => (reversePath === '' ? relayed : failed)),
    report: async () => [report],
  });
  await rig.queue.add({ message: mail('gone@example.org') });
  await rig.logged('relayed');
  const id = rig.of('reported')[0]!.fields['queueId'] as string;
  expect(id).not.toBe(first.id);
  expect(rig.of('relayed')[0]!.fields).toMatchObject({ queueId: id, recipient: 'a@example.net' });
  expect(await statesOf(store, first.id)).toEqual(['held']);
});

test('a stored report is not stored twice if only the answer was lost', async () => {
  let left = 1;
  rig = startRig({
    store: {
      ...store.messages,
      async told(told) {
        const stored = await store.messages.told(told);
        if (left-- > 0) throw Object.assign(new Error('ended'), { code: 'ESTORE' });
        return stored;
      },
    },
    deliver: async ({ message: { reversePath }, recipients }) => recipients.map(() => (reversePath === '' ? relayed : failed)),
    report: async () => [{ ...mail('a@example.net', { user: null, reversePath: '', about: 'x' }), action: 'failed' }],
  });
  await rig.queue.add({ message: mail('gone@example.org') });
  await expect.poll(() => left).toBe(0);
  rig.queue.wake();
  await rig.logged('relayed');
  await rig.queue.close(1000);
  expect(rig.of('relayed')).toHaveLength(1);
});
