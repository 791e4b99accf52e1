/** The files of deploy/cluster with Debian's Patroni, etcd and HAProxy: a primary dies with its agent, and Patroni makes another one. */
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { hasCommand, isRoot, requirePeer } from '../support/peers.ts';
import { BIN, hasPostgres, OWNER, OWNER_PASSWORD, postgresIds } from '../support/postgres.ts';
import { startSharingRelays } from '../support/postgres-relays.ts';
import { freePort, type Program, startProgram, temporaryFolder, until } from '../support/program.ts';
import { arrivalsOf, startLoad } from './cluster-load.ts';

const DEPLOY = new URL('../../deploy/cluster/', import.meta.url).pathname;
const PASSWORD = 'geheim des verwalters';
const present = hasPostgres && hasCommand('patroni', 'etcd', 'haproxy');

type Member = { readonly name: string; readonly port: number; readonly folder: string; readonly patroni: Program };

describe.skipIf(!requirePeer('patroni, etcd-server, haproxy', present))('the reference set-up', () => {
  test('a killed primary is replaced by Patroni while clients wait, and no accepted mail is lost', async () => {
    const temporary = temporaryFolder('patroni');
    onTestFinished(() => temporary.remove());
    chmodSync(temporary.path, 0o755);
    const etcd = await startEtcd(temporary.path);
    const members: Member[] = [];
    for (const name of ['db1', 'db2', 'db3']) members.push(await startMember(name, temporary.path, etcd));
    const roles = () => Promise.all(members.map(async (member) => [await roleOf(member), member] as const));
    const primary = () =>
      until('a primary', async () => (await roles()).find(([role]) => role === 'primary')?.[1], { deadline: 120_000, context });
    const context = () => members.map(({ name, patroni }) => `${name}: ${patroni.output().slice(-1500)}`).join('\n');
    const first = await primary();
    const isWhole = async () => {
      const sql = `SELECT count(*)::int AS n, count(*) FILTER (WHERE sync_state = 'sync')::int AS sync FROM pg_stat_replication WHERE state = 'streaming'`;
      const [row] = await sqlAt((await primary()).port, sql).catch(() => []);
      return row?.['n'] === 2 && row['sync'] >= 1;
    };
    await until('two standbys, one of them synchronous', isWhole, { deadline: 120_000, context });
    await sqlAt(first.port, `CREATE ROLE ${OWNER} LOGIN PASSWORD '${OWNER_PASSWORD}'`);

    const server = { port: first.port, sql: (text: string, database = 'postgres') => sqlAt(first.port, text, database) };
    const sharing = await startSharingRelays(server, {
      servers: members,
      store: { durability: 'two' },
      settings: { submission: { proxyTrust: ['127.0.0.0/8'] } },
    });
    const port = await startProxy(temporary.path, sharing.relays);
    const load = startLoad(sharing, { clients: 5, pause: 100, ports: [port] });
    onTestFinished(() => load.stop());
    await until('load through HAProxy', () => load.accepted.size > 50, { context: () => load.refused.join('\n') });

    const killedAt = performance.now();
    first.patroni.signal('SIGKILL');
    killPostgres(first);
    members.splice(members.indexOf(first), 1);
    const before = load.accepted.size;
    await primary();
    await until('mail is accepted again', () => load.accepted.size > before + 50, { deadline: 120_000, context });
    console.info(`Mail was accepted again ${Math.round((performance.now() - killedAt) / 1000)} s after the kill.`);
    await load.stop();
    const missing = () => {
      const seen = arrivalsOf(sharing);
      return [...load.accepted].filter((token) => !seen.has(token));
    };
    await until('every message at the destination', () => missing().length === 0, {
      deadline: 120_000,
      context: () => missing().join(),
    });
    console.info(
      `${load.accepted.size} messages answered 250, ${load.refused.length} with 4yz: ${[...new Set(load.refused)].join('; ')}`,
    );
    for (const reply of load.refused) expect(reply).toMatch(/^45[14] 4\./);
  }, 600_000);
});

const asPostgres = (command: string, ...args: string[]) =>
  isRoot
    ? { command: 'setpriv', args: ['--reuid=postgres', '--regid=postgres', '--clear-groups', command, ...args] }
    : { command, args };

function ownFolder(path: string): string {
  mkdirSync(path, { mode: 0o700 });
  if (isRoot) chownSync(path, ...postgresIds());
  return path;
}

