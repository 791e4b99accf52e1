/** Other threads share the store: each request is answered at its own port, and changes are heard by all. */
import { join } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { StoreClient } from '../../../src/store/sqlite/client.ts';
import { JoinedClient } from '../../../src/store/sqlite/joined-client.ts';
import { joinStore, openStore } from '../../../src/store/store.ts';
import { dataDir, newMessage, testStore, until } from '../../support/store-rig.ts';

async function shared(count: number) {
  const path = dataDir();
  const store = await openStore({ store: 'sqlite', dataDir: path });
  onTestFinished(() => store.close());
  const joined = Array.from({ length: count }, () => {
    let port: MessagePort | undefined;
    const end = store.share((next) => {
      port = next;
    });
    return { end, ...joinStore({ store: 'sqlite', dataDir: path }, port!) };
  });
  return { store, joined };
}

test('requests of several threads at once share commits, and each gets its own answer and its own bytes', async () => {
  const { store, joined } = await shared(3);
  const accepted = [store, ...joined].map(async ({ messages }, thread) => {
    const results = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const bytes = new TextEncoder().encode(`thread ${thread}, message ${i}`);
        const message = newMessage({ to: ['a@dest.example'] });
        const result = await messages.accept({ message: { ...message, content: { kind: 'inline', bytes } } });
        if (!('content' in result) || result.content.kind !== 'inline') return 'no content';
        const read = await messages.content(message.id);
        return `${Buffer.from(result.content.bytes)} = ${read?.kind === 'inline' ? Buffer.from(read.bytes) : 'nothing'}`;
      }),
    );
    return results.filter((line, i) => line !== `thread ${thread}, message ${i} = thread ${thread}, message ${i}`);
  });
  expect((await Promise.all(accepted)).flat()).toEqual([]);
});

test('a refused request of one thread leaves the requests of the others as they are', async () => {
  const { store, joined } = await shared(2);
  const [one, two] = joined;
  const results = await Promise.allSettled([
    store.operation.setValue('a', '1'),
    one!.messages.accept({ message: newMessage({ to: [] }) }),
    two!.operation.setValue('b', '2'),
  ]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect([await one!.operation.value('a'), await store.operation.value('b')]).toEqual(['1', '2']);
});

test('a change by one thread is heard by all, and by its own before it resolves', async () => {
  const { store, joined } = await shared(2);
  const heard: string[][] = [[], [], []];
  for (const [i, { onChange }] of [store, ...joined].entries()) onChange((changes) => void heard[i]!.push(...changes));
  await joined[0]!.operation.setValue('colour', 'blue');
  expect(heard[1]).toEqual(['value:colour']);
  await until(async () => heard.every((changes) => changes.includes('value:colour')));
});

test('a thread that ends while it waits for answers harms no other', async () => {
  const { store, joined } = await shared(1);
  const [one] = joined;
  void one!.operation.setValue('a', '1').catch(() => {});
  await new Promise(setImmediate);
  one!.end();
  one!.close();
  await store.operation.setValue('b', '2');
  expect(await store.operation.value('b')).toBe('2');
});

test('a shared store goes on when its thread has started again', async () => {
  const path = dataDir();
  await (await testStore({ dataDir: path })).close();
  const worker = { path: join(path, 'smarthost.db'), spoolDir: join(path, 'spool'), busyTimeout: 1000 };
  const client = new StoreClient({ worker, unlink: () => {} });
  await client.start();
  onTestFinished(() => client.close());
  let joined: JoinedClient | undefined;
  client.share((port) => {
    if (joined === undefined) joined = new JoinedClient(port);
    else joined.renew(port);
  });
  await joined!.call('ping', 1);
  const waiting = joined!.call('ping', 2);
  await Promise.allSettled([client.call('noSuchOperation' as 'ping', 0), waiting]);
  await until(() =>
    joined!.call('ping', 3).then(
      () => true,
      () => false,
    ),
  );
});
