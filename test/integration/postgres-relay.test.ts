/** A whole relay on PostgreSQL: accepted, delivered, traced; commands beside it work on the same data. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { runCommand } from '../../src/commands/commands.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, newDatabase, OWNER, OWNER_PASSWORD, PostgresServer } from '../support/postgres.ts';
import { openClient, startTestRelay } from '../support/relay.ts';
import { until } from '../support/store-rig.ts';

const HEADER = 'From: app@sender.test\r\nSubject: one\r\n\r\n';
const MESSAGE = `${HEADER}Good morning\r\n`;

describe.skipIf(!requirePeer('postgresql', hasPostgres))('a relay on PostgreSQL', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.create();
  });
  afterAll(() => server?.remove());

  async function start(durability: 'one' | 'two' = 'one', shared?: string, threads = 1, { node = 'one', yaml = '' } = {}) {
    const database = shared ?? (await newDatabase(server, OWNER));
    const folder = mkdtempSync(join(tmpdir(), 'postgres-relay-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const passwordFile = join(folder, 'password');
    writeFileSync(passwordFile, `${OWNER_PASSWORD}\n`);
    chmodSync(passwordFile, 0o600);
    const store = `{ postgres: ['127.0.0.1:${server.port}'], database: ${database}, passwordFile: ${passwordFile}, tls: none, durability: ${durability}, node: ${node} }`;
    const relay = await startTestRelay({ yaml: `threads: ${threads}\nstore: ${store}\n${yaml}` });
    let closing: Promise<void> | undefined;
    const close = () => (closing ??= relay.close());
    onTestFinished(close);
    return { ...relay, close };
  }

  async function command(file: string, ...args: readonly string[]): Promise<any> {
    let out = '';
    let err = '';
    const code = await runCommand([...args, '--config', file, '--json'], {
      ...{ env: {}, cwd: '/', interactive: false, colours: false, stdin: (async function* () {})() },
      out: async (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
    });
    if (code !== 0) throw new Error(`${args.join(' ')}: exit ${code}: ${err}`);
    return JSON.parse(out);
  }

  async function send(port: number, text: string, to?: readonly string[]): Promise<string> {
    const client = await openClient(port, { tls: true });
    expect(await client.login()).toMatch(/^235/);
    const reply = await client.message({ text, ...(to === undefined ? {} : { to }) });
    client.close();
    return reply;
  }

  test.each([1, 2])(
    'mail is accepted, delivered as it came, and found in the trace, small and large, with %i threads',
    async (threads) => {
      const relay = await start('one', undefined, threads);
      const large = `${'0123456789'.repeat(7)}\r\n`.repeat(10_000);
      for (const body of ['Good morning\r\n', large]) {
        const reply = await send(relay.ports.submissions, `${HEADER}${body}`);
        const id = /queued as (\w+)/.exec(reply)?.[1];
        expect(id, reply).toBeDefined();
        await relay.logged('relayed', (line) => line['queueId'] === id, 30_000);
        const [message] = await command(relay.file, 'trace', id!);
        expect(message.recipients).toMatchObject([{ state: 'relayed', attempts: [{ reply: expect.stringContaining('250') }] }]);
      }
      expect(relay.mx.messages.map(({ data }) => data.length - data.indexOf('\r\n\r\n') - 4)).toEqual([14, large.length]);
      expect(await server.sql('SELECT * FROM pg_stat_database_conflicts WHERE confl_deadlock > 0')).toEqual([]);
    },
  );

  test('a login that a command disables is refused by the running relay', async () => {
    const relay = await start();
    expect(await send(relay.ports.submissions, MESSAGE)).toMatch(/^250/);
    await command(relay.file, 'user', 'disable', 'app@sender.test');
    await until(async () => {
      const client = await openClient(relay.ports.submissions, { tls: true });
      const reply = await client.login();
      client.close();
      return reply.startsWith('535');
    });
  });

  test('two relays on one database: each message leaves once, and a change on one is seen by the other', async () => {
    const database = await newDatabase(server, OWNER);
    const relays = [await start('one', database), await start('one', database)] as const;
    const ids = await Promise.all(
      Array.from({ length: 12 }, async (_, i) => {
        const reply = await send(relays[i % 2]!.ports.submissions, MESSAGE);
        return /queued as (\w+)/.exec(reply)![1]!;
      }),
    );
    expect(new Set(ids).size).toBe(12);
    const relayed = () =>
      relays.flatMap(({ log }) => log.filter(({ event }) => event === 'relayed').map((line) => line['queueId']));
    await until(() => relayed().length >= 12);
    expect(relayed().sort()).toEqual([...ids].sort());
    expect(relays.map(({ mx }) => mx.messages.length)).toEqual([6, 6]);
    await command(relays[0].file, 'user', 'disable', 'app@sender.test');
    for (const { ports } of relays)
      await until(async () => {
        const client = await openClient(ports.submissions, { tls: true });
        const reply = await client.login();
        client.close();
        return reply.startsWith('535');
      });
    const nodes = await server.sql('SELECT count(DISTINCT id)::int AS n FROM smarthost.nodes', database);
    expect(nodes).toEqual([{ n: 2 }]);
  });

  test('relays with other settings say so, and waiting mail follows new routes only when all have them', async () => {
    const database = await newDatabase(server, OWNER);
    const one = await start('one', database);
    const digest = async () =>
      (await server.sql(`SELECT value FROM smarthost.small_values WHERE name = 'routes.digest'`, database))[0]?.['value'];
    await until(async () => (await digest()) !== undefined);
    const before = await digest();
    const yaml = "routes: [{ recipientDomain: routed.test, hosts: ['127.0.0.1:1'], tls: none }]";
    const two = await start('one', database, 1, { node: 'two', yaml });
    await one.logged('configurationDiffers', ({ relay, settings }) => relay === 'two' && String(settings) === 'routes');
    await two.logged('configurationDiffers', ({ relay, settings }) => relay === 'one' && String(settings) === 'routes');
    // Mail for a route of the other relay goes back for a minute.
    const reply = await send(two.ports.submissions, MESSAGE, ['anna@routed.test']);
    const id = /queued as (\w+)/.exec(reply)![1]!;
    await two.logged('delayed', (line) => line['queueId'] === id);
    await server.sql(`UPDATE smarthost.recipients SET tried_by = 'one', next_attempt = 0 WHERE message = '${id}'`, database);
    await one.logged('routeUnknown', (line) => line['queueId'] === id);
    await until(
      async () => (await server.sql('SELECT state, next_attempt FROM smarthost.recipients', database))[0]!['state'] === 1,
    );
    const [row] = await server.sql('SELECT next_attempt, tried_by FROM smarthost.recipients', database);
    expect(Number(row!['next_attempt']) - Date.now()).toBeGreaterThan(30_000);
    expect(one.mx.messages).toEqual([]);
    expect(await digest()).toBe(before);
    await one.close();
    await until(async () => (await digest()) !== before);
  });

  test('without a named standby no mail is accepted, and with one it is, without a restart', async () => {
    const relay = await start('two');
    expect(await send(relay.ports.submissions, MESSAGE)).toMatch(/^451 /);
    await relay.logged('storeTrouble', (line) => JSON.stringify(line).includes('no synchronous standby is named'));
    const standby = await server.standby('b');
    onTestFinished(async () => {
      await server.set({ synchronous_standby_names: '' });
      await standby.remove();
    });
    await server.set({ synchronous_standby_names: 'b' });
    expect(await send(relay.ports.submissions, MESSAGE)).toMatch(/^250 /);
  });
});
