/** What an operator sees of relays that share a database: `store nodes`, `store check`, and the doctor's findings. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { runCommand } from '../../src/commands/commands.ts';
import { openPostgres } from '../../src/store/postgres/postgres-store.ts';
import { VERSION } from '../../src/system/version.ts';
import { makePair } from '../support/pair.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, newDatabase, OWNER, OWNER_PASSWORD, PostgresServer } from '../support/postgres.ts';
import { newMessage } from '../support/store-rig.ts';

describe.skipIf(!requirePeer('postgresql', hasPostgres))('a database that relays share, as an operator sees it', () => {
  let primary: PostgresServer;
  let standby: PostgresServer;
  beforeAll(async () => {
    primary = await PostgresServer.create();
    standby = await primary.standby('b');
  });
  afterAll(async () => {
    await standby?.remove();
    await primary?.remove();
  });

  async function configuration(database: string, more = 'durability: two', ports = [primary.port, standby.port], tls = 'none') {
    const folder = mkdtempSync(join(tmpdir(), 'postgres-cluster-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'password'), OWNER_PASSWORD, { mode: 0o600 });
    const hosts = ports.map((port) => `'127.0.0.1:${port}'`).join(', ');
    const file = join(folder, 'smarthost.yaml');
    const store = `{ postgres: [${hosts}], database: ${database}, passwordFile: ${folder}/password, tls: ${tls}, ${more} }`;
    writeFileSync(file, `hostname: relay.example.net\ntls: { mode: self-signed }\nstore: ${store}\n`, { mode: 0o600 });
    return file;
  }

  async function command(file: string, ...args: readonly string[]) {
    let out = '';
    let err = '';
    const code = await runCommand([...args, '--config', file], {
      ...{ env: {}, cwd: '/', interactive: false, colours: false, stdin: (async function* () {})() },
      out: async (text) => {
        out += text;
      },
      err: (text) => {
        err += `${text}\n`;
      },
    });
    return { code, out, err };
  }

  test('`store nodes` tells who shares the database, what each works on, and since when one is dead', async () => {
    const database = await newDatabase(primary, OWNER);
    const file = await configuration(database, 'durability: one');
    const relay = await openPostgres({ server: primary.options(database, { user: OWNER, password: OWNER_PASSWORD }) });
    onTestFinished(() => relay.close());
    const owner = `${hostname()}/${process.pid}/0123`;
    await relay.messages.beat(owner);
    await relay.messages.accept({ message: newMessage(), claim: { indexes: [0], lease: `${owner}#1` } });
    await relay.operation.takeLease('acme', owner, Date.now() + 60_000, Date.now());
    await primary.sql(
      `INSERT INTO smarthost.nodes (id, incarnation, seen_at, started_at, machine, pid, version, config_digest)
       VALUES (7, 'x', now() - interval '1 minute', now() - interval '1 hour', 'relay9', 42, '0.1.0', '0123456789')`,
      database,
    );
    const { code, out } = await command(file, 'store', 'nodes', '--json');
    expect(code).toBe(0);
    const found = { machine: hostname(), pid: process.pid, version: VERSION, kind: 'relay', claims: 1, leases: ['acme'] };
    expect(JSON.parse(out)).toMatchObject([
      { node: 0, state: 'alive', ...found },
      {
        node: 7,
        state: 'dead',
        settings: '01234567',
        machine: 'relay9',
        pid: 42,
        version: '0.1.0',
        kind: 'command',
        claims: 0,
        leases: [],
      },
    ]);
    expect((await command(file, 'store', 'nodes')).out).toContain('dead since 20');
  });

  test('`store check` says that mail is refused while no standby is named, and nothing once it is right', async () => {
    const database = await newDatabase(primary, OWNER);
    const file = await configuration(database);
    const lax = await command(file, 'store', 'check');
    expect([lax.code, lax.out]).toEqual([1, expect.stringContaining('no synchronous standby is named')]);
    await primary.set({ synchronous_standby_names: 'b' });
    onTestFinished(() => primary.set({ synchronous_standby_names: '' }));
    await primary.sql(`GRANT pg_monitor TO ${OWNER}`);
    const { code, out } = await command(file, 'store', 'check', '--json');
    expect(code).toBe(0);
    const look = JSON.parse(out);
    expect(look).toMatchObject({
      ...{ engine: 'postgres', durability: 'two', servers: [{ role: 'primary' }, { role: 'standby' }] },
      primary: { standbys: [{ name: 'b', sync: 'sync' }], isPooled: false, format: null },
    });
    expect(look.servers[0].system).toBe(look.servers[1].system);
    const results = Object.fromEntries(
      look.findings.map((one: { subject: string; result: string }) => [one.subject, one.result]),
    );
    expect(results).toMatchObject({ durability: 'ok', standbys: 'warning', connection: 'ok', primary: 'ok', tables: 'ok' });
  });

  test('without a primary `store check` ends with 3, and says the reason of each server', async () => {
    const file = await configuration('postgres', 'durability: two', [standby.port, 1]);
    const { code, out } = await command(file, 'store', 'check');
    expect(code).toBe(3);
    expect(out).toContain('ECONNREFUSED');
    expect(out).toContain('no server that answers is one');
    expect((await command(file, 'store', 'nodes')).err).toContain('No primary of the database');
  });

  test('`store check` says what a primary refuses, and never to promote another server for it', async () => {
    const database = await newDatabase(primary, OWNER);
    const relay = await openPostgres({ server: primary.options(database, { user: OWNER, password: OWNER_PASSWORD }) });
    await relay.close();
    const checked = async (file: string) => {
      const { code, out } = await command(file, 'store', 'check');
      expect(code).not.toBe(0);
      expect(out).not.toContain('Promote a standby: until then');
      return out;
    };
    const file = await configuration(database, 'durability: one', [primary.port]);
    await primary.sql(`ALTER ROLE ${OWNER} SET default_transaction_read_only = on`);
    expect(await checked(file)).toContain('this user may only read');
    await primary.sql(`ALTER ROLE ${OWNER} RESET ALL`);
    await primary.sql(`REVOKE ALL ON smarthost.contents FROM ${OWNER}`, database);
    expect(await checked(file)).toContain('this user may not read and write contents');
    await primary.sql(`ALTER SCHEMA smarthost OWNER TO postgres`, database);
    expect(await checked(file)).toContain('permission denied for schema smarthost');
    const elsewhere = await checked(await configuration('none', 'durability: one', [primary.port]));
    expect(elsewhere).toContain('database "none" does not exist (make it with createdb');
    expect(elsewhere).toContain('It runs: mend what it refuses.');
    const secure = () => configuration('postgres', 'durability: one', [primary.port], 'verify');
    const plain = await checked(await secure());
    const { cert, key } = await makePair();
    await primary.set({
      ...{ ssl_cert_file: primary.write('test.crt', cert), ssl_key_file: primary.write('test.key', key), ssl: 'on' },
    });
    onTestFinished(() => primary.set({ ssl: 'off' }));
    const stranger = await checked(await secure());
    expect([plain, stranger]).toEqual([
      expect.stringContaining('The server does not support SSL connections'),
      expect.stringContaining('self-signed certificate (name its authority in store.ca)'),
    ]);
    for (const said of [plain, stranger]) expect(said).toContain('It runs: mend what it refuses.');
    const { out } = await command(await configuration('postgres', 'durability: one', [primary.port]), 'store', 'check', '--json');
    const { free } = JSON.parse(out).primary;
    await primary.sql(`ALTER ROLE ${OWNER} CONNECTION LIMIT 4`);
    onTestFinished(async () => void (await primary.sql(`ALTER ROLE ${OWNER} CONNECTION LIMIT -1`)));
    const limited = await command(await configuration('postgres', 'durability: one', [primary.port]), 'store', 'check', '--json');
    expect([free > 20, JSON.parse(limited.out).primary.free]).toEqual([true, 3]);
  });

  test('on a store in files both commands say that it is not shared', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'postgres-cluster-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'smarthost.yaml');
    writeFileSync(file, `hostname: relay.example.net\ntls: { mode: self-signed }\ndataDir: ${folder}\n`);
    for (const name of ['nodes', 'check'])
      expect(await command(file, 'store', name)).toMatchObject({ code: 1, err: expect.stringContaining('one relay') });
  });
});
