/** The store's thread may end: requests that waited for it do not count as done, and it starts again. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { StoreClient } from '../../../src/store/sqlite/client.ts';
import { dataDir, newMessage, put, testStore, until } from '../../support/store-rig.ts';

async function startedClient(onTrouble: (error: Error) => void = () => {}) {
  const path = dataDir();
  await (await testStore({ dataDir: path })).close();
  const worker = { path: join(path, 'smarthost.db'), spoolDir: join(path, 'spool'), busyTimeout: 1000 };
  const client = new StoreClient({ worker, onTrouble, unlink: () => {} });
  await client.start();
  return client;
}

/** No such operation: the thread cannot go on. */
const fatal = (client: StoreClient) => client.call('noSuchOperation' as 'ping', 0);

test('requests that wait for an ending thread are rejected, and the next thread works', async () => {
  const trouble: string[] = [];
  const client = await startedClient((error) => void trouble.push(error.message));
  const results = await Promise.allSettled([client.call('ping', 1), fatal(client), client.call('ping', 2)]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  await expect(client.call('ping', 3)).rejects.toThrow('starts again');
  expect(trouble).toHaveLength(1);
  await until(() =>
    client.call('ping', 4).then(
      () => true,
      () => false,
    ),
  );
  await client.close();
});

test('a store that is closed while its thread starts again stays closed', async () => {
  const client = await startedClient();
  await fatal(client).catch(() => {});
  await client.close();
  await expect(client.call('ping', 1)).rejects.toThrow('closed');
});

test('a read does not wait until all mail is accepted that came before it', async () => {
  const store = await testStore();
  let accepted = 0;
  const all = Array.from({ length: 3000 }, () => put(store).then(() => accepted++)); // a dozen commits
  await store.messages.due(Date.now(), 1);
  expect(accepted).toBeLessThan(1500);
  await Promise.all(all);
});

test('a message without recipients is refused: it would never end', async () => {
  await expect(put(await testStore(), newMessage({ to: [] }))).rejects.toThrow('no recipient');
});
