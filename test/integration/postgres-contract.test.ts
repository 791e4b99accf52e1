/** The promises of every store, on PostgreSQL: a server that the tests start, and a database for each of them. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { joinPostgres, openPostgres } from '../../src/store/postgres/postgres-store.ts';
import type { Change, JoinedStore, OpenedStore } from '../../src/store/store.ts';
import { DAY, MINUTE } from '../../src/system/clock.ts';
import { everyContract } from '../contract/every.ts';
import type { Subject } from '../contract/store.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, newDatabase, OWNER, OWNER_PASSWORD, PostgresServer } from '../support/postgres.ts';
import { bytesOf, NOW, newMessage, until, wholeContent } from '../support/store-rig.ts';

/** The clock of a database that shows the times which the tests give: the store itself asks the database alone. */
class TestTimes {
  readonly #server: PostgresServer;
  readonly #database: string;

  constructor(server: PostgresServer, database: string) {
    this.#server = server;
    this.#database = database;
  }

  async begin(): Promise<void> {
    await this.#server.sql(
      `CREATE TABLE smarthost.test_time AS SELECT ${NOW}::bigint AS at;
       CREATE OR REPLACE FUNCTION smarthost.time_ms() RETURNS bigint LANGUAGE sql AS 'SELECT at FROM smarthost.test_time'`,
      this.#database,
    );
  }

  follow(store: OpenedStore): OpenedStore {
    const at = <A extends unknown[], R>(timeOf: (...args: A) => number, run: (...args: A) => Promise<R>) => {
      return async (...args: A): Promise<R> => {
        const sql = `UPDATE smarthost.test_time SET at = ${timeOf(...args)}::bigint WHERE at <> ${timeOf(...args)}::bigint`;
        await this.#server.sql(sql, this.#database);
        return run(...args);
      };
    };
    const { messages, credentials, operation } = store;
    return {
      ...store,
      messages: {
        ...messages,
        accept: at(({ message }) => message.acceptedAt, messages.accept),
        limitUse: at((_user, _limits, now) => now, messages.limitUse),
        releaseOverLimit: at(({ now }) => now, messages.releaseOverLimit),
      },
      credentials: {
        ...credentials,
        putFailures: at((_counts, now) => now, credentials.putFailures),
        failures: at((now) => now, credentials.failures),
      },
      operation: { ...operation, takeLease: at((_name, _owner, _until, now) => now, operation.takeLease) },
    };
  }
}

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
      const times = new TestTimes(server, database);
      await times.begin();
      return {
        ...{ one: times.follow(one), two: times.follow(two) },
        pass: async (ms) =>
          void (await server.sql('UPDATE smarthost.owners SET beat_at = beat_at - $1 WHERE beat_at > 0', database, [ms])),
        close: async () => void (await Promise.all([one.close(), two.close()])),
      };
    },
  };
  everyContract(postgres);

  test('failed logins of two machines are counted together, and a window that has ended begins anew', async () => {
    const { one, two, close } = await postgres.open();
    onTestFinished(close);
    const count = (now: number, inMinute = 1, inDay = 1) => ({
      ...{ key: '192.0.2.1', inMinute, minuteEndsAt: now + MINUTE, inDay, dayEndsAt: now + DAY },
    });
    expect(await one.credentials.putFailures([count(NOW)], NOW)).toEqual([count(NOW)]);
    expect(await two.credentials.putFailures([count(NOW + 1)], NOW + 1)).toEqual([count(NOW, 2, 2)]);
    expect(await one.credentials.putFailures([count(NOW, 2, 2)], NOW + 2)).toEqual([count(NOW, 3, 3)]);
    expect(await two.credentials.failures(NOW + 3)).toEqual([count(NOW, 3, 3)]);
    const later = NOW + MINUTE;
    expect(await two.credentials.putFailures([count(later)], later)).toEqual([
      { ...count(NOW, 1, 4), minuteEndsAt: later + MINUTE },
    ]);
  });

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
    await server.sql('UPDATE smarthost.format SET version = 99, min_version = 98', database);
    await expect(openPostgres(options)).rejects.toThrow('The database was written by a newer smarthost (format 99');
  });

  test('a user who may not make tables is told so', async () => {
    const database = await newDatabase(server);
    const options = server.options(database, { user: OWNER, password: OWNER_PASSWORD });
    await expect(openPostgres({ server: options })).rejects.toThrow('The user of the database may not make tables');
  });
});
