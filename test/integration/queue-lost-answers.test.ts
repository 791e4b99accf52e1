/** A store whose answer is lost although the work is done: its thread ends after the commit, or a sync fails after the write. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MessageStore, Store } from '../../src/store/store.ts';
import { message, type Rig, recipient, relayed, startRig } from '../support/queue-rig.ts';
import { testStore } from '../support/store-rig.ts';

type Method = 'accept' | 'claim' | 'settle';

let store: Store;
let rig: Rig | undefined;
beforeEach(async () => {
  store = await testStore();
});
afterEach(() => rig?.queue.close(0));

/** Does everything, and says that it failed as often as `times` tells. */
function losing(method: Method, times = 1): MessageStore {
  let left = times;
  const lossy = async (argument: never) => {
    const result: unknown = await store.messages[method](argument);
    if (left-- > 0) throw Object.assign(new Error('The thread of the store ended'), { code: 'ESTORE' });
    return result;
  };
  return { ...store.messages, [method]: lossy };
}

const recipientsOf = async (id: string) => (await store.messages.get(id))!.recipients;

test('a claim whose answer was lost is given back, and its mail is delivered once by the same process', async () => {
  const waiting = [message([recipient('b@example.org')]), message([recipient('c@example.org')])];
  for (const mail of waiting) await store.messages.accept({ message: mail });
  rig = startRig({ store: losing('claim') });
  await rig.logged('relayed', 2);
  expect(rig.claims).toHaveLength(2);
  expect(rig.of('givenBack')).toMatchObject([{ fields: { recipients: 2 } }]);
});

test('mail that is being delivered keeps its lease', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  rig = startRig({
    store: losing('claim'),
    deliver: async ({ recipients }) => {
      if (recipients[0]!.address.startsWith('slow')) await promise;
      return recipients.map(() => relayed);
    },
  });
  const slow = message([recipient('slow@example.org')]);
  await rig.queue.add({ message: slow });
  await store.messages.accept({ message: message([recipient('b@example.org')]) });
  rig.queue.wake();
  await rig.logged('relayed');
  expect((await recipientsOf(slow.id))[0]!.state).toBe('active');
  resolve();
  await rig.logged('relayed', 2);
  expect(rig.claims).toHaveLength(2);
});

test('a message is not sent if the client was told that it failed, because the client sends it again', async () => {
  rig = startRig({ store: losing('accept') });
  const mail = message([recipient('b@example.org'), recipient('c@example.com')]);
  await expect(rig.queue.add({ message: mail })).rejects.toThrow('thread');
  await expect.poll(async () => (await recipientsOf(mail.id)).map(({ state }) => state)).toEqual(['removed', 'removed']);
  expect(await store.messages.content(mail.id)).toBeUndefined();
  expect(rig.claims).toHaveLength(0);
});

test('its body stays until the store has removed the message, because a crash in between must not leave half a message', async () => {
  const lossy = losing('accept');
  let failing = true;
  const asked = Promise.withResolvers<void>();
  const withdraw: MessageStore['withdraw'] = async (...about) => {
    asked.resolve();
    if (failing) throw Object.assign(new Error('disk I/O error'), { code: 'EIO' });
    return store.messages.withdraw(...about);
  };
  rig = startRig({ store: { ...lossy, withdraw } });
  const mail = message([recipient('b@example.org')]);
  let body = true;
  const discard = async () => {
    body = false;
  };
  await expect(rig.queue.add({ message: mail, discard })).rejects.toThrow('thread');
  await asked.promise;
  expect(await store.messages.content(mail.id)).toBeDefined();
  expect(body).toBe(true);
  failing = false;
  await expect.poll(() => body).toBe(false);
  expect(await store.messages.content(mail.id)).toBeUndefined();
});

test('an outcome that was stored already is logged once, as one attempt', async () => {
  rig = startRig({ store: losing('settle', 2) });
  const mail = message([recipient('b@example.org')]);
  await rig.queue.add({ message: mail });
  await rig.logged('relayed');
  await rig.queue.close(1000);
  expect(rig.of('relayed')).toHaveLength(1);
  expect(await recipientsOf(mail.id)).toMatchObject([{ state: 'relayed', attempts: 1, trace: [{ outcome: 'relayed' }] }]);
});
