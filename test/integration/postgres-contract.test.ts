/** The promises of every store, on PostgreSQL: a server that the tests start, and a database for each of them. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { joinPostgres, openPostgres } from '../../src/store/postgres/postgres-store.ts';
import type { Change, JoinedStore, OpenedStore } from '../../src/store/store.ts';
import { everyContract } from '../contract/every.ts';
import type { Subject } from '../contract/store.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, newDatabase, OWNER, OWNER_PASSWORD, PostgresServer } from '../support/postgres.ts';
import { bytesOf, NOW, newMessage, until, wholeContent } from '../support/store-rig.ts';

describe.skipIf(!requirePeer('postgresql', hasPostgres))('a store on PostgreSQL', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.create();
  });
  afterAll(() => server?.remove());

  const postgres: Subject = {
    name: 'PostgreSQL',
    async open() {
      const database = await newDatabase(server);
      const options = { server: server.options(database) };
      const [one, two] = await Promise.all([openPostgres(options), openPostgres(options)]);
      return {
        ...{ one, two },
        pass: async (ms) =>
          void (await server.sql('UPDATE smarthost.owners SET beat_at = beat_at - $1 WHERE beat_at > 0', database, [ms])),
        close: async () => void (await Promise.all([one.close(), two.close()])),
      };
    },
  };
  everyContract(postgres);

  test('another thread of the process shares the store: its mail, its large bodies, and what it hears of changes', async () => {
    const { one, close } = await postgres.open();
    onTestFinished(close);
    const joined = await new Promise<JoinedStore>((resolve) => (one as OpenedStore).share((port) => resolve(joinPostgres(port))));
    onTestFinished(() => joined.close());
    const [here, there] = [new Set<Change>(), new Set<Change>()];
    one.onChange((changes) => {
      for (const change of changes) here.add(change);
    });
    joined.onChange((changes) => {
      for (const change of changes) there.add(change);
    });
    const body = randomBytes(600_000);
    const writer = await joined.messages.createSpool();
    await writer.write(body);
    const message = newMessage({ content: { kind: 'spooled', prefix: bytesOf('prefix'), spool: await writer.finish() } });
    expect(await joined.messages.accept({ message })).toMatchObject({ accepted: true });
    expect([...here]).toEqual(['queue:example.net']);
    expect(await wholeContent(await one.messages.content(message.id))).toEqual(Buffer.concat([bytesOf('prefix'), body]));
    await one.operation.setValue('a', 'b');
    await until(() => there.has('value:a'));
  });

  test('a message whose content is damaged is held with the reason, and the others continue', async () => {
    const database = await newDatabase(server);
    const damaged: string[] = [];
    const store = await openPostgres({ server: server.options(database), onDamaged: ({ id }) => void damaged.push(id) });
    onTestFinished(() => store.close());
    const messages = [newMessage(), newMessage(), newMessage()];
    for (const message of messages) await store.messages.accept({ message });
    const [first, second, third] = messages.map(({ id }) => id);
    await server.sql(
      `UPDATE smarthost.contents SET bytes = set_byte(bytes, 7, get_byte(bytes, 7) # 1) WHERE message = '${first}'`,
      database,
    );
    await server.sql(`UPDATE smarthost.recipients SET address = 'eve@example.net' WHERE message = '${second}'`, database);
    const claims = await store.messages.claim({ destination: 'example.net', now: NOW, limit: 9, lease: 'one#1' });
    expect(claims.map(({ message }) => message.id)).toEqual([third]);
    expect(damaged.sort()).toEqual([first, second].sort());
    expect((await store.messages.counts()).states).toEqual({ active: 1, held: 2 });
    expect((await store.messages.get(first!))?.recipients[0]).toMatchObject({
      ...{ state: 'held', lastReply: 'Set aside as damaged: its content does not match its checksum' },
    });
  });

  test('two relays that open an empty database at once make its tables once, and a newer format is refused', async () => {
    const database = await newDatabase(server);
    const options = { server: server.options(database) };
    const stores = await Promise.all(Array.from({ length: 4 }, () => openPostgres(options)));
    const nodes = await server.sql('SELECT id FROM smarthost.nodes ORDER BY id', database);
    expect(nodes).toEqual([{ id: 0 }, { id: 1 }, { id: 2 }, { id: 3 }]);
    for (const store of stores) await store.close();
    expect(await server.sql('SELECT id FROM smarthost.nodes', database)).toEqual([]);
    await server.sql('UPDATE smarthost.format SET version = 99', database);
    await expect(openPostgres(options)).rejects.toThrow('The database was written by a newer smarthost (format 99');
  });

  test('a user who may not make tables is told so', async () => {
    const database = await newDatabase(server);
    const options = server.options(database, { user: OWNER, password: OWNER_PASSWORD });
    await expect(openPostgres({ server: options })).rejects.toThrow('The user of the database may not make tables');
  });
});
