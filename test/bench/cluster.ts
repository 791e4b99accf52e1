/**
 * A primary and the synchronous standby that it waits for, until they are killed: what `peer.sh` has beside a relay on PostgreSQL.
 *
 *     node test/bench/cluster.ts FOLDER FIGURES [setting=value …]
 *
 * FOLDER gets their files and, when the database takes connections, `server.json` (where it is) and `password`. FIGURES is written again
 * and again while there are commits: processor time of both servers, commits, messages and bytes of log, from the first message after SIGUSR1.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { OWNER, OWNER_PASSWORD, PostgresServer } from '../support/postgres.ts';

const [folder = '', figures = '', ...more] = process.argv.slice(2);
const LOOK = 250;
const DATABASE = 'smarthost';
const COUNTED = `
  SELECT d.xact_commit::int AS commits, pg_current_wal_lsn() - '0/0' AS log,
    (SELECT n_tup_ins::int FROM pg_stat_user_tables WHERE schemaname = 'smarthost' AND relname = 'messages') AS messages
  FROM pg_stat_database d WHERE datname = '${DATABASE}'`;

const settings = {
  ...{ shared_buffers: '512MB', max_wal_size: '4GB', wal_keep_size: '1GB', autovacuum_naptime: '1min' },
  ...Object.fromEntries(more.map((one) => one.split(/=(.*)/s).slice(0, 2))),
};
const primary = await PostgresServer.create(settings, folder);
await primary.sql(`CREATE DATABASE ${DATABASE} OWNER ${OWNER}`);
const standby = await primary.standby('b');
await primary.set({ synchronous_standby_names: 'b' });
writeFileSync(join(folder, 'password'), OWNER_PASSWORD, { mode: 0o600 });
writeWhole(join(folder, 'server.json'), primary.options(DATABASE, { durability: 'two', user: OWNER, password: OWNER_PASSWORD }));

const client = new Client({ host: '127.0.0.1', port: primary.port, user: 'postgres', database: DATABASE });
await client.connect();
let last = await look();
let first = last;
/** Nothing counts before the first message that comes after the signal. */
let waits = false;
process.on('SIGUSR1', () => (waits = true));
for (;;) {
  await sleep(LOOK);
  const now = await look();
  waits &&= now.messages === last.messages;
  if (waits) first = now;
  const isNew = now.commits !== last.commits;
  last = now;
  if (waits || !isNew) continue;
  const since = Object.entries(now).map(([name, value]) => [
    name,
    Math.round((value - first[name as keyof typeof now]) * 100) / 100,
  ]);
  writeWhole(figures, Object.fromEntries(since));
}

async function look() {
  const { commits, log, messages } = (await client.query(COUNTED)).rows[0];
  return { primary: primary.cpuSeconds(), standby: standby.cpuSeconds(), commits, messages: messages ?? 0, log: Number(log) };
}

/** Whoever reads the file finds all of it. */
function writeWhole(path: string, content: unknown): void {
  writeFileSync(`${path}.new`, JSON.stringify(content));
  renameSync(`${path}.new`, path);
}
