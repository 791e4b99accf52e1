/** The files of deploy/cluster as Docker Compose reads them. test/cluster runs the same set-up with Debian's programs. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/config.ts';
import { CHECKOUT } from '../support/checkout.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, PostgresServer } from '../support/postgres.ts';
import { run, temporaryFolder } from '../support/program.ts';

const FOLDER = join(CHECKOUT, 'deploy/cluster');
const file = (name: string) => readFileSync(join(FOLDER, name), 'utf8');
type Service = Record<string, any>;
const compose = parse(file('compose.yaml'), { merge: true });
const services = Object.entries<Service>(compose.services);
/** As the shell in the container gets it. */
const scriptOf = ({ command }: Service) => (command.at(-1) as string).replaceAll('$$', '$');

describe('compose.yaml of the cluster', () => {
  test('builds each image once, and no other image is needed', () => {
    const built = services.filter(([, { build }]) => build !== undefined).map(([, { image }]) => image);
    expect(built.toSorted()).toEqual([...new Set(services.map(([, { image }]) => image))].sort());
  });

  test('puts files into containers only in ways that work where their own files are read-only', () => {
    expect(compose).not.toHaveProperty('configs');
    for (const [name, { volumes = [] }] of services)
      for (const volume of volumes as string[]) {
        const [from, , how] = volume.split(':');
        if (from!.startsWith('.')) expect([existsSync(join(FOLDER, from!)), how], `${name}: ${volume}`).toEqual([true, 'ro']);
        else expect(compose.volumes, `${name}: ${volume}`).toHaveProperty(from!);
      }
  });

  test('names only networks, secrets and services that it has', () => {
    for (const [name, { networks = [], secrets = [], depends_on = [] }] of services) {
      for (const network of networks) expect(compose.networks, name).toHaveProperty(network);
      for (const secret of secrets) expect(compose.secrets, name).toHaveProperty(secret);
      for (const other of Array.isArray(depends_on) ? depends_on : Object.keys(depends_on))
        expect(compose.services, name).toHaveProperty(other);
    }
  });

  test('its scripts are scripts, and read secrets that their containers have', () => {
    for (const [name, service] of services.filter(([, { command }]) => command !== undefined)) {
      execFileSync('bash', ['-n'], { input: scriptOf(service) });
      const read = [...scriptOf(service).matchAll(/\/run\/secrets\/(\w+)/g)].map(([, secret]) => secret);
      expect([...new Set(read)].sort(), name).toEqual(service['secrets'].toSorted());
    }
  });

  test('each etcd is one of those that Patroni asks', () => {
    const names = services.filter(([, { environment }]) => environment?.PATRONI_NAME !== undefined).map(([name]) => name);
    expect(names).toHaveLength(3);
    for (const name of names) {
      const service = compose.services[name];
      expect(service.environment.PATRONI_NAME).toBe(name);
      expect(service.environment.PATRONI_ETCD3_HOSTS.split(',')).toEqual(names.map((one) => `${one}:2379`));
      expect(scriptOf(service)).toContain(names.map((one) => `${one}=http://${one}:2380`).join(','));
    }
  });

  test('the relays have the settings in smarthost.yaml, and names of their own that last', async () => {
    const folder = temporaryFolder('cluster');
    onTestFinished(() => folder.remove());
    const password = join(folder.path, 'password');
    writeFileSync(password, 'geheim', { mode: 0o600 });
    const path = join(folder.path, 'smarthost.yaml');
    writeFileSync(path, file('smarthost.yaml').replace('/run/secrets/database', password));
    const loaded = await loadConfig({ file: path, env: {} });
    const { store } = 'problems' in loaded ? expect.unreachable(JSON.stringify(loaded.problems)) : loaded.config;
    const databases = services.filter(([, { image }]) => image === 'smarthost-database').map(([name]) => name);
    expect(store).toMatchObject({ postgres: databases.filter((name) => name !== 'account') });
    const relays = services.filter(([, { image }]) => image === 'smarthost').map(([, { hostname }]) => hostname);
    expect(new Set(relays).size).toBe(2);
    expect(relays).not.toContain(undefined);
  });
});

describe.skipIf(!requirePeer('postgresql', hasPostgres))('the service that makes the account', () => {
  test('makes user and database, also when it runs again, and the user may see standbys', async () => {
    const server = await PostgresServer.create();
    onTestFinished(() => server.remove());
    await server.sql('DROP ROLE smarthost');
    const folder = temporaryFolder('account');
    onTestFinished(() => folder.remove());
    const secrets = join(folder.path, 'secrets');
    mkdirSync(secrets);
    const password = `it's "geheim"`;
    writeFileSync(join(secrets, 'superuser'), 'unused');
    writeFileSync(join(secrets, 'database'), password);
    const script = scriptOf(compose.services['account'])
      .replaceAll('/run/secrets', secrets)
      .replace('PGHOST=db1,db2,db3', `PGHOST=127.0.0.1 PGPORT=${server.port}`);
    for (let i = 0; i < 2; i++) {
      const { code, stderr } = await run('bash', ['-c', script]);
      expect([code, stderr]).toEqual([0, '']);
    }
    const url = `postgres://smarthost:${encodeURIComponent(password)}@127.0.0.1:${server.port}/smarthost`;
    const sql = `SELECT pg_has_role('pg_monitor', 'USAGE') AND has_database_privilege('smarthost', 'CREATE')`;
    const { stdout } = await run('psql', [url, '-tAc', sql]);
    expect(stdout.trim()).toBe('t');
  });
});
