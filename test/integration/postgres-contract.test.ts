/** The promises of every store, on PostgreSQL: a server that the tests start, and a database for each of them. */
import { afterAll, beforeAll, describe } from 'vitest';
import { openPostgres } from '../../src/store/postgres/postgres-store.ts';
import { everyContract } from '../contract/every.ts';
import type { Subject } from '../contract/store.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, newDatabase, PostgresServer } from '../support/postgres.ts';

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
});
