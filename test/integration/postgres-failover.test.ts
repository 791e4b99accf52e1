/** What SMTP clients see while the primary of the database dies: a pause, no reply with 4, and no lost mail. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, newDatabase, OWNER, OWNER_PASSWORD, PostgresServer } from '../support/postgres.ts';
import { openClient, startTestRelay } from '../support/relay.ts';
import { until } from '../support/store-rig.ts';

const MESSAGE = 'From: app@sender.test\r\nSubject: one\r\n\r\nGood morning\r\n';
const CLIENTS = 10;
const SECOND = 1000;
/** From the end of the failover to the last reply. A busy machine needs more than the 2 s of an idle one. */
const AFTER = 5 * SECOND;

describe.skipIf(!requirePeer('postgresql', hasPostgres))('a failover of the database, as clients see it', () => {
  /** A relay on a primary with a synchronous standby. */
  /** @param by opens a port in between. */
  async function start(more = '', by?: (port: number) => Promise<number>) {
    const servers: PostgresServer[] = [];
    onTestFinished(async () => void (await Promise.all(servers.map((server) => server.remove()))));
    const primary = await PostgresServer.create();
    servers.push(primary);
    const database = await newDatabase(primary, OWNER);
    const standby = await primary.standby('b');
    servers.push(standby);
    await primary.set({ synchronous_standby_names: 'b' });
    const folder = mkdtempSync(join(tmpdir(), 'postgres-failover-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const passwordFile = join(folder, 'password');
    writeFileSync(passwordFile, OWNER_PASSWORD);
    chmodSync(passwordFile, 0o600);
    const hosts = (by === undefined ? servers : [{ port: await by(primary.port) }])
      .map(({ port }) => `'127.0.0.1:${port}'`)
      .join(', ');
    const relay = await startTestRelay({
      // The new primary has no standby of its own in this test.
      yaml: `store: { postgres: [${hosts}], database: ${database}, passwordFile: ${passwordFile}, tls: none, durability: one${more} }`,
    });
    onTestFinished(() => relay.close());
    return { primary, standby, database, relay };
  }

  test('a failover of some seconds under load costs clients time, no reply with 4, and no mail', async () => {
    const { primary, standby, database, relay } = await start();
    const replies: { reply: string; took: number }[] = [];
    let running = true;
    const clients = Array.from({ length: CLIENTS }, async (_, i) => {
      let client: Awaited<ReturnType<typeof openClient>> | undefined;
      while (running) {
        const begun = performance.now();
        let reply = '235';
        if (client === undefined) {
          client = await openClient(relay.ports.submissions, { tls: true });
          reply = await client.login();
        }
        if (reply.startsWith('235')) reply = await client.message({ text: MESSAGE });
        replies.push({ reply, took: performance.now() - begun });
        // Some keep their session, some log in for each message.
        if (i % 2 === 0) continue;
        client.close();
        client = undefined;
      }
      client?.close();
    });
    await until(() => replies.length >= 5 * CLIENTS);
    const before = replies.length;
    const killedAt = performance.now();
    await primary.kill();
    await sleep(7 * SECOND); // the clients have waited longer than what makes a primary unreachable
    await standby.promote();
    const failover = performance.now() - killedAt;
    await until(() => replies.length >= before + 10 * CLIENTS);
    running = false;
    await Promise.all(clients);
    expect(replies.filter(({ reply }) => !reply.startsWith('250')).map(({ reply }) => reply)).toEqual([]);
    const longest = Math.max(...replies.map(({ took }) => took));
    expect(longest).toBeLessThan(failover + AFTER);
    const ids = replies.map(({ reply }) => /queued as (\w+)/.exec(reply)![1]!);
    const there = new Set((await standby.sql('SELECT id FROM smarthost.messages', database)).map(({ id }) => id));
    expect(ids.filter((id) => !there.has(id))).toEqual([]);
    await until(
      () => new Set(relay.log.flatMap((line) => (line.event === 'relayed' ? [line['queueId']] : []))).size >= ids.length,
    );
    expect(relay.mx.messages.length).toBeGreaterThanOrEqual(ids.length);
  });

  test('a primary that was replaced and lives on is left for the new one, with all connections', async () => {
    const { primary, standby, database, relay } = await start();
    const client = await openClient(relay.ports.submissions, { tls: true });
    expect(await client.login()).toMatch(/^235/);
    expect(await client.message({ text: MESSAGE })).toMatch(/^250/);
    await standby.promote(); // as where the agent beside the old primary has died, and cannot stop it
    expect(await client.message({ text: MESSAGE })).toMatch(/^250/);
    expect(await standby.sql('SELECT count(*)::int AS n FROM smarthost.messages', database)).toEqual([{ n: 2 }]);
    // Its processes that wait for the standby do not see that nobody listens any more.
    const sql = `SELECT application_name FROM pg_stat_activity WHERE datname = '${database}' AND application_name LIKE 'smarthost/%'
      AND wait_event IS DISTINCT FROM 'SyncRep'`;
    await until(async () => (await primary.sql(sql)).length === 0 && (await standby.sql(sql)).length > 2);
    client.close();
  });

  test('while no primary is there for long, MAIL hears 451 and AUTH 454 without a long wait, and then all goes on', async () => {
    const { primary, standby, relay } = await start();
    const client = await openClient(relay.ports.submissions, { tls: true });
    expect(await client.login()).toMatch(/^235/);
    expect(await client.message({ text: MESSAGE })).toMatch(/^250/);
    await primary.kill();
    const login = async () => {
      const other = await openClient(relay.ports.submissions, { tls: true });
      const reply = await other.login();
      other.close();
      return reply;
    };
    await until(async () => (await login()).startsWith('454 4.7.0'));
    const begun = performance.now();
    expect(await client.command('MAIL FROM:<app@sender.test>')).toMatch(/^451 4\.3\.0/);
    expect(await login()).toMatch(/^454 4\.7\.0/);
    expect(performance.now() - begun).toBeLessThan(10 * SECOND);
    await standby.promote();
    await until(async () => (await login()).startsWith('235'));
    await until(async () => (await client.message({ text: MESSAGE })).startsWith('250'));
    client.close();
  });

  test('a way to the database that swallows all is as one without a primary: mail hears 451, and does not arrive; then all goes on', async () => {
    const way = { isCut: false };
    const between = async (port: number) => {
      const one = createServer((client) => {
        const there = connect(port, '127.0.0.1');
        client.on('data', (data) => way.isCut || there.write(data));
        there.on('data', (data) => way.isCut || client.write(data));
        // A cut wire tells no end either.
        client.on('error', () => {}).on('close', () => way.isCut || there.destroy());
        there.on('error', () => {}).on('close', () => way.isCut || client.destroy());
      });
      await new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve));
      onTestFinished(() => void one.close());
      return (one.address() as AddressInfo).port;
    };
    const { primary, relay, database } = await start('', between);
    const client = await openClient(relay.ports.submissions, { tls: true });
    expect(await client.login()).toMatch(/^235/);
    expect(await client.message({ text: MESSAGE })).toMatch(/^250/);
    await until(() => relay.mx.messages.length === 1);
    way.isCut = true;
    expect(await client.message({ text: MESSAGE })).toMatch(/^451 4\.3\.0/);
    expect(await client.command('MAIL FROM:<app@sender.test>')).toMatch(/^451 4\.3\.0/);
    await relay.logged('storeTrouble', (line) => /gave no answer|timeout/i.test(JSON.stringify(line)), 30_000);
    way.isCut = false;
    await until(async () => (await client.message({ text: MESSAGE })).startsWith('250'));
    await until(() => relay.mx.messages.length === 2);
    const open =
      'SELECT (SELECT count(*) FROM smarthost.open)::int AS open, (SELECT count(*) FROM smarthost.messages)::int AS messages';
    await until(async () => (await primary.sql(open, database))[0]!['open'] === 0);
    expect(await primary.sql(open, database)).toEqual([{ open: 0, messages: 2 }]);
    client.close();
  });

  test('a database above its largest size takes no new mail', async () => {
    const { primary, relay, database } = await start(', maxSize: 1KiB');
    const client = await openClient(relay.ports.submissions, { tls: true });
    expect(await client.login()).toMatch(/^235/);
    expect(await client.message({ text: MESSAGE })).toMatch(/^452 4\.3\.1/);
    expect(await primary.sql('SELECT count(*)::int AS n FROM smarthost.messages', database)).toEqual([{ n: 0 }]);
    client.close();
  });
});
