/** A database that went back in time: what waits in it is held before anybody can send it twice. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Outcome } from '../../src/smtp/outcome.ts';
import { openPostgres } from '../../src/store/postgres/postgres-store.ts';
import type { Claim, OpenedStore } from '../../src/store/store.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, newDatabase, PostgresServer } from '../support/postgres.ts';
import { mustRun } from '../support/program.ts';
import { delayed, message, recipient, relayed, startRig } from '../support/queue-rig.ts';
import { dataDir, delay, LEASE, NOW, newMessage, put, relay, statesOf, until } from '../support/store-rig.ts';

const MINUTE = 60_000;

describe.skipIf(!requirePeer('postgresql', hasPostgres))('a database that went back in time', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.create();
  });
  afterAll(() => server?.remove());

  /** The store of a relay whose data directory is `folder`, and what it says. */
  async function openRelay(database: string, folder = join(dataDir(), 'made'), troubles: string[] = []) {
    const found: unknown[] = [];
    const store = await openPostgres({
      server: server.options(database),
      node: folder,
      pastFile: join(folder, 'database.seen'),
      onWentBack: (went) => void found.push(went),
      onTrouble: ({ message }) => void troubles.push(message),
    });
    onTestFinished(() => store.close());
    store.announce('the settings');
    return { store, found, folder };
  }
  const lifeOf = async (database: string) => (await server.sql('SELECT at FROM smarthost.life', database))[0]!['at'];
  const goBack = (database: string, by: number) => server.sql(`UPDATE smarthost.life SET at = at - ${by}`, database);
  /** What the database says now is acknowledged to this relay. */
  const knows = async (database: string, { folder }: { folder: string }) => {
    const at = Number(await lifeOf(database));
    await until(() => {
      const file = join(folder, 'database.seen');
      return existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).at >= at;
    });
  };
  const claim = (store: OpenedStore) =>
    store.messages.claim({ destination: 'example.net', now: NOW + MINUTE, limit: 10, lease: LEASE });

  test('holds all mail that waits in it, in the hands of a relay that works on it, and takes new mail', async () => {
    const database = await newDatabase(server);
    const running = await openRelay(database);
    const { store, found } = running;
    const [sent, tried, twice] = [newMessage(), newMessage(), newMessage({ to: ['a@example.net', 'b@example.net'] })];
    for (const message of [sent, tried, twice]) await put(store, message);
    await delay(store, tried.id, NOW + 1);
    await relay(store, twice.id);
    const copy = `${server.folder}-copy`;
    onTestFinished(() => rmSync(copy, { recursive: true, force: true }));
    await server.stop();
    await mustRun('cp', ['-a', server.folder, copy]);
    await server.start();
    await relay(store, sent.id);
    await server.sql(`UPDATE smarthost.life SET at = at + ${MINUTE}`, database); // as if a minute went by
    await knows(database, running);
    expect(found).toEqual([]);

    await server.stop();
    rmSync(server.folder, { recursive: true });
    await mustRun('cp', ['-a', copy, server.folder]);
    await server.start();
    expect(await claim(store)).toEqual([]);
    expect(await Promise.all([sent, tried, twice].map(({ id }) => statesOf(store, id)))).toEqual([
      ['held'],
      ['held'],
      ['relayed', 'held'],
    ]);
    expect(found).toEqual([{ seconds: expect.any(Number), messages: 3, recipients: 3 }]);
    expect((found[0] as { seconds: number }).seconds).toBeGreaterThanOrEqual(60);
    const next = await put(store, newMessage());
    expect((await claim(store)).map(({ message }) => message.id)).toEqual([next.id]);
    expect((await store.messages.counts()).states).toEqual({ active: 1, held: 3 });
  });

  test('gets back, held, what relays have in their hands and the backup does not have, and an attempt under way settles it', async () => {
    const database = await newDatabase(server);
    const answers = new Map<string, (outcome: Outcome) => void>();
    const deliver = ({ recipients }: Claim) =>
      Promise.all(
        recipients.map(
          ({ address }) => new Promise<Outcome>((resolve) => answers.set(address.slice(0, address.indexOf('@')), resolve)),
        ),
      );
    const running = await Promise.all([openRelay(database), openRelay(database)]);
    const queues = running.map(({ store }, i) =>
      startRig({ store: store.messages, restored: store.restored, deliver, owner: `relay${i}`, now: store.now }),
    );
    onTestFinished(() => Promise.all(queues.map(({ queue }) => queue.close(0))).then(() => {}));
    const folder = `${server.folder}-earlier`;
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    await server.stop();
    await mustRun('cp', ['-a', server.folder, folder]);
    await server.start();
    const add = async (by: number, ...to: string[]) => {
      const added = await queues[by]!.queue.add({ message: message(to.map((one) => recipient(one))) });
      return (added as { id: string }).id;
    };
    const both = await add(0, 'sent@a.test', 'left@b.test');
    const other = await add(1, 'late@a.test');
    await until(() => answers.size === 3);
    await server.sql(`UPDATE smarthost.life SET at = at + ${MINUTE}`, database); // as if a minute went by
    await Promise.all(running.map((one) => knows(database, one)));

    await server.stop();
    rmSync(server.folder, { recursive: true });
    await mustRun('cp', ['-a', folder, server.folder]);
    await server.start();
    await Promise.all(queues.map((rig) => rig.logged('putBack')));
    expect(running.flatMap(({ found }) => found)).toHaveLength(1);
    const { store } = running[0]!;
    expect(await Promise.all([both, other].map((id) => statesOf(store, id)))).toEqual([['held', 'held'], ['held']]);
    expect(await Promise.all([both, '1kdwpvng00000none'].map((id) => store.restored!.lacks(id)))).toEqual([false, true]);
    answers.get('sent')!(relayed);
    answers.get('late')!(delayed);
    await until(async () => (await statesOf(store, both)).includes('relayed'));
    expect(await statesOf(store, both)).toEqual(['relayed', 'held']);
    await until(async () => (await store.messages.get(other, { from: 0, limit: 1 }))?.recipients[0]?.attempts === 1);
    expect(await statesOf(store, other)).toEqual(['held']);
    expect((await store.messages.content(both))?.kind).toBe('inline');
    expect((await store.messages.counts()).states).toEqual({ held: 2 });
  });

  test('is found by a relay that was stopped meanwhile, once, though several start at the same moment', async () => {
    const database = await newDatabase(server);
    const before = await Promise.all([openRelay(database), openRelay(database)]);
    const message = await put(before[0].store);
    await Promise.all(before.map((one) => knows(database, one)));
    await Promise.all(before.map(({ store }) => store.close()));
    await goBack(database, MINUTE);
    const after = await Promise.all(before.map(({ folder }) => openRelay(database, folder)));
    expect(after.flatMap(({ found }) => found)).toEqual([{ seconds: expect.any(Number), messages: 1, recipients: 1 }]);
    expect(await statesOf(after[0]!.store, message.id)).toEqual(['held']);
  });

  test('is found before anything is claimed, where it was restored under open connections', async () => {
    const database = await newDatabase(server);
    const running = await openRelay(database);
    const message = await put(running.store);
    await knows(database, running);
    await server.sql(
      `WITH w AS (UPDATE smarthost.writers SET mark = mark + 1) UPDATE smarthost.life SET at = at - ${MINUTE}`,
      database,
    );
    expect(await claim(running.store)).toEqual([]);
    expect(await statesOf(running.store, message.id)).toEqual(['held']);
    expect(running.found).toEqual([{ seconds: expect.any(Number), messages: 1, recipients: 1 }]);
  });

  test('would not be noticed without the file, which is said once, and mail is taken', async () => {
    const database = await newDatabase(server);
    const file = join(dataDir(), 'file');
    writeFileSync(file, '');
    const troubles: string[] = [];
    const { store } = await openRelay(database, join(file, 'under a file'), troubles);
    await until(() => troubles.length > 0);
    store.announce('other settings'); // a sign of life at once
    await until(
      async () =>
        (await server.sql('SELECT config_digest FROM smarthost.nodes', database))[0]?.['config_digest'] === 'other settings',
    );
    await put(store);
    expect(store.condition()).toBe('ready');
    expect(troubles).toEqual([expect.stringContaining('database.seen cannot be written (ENOTDIR): a restore of the database')]);
  });

  test('is not one that a failover has cost two signs of life, nor another database, nor one that nothing is known of', async () => {
    const [database, other] = [await newDatabase(server), await newDatabase(server)];
    const first = await openRelay(database);
    const message = await put(first.store);
    await knows(database, first);
    await first.store.close();
    await goBack(database, 10_000);
    const failover = await openRelay(database, first.folder);
    expect(await statesOf(failover.store, message.id)).toEqual(['queued']);
    await failover.store.close();
    const { store } = await openRelay(other);
    await put(store);
    await store.close();
    await goBack(other, MINUTE);
    const elsewhere = await openRelay(other, first.folder);
    await goBack(database, MINUTE);
    const newcomer = await openRelay(database);
    expect([failover, elsewhere, newcomer].flatMap(({ found }) => found)).toEqual([]);
    expect(await statesOf(newcomer.store, message.id)).toEqual(['queued']);
  });
});