async function startEtcd(folder: string): Promise<string> {
  const [client, peer] = [await freePort('127.0.0.1'), await freePort('127.0.0.1')];
  const data = ownFolder(join(folder, 'etcd'));
  const url = (port: number) => `http://127.0.0.1:${port}`;
  const program = startProgram(
    asPostgres(
      'etcd',
      ...['--name', 'one', '--data-dir', join(data, 'data'), '--initial-cluster', `one=${url(peer)}`],
      ...['--listen-client-urls', url(client), '--advertise-client-urls', url(client)],
      ...['--listen-peer-urls', url(peer), '--initial-advertise-peer-urls', url(peer)],
    ),
  );
  onTestFinished(() => program.close());
  await until(
    'etcd',
    () =>
      fetch(`${url(client)}/health`).then(
        ({ ok }) => ok,
        () => false,
      ),
    { context: program.output },
  );
  return `127.0.0.1:${client}`;
}

async function startMember(name: string, folder: string, etcd: string): Promise<Member> {
  const [port, rest] = [await freePort('127.0.0.1'), await freePort('127.0.0.1')];
  const own = ownFolder(join(folder, name));
  const env = {
    ...{ PATRONI_NAME: name, PATRONI_ETCD3_HOSTS: etcd, PATRONI_POSTGRESQL_BIN_DIR: BIN!, HOME: own },
    ...{ PATRONI_RESTAPI_LISTEN: `127.0.0.1:${rest}`, PATRONI_RESTAPI_CONNECT_ADDRESS: `127.0.0.1:${rest}` },
    ...{ PATRONI_POSTGRESQL_LISTEN: `127.0.0.1:${port}`, PATRONI_POSTGRESQL_CONNECT_ADDRESS: `127.0.0.1:${port}` },
    ...{ PATRONI_POSTGRESQL_DATA_DIR: join(own, 'data'), PATRONI_POSTGRESQL_PGPASS: join(own, 'pgpass') },
    ...{ PATRONI_SUPERUSER_PASSWORD: PASSWORD, PATRONI_REPLICATION_PASSWORD: PASSWORD },
  };
  const configuration = join(folder, `${name}.yml`);
  writeFileSync(configuration, readFileSync(join(DEPLOY, 'patroni.yml')));
  const patroni = startProgram({ ...asPostgres('patroni', configuration), env, cwd: own });
  const member = { name, port, folder: own, patroni };
  onTestFinished(async () => {
    await patroni.close();
    killPostgres(member);
  });
  return member;
}

/** The server is not a child that ends with its agent. */
function killPostgres({ folder }: Pick<Member, 'folder'>): void {
  const file = join(folder, 'data/postmaster.pid');
  const pid = existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : 0;
  const children = `/proc/${pid}/task/${pid}/children`;
  // A number that another program has got meanwhile is left alone.
  if (pid === 0 || !existsSync(children) || !readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder)) return;
  const backends = readFileSync(children, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  for (const one of [pid, ...backends]) {
    try {
      process.kill(one, 'SIGKILL');
    } catch {
      // it has ended
    }
  }
}

async function sqlAt(port: number, text: string, database = 'postgres'): Promise<Record<string, any>[]> {
  const client = new Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password: PASSWORD,
    database,
    connectionTimeoutMillis: 5000,
  });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

async function roleOf({ port }: Member): Promise<'primary' | 'standby' | undefined> {
  return sqlAt(port, 'SELECT pg_is_in_recovery() AS recovering').then(
    ([row]) => (row!['recovering'] ? 'standby' : 'primary'),
    () => undefined,
  );
}

/** @returns the port of implicit TLS. */
async function startProxy(
  folder: string,
  relays: readonly { ports: { submissions: number; submission: number } }[],
): Promise<number> {
  const [submissions, submission] = [await freePort('127.0.0.1'), await freePort('127.0.0.1')];
  let text = readFileSync(join(DEPLOY, 'haproxy.cfg'), 'utf8').replace('bind :465', `bind 127.0.0.1:${submissions}`);
  text = text.replace('bind :587', `bind 127.0.0.1:${submission}`);
  for (const [i, { ports }] of relays.entries()) {
    text = text.replaceAll(`relay${i + 1}:465`, `127.0.0.1:${ports.submissions}`);
    text = text.replaceAll(`relay${i + 1}:587`, `127.0.0.1:${ports.submission}`);
  }
  const file = join(folder, 'haproxy.cfg');
  writeFileSync(file, text);
  const program = startProgram({ command: 'haproxy', args: ['-db', '-f', file] });
  onTestFinished(() => program.close());
  return submissions;
}
