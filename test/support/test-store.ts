/** `TEST_STORE=postgres` runs the whole relays of tests on PostgreSQL: one server for each file of tests, and a database for each relay. */
import { createHash } from 'node:crypto';
import { PostgresServer } from './postgres.ts';

let server: Promise<PostgresServer> | undefined;
const made = new Map<string, Promise<unknown>>();

/** The setting `store` of a relay with this data directory, which has the same database each time. undefined: as shipped. */
export async function testStore(dataDir: string) {
  if (process.env['TEST_STORE'] !== 'postgres') return undefined;
  server ??= PostgresServer.create();
  const one = await server;
  const database = `mail_${createHash('sha256').update(dataDir).digest('hex').slice(0, 16)}`;
  if (!made.has(database)) made.set(database, one.sql(`CREATE DATABASE ${database}`));
  await made.get(database);
  return { postgres: [`127.0.0.1:${one.port}`], database, user: 'postgres', tls: 'none', durability: 'one' };
}

// Benchmarks have no hooks: what they leave is removed by a later run.
if (process.env['TEST_STORE'] !== undefined && process.env['VITEST'] !== undefined)
  (await import('vitest')).afterAll(async () => (await server)?.remove());
