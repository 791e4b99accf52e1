/** More ways in which PostgreSQL, its machines or the way to them fail: what was accepted is there, and what is not there was not accepted. */
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { checkDatabase } from '../../src/doctor/database.ts';
import type { ServerOptions } from '../../src/store/postgres/database-session.ts';
import { openPostgres } from '../../src/store/postgres/postgres-store.ts';
import { clusterOf, type OpenedStore } from '../../src/store/store.ts';
import { hasMountNamespaces, hasNetworkNamespaces, requirePeer } from '../support/peers.ts';
import { hasPostgres, newDatabase, PostgresServer } from '../support/postgres.ts';
import { mustRun } from '../support/program.ts';
import { inline, LEASE, NOW, newMessage, until } from '../support/store-rig.ts';

describe.skipIf(!requirePeer('postgresql', hasPostgres))('when PostgreSQL is in trouble', () => {
  const servers: PostgresServer[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.remove();
  });

  async function start(settings: Record<string, string> = {}) {
    const primary = await PostgresServer.create(settings);
    servers.push(primary);
    return { primary, database: await newDatabase(primary) };
  }
  /** A primary that waits for one standby. */
  async function startPair() {
    const { primary, database } = await start();
    const standby = await primary.standby('b');
    servers.push(standby);
    await primary.set({ synchronous_standby_names: 'b' });
    const hosts = [primary, standby].map(({ port }) => ({ host: '127.0.0.1', port }));
    return { primary, standby, database, options: primary.options(database, { hosts }) };
  }
  async function opened(server: ServerOptions): Promise<OpenedStore> {
    const store = await openPostgres({ server });
    onTestFinished(() => store.close());
    return store;
  }
  const accept = async (store: OpenedStore, message = newMessage()) => (await store.messages.accept({ message })).accepted;
  const idsIn = async (server: PostgresServer, database: string) =>
    new Set((await server.sql('SELECT id FROM smarthost.messages', database)).map(({ id }) => id));
  const waitsForStandby = (primary: PostgresServer, count = 1) =>
    until(async () => (await primary.sql(`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'`)).length >= count);

  test('a primary that dies while its standby lags has acknowledged nothing that the standby lacks', async () => {
    const { primary, standby, database, options } = await startPair();
    const store = await opened(options);
    expect(await accept(store)).toBe(true);
    await standby.pause();
    const messages = Array.from({ length: 5 }, () => newMessage({ token: 3 }));
    let answered = 0;
    const waiting = messages.map((message) =>
      accept(store, message).finally(() => {
        answered++;
      }),
    );
    await waitsForStandby(primary);
    expect(answered).toBe(0);
    await primary.kill();
    await standby.resume();
    await standby.promote();
    await standby.set({ synchronous_standby_names: '' });
    expect(await Promise.all(waiting)).toEqual(messages.map(() => true));
    const there = await idsIn(standby, database);
    expect(messages.filter(({ id }) => !there.has(id))).toEqual([]);
    expect(there.size).toBe(6);
  });

  test('a primary that was replaced while it lives acknowledges nothing', async () => {
    const { primary, standby, database } = await startPair();
    const store = await opened(primary.options(database));
    expect(await accept(store)).toBe(true);
    await standby.promote();
    const lost = newMessage();
    // It waits for a standby that is a primary now, for as long as a client waits.
    await expect(accept(store, lost)).rejects.toMatchObject({ code: 'ESTORE' });
    expect((await idsIn(standby, database)).has(lost.id)).toBe(false);
  });

  test('a crash of another process of the server ends all connections, and costs no message', async () => {
    const { primary, database } = await start();
    const store = await opened(primary.options(database));
    expect(await accept(store)).toBe(true);
    const victim = new Client({ host: '127.0.0.1', port: primary.port, user: 'postgres', database });
    victim.on('error', () => {});
    await victim.connect();
    const { rows } = await victim.query('SELECT pg_backend_pid() AS pid');
    process.kill(rows[0].pid, 'SIGKILL');
    const waiting = Array.from({ length: 20 }, () => accept(store));
    expect(await Promise.all(waiting)).not.toContain(false);
    expect((await idsIn(primary, database)).size).toBe(21);
  });

  test('a server that is restarted by its operator under load costs no message', async () => {
    const { primary, database } = await start();
    const store = await opened(primary.options(database));
    const accepted: string[] = [];
    let running = true;
    const clients = Array.from({ length: 5 }, async () => {
      while (running) {
        const message = newMessage({ token: 5 });
        expect(await accept(store, message)).toBe(true);
        accepted.push(message.id);
      }
    });
    await until(() => accepted.length > 50);
    await primary.stop();
    await primary.start();
    const before = accepted.length;
    await until(() => accepted.length > before + 50);
    running = false;
    await Promise.all(clients);
    expect([...(await idsIn(primary, database))].sort()).toEqual(accepted.sort());
  });

  test('a server without a free connection is waited for, and keeps what it holds', async () => {
    const { primary, database } = await start({ max_connections: '12', superuser_reserved_connections: '3' });
    await primary.sql(`CREATE ROLE mail LOGIN; ALTER DATABASE ${database} OWNER TO mail`);
    const store = await opened(primary.options(database, { user: 'mail' }));
    expect(await accept(store)).toBe(true);
    const others: Client[] = [];
    const ended = () => Promise.all(others.splice(0).map((other) => other.end()));
    onTestFinished(async () => void (await ended()));
    await primary.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'smarthost/%/mail'`);
    for (;;) {
      const other = new Client({ host: '127.0.0.1', port: primary.port, user: 'mail', database });
      other.on('error', () => {});
      const refused = await other.connect().then(
        () => undefined,
        (error: { code?: string }) => error.code,
      );
      if (refused === undefined) others.push(other);
      else {
        expect(refused).toBe('53300');
        break;
      }
    }
    let answered = false;
    const waiting = accept(store).finally(() => {
      answered = true;
    });
    await sleep(500);
    expect(answered).toBe(false);
    await ended();
    expect(await waiting).toBe(true);
    expect((await idsIn(primary, database)).size).toBe(2);
  });

  test('a standby that stops again and again makes groups larger, and no message fails', async () => {
    const { primary, standby, database, options } = await startPair();
    const groups: number[] = [];
    const store = await openPostgres({ server: options, onCommit: (_, requests) => void groups.push(requests) });
    onTestFinished(() => store.close());
    let [accepted, running] = [0, true];
    const clients = Array.from({ length: 30 }, async () => {
      while (running) {
        expect(await accept(store)).toBe(true);
        accepted++;
      }
    });
    await until(() => accepted > 100);
    for (let i = 0; i < 5; i++) {
      await standby.pause();
      await waitsForStandby(primary);
      await sleep(300);
      await standby.resume();
      const before = accepted;
      await until(() => accepted > before + 50);
    }
    running = false;
    await Promise.all(clients);
    expect((await idsIn(primary, database)).size).toBe(accepted);
    expect(Math.max(...groups)).toBeGreaterThanOrEqual(20);
  });

  test.skipIf(!requirePeer('mount namespaces', hasMountNamespaces()))(
    'a full disk of the database refuses mail, and it is accepted again when there is room',
    async () => {
      const { primary, database } = await start({ min_wal_size: '32MB', max_wal_size: '32MB', wal_keep_size: '0' });
      const store = await opened(primary.options(database));
      expect(await accept(store)).toBe(true);
      await primary.moveToDisk('250m');
      const accepted: string[] = [];
      const put = async () => {
        const message = newMessage({ content: inline(new Uint8Array(200_000)), token: 1 });
        if (await accept(store, message)) accepted.push(message.id);
      };
      await put();
      await primary.fillDisk(true);
      let refusal: unknown;
      for (let i = 0; i < 500 && refusal === undefined; i++)
        await put().catch((error) => {
          refusal = error;
        });
      expect(refusal).toMatchObject({ code: expect.stringMatching(/^(ENOSPC|ESTORE)$/) });
      await primary.fillDisk(false);
      if (!(await primary.answers())) await primary.start();
      await put();
      const there = await idsIn(primary, database);
      expect(accepted.filter((id) => !there.has(id))).toEqual([]);
    },
  );

  test.skipIf(!requirePeer('network namespaces', hasNetworkNamespaces()))(
    'a machine that loses its power inside a transaction holds no lock for long',
    async () => {
      const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo ready && exec sleep 300'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      onTestFinished(() => void holder.kill('SIGKILL'));
      await new Promise((resolve) => holder.stdout.once('data', resolve));
      const [here, there] = [`sm${process.pid % 100_000}a`, `sm${process.pid % 100_000}b`];
      const inside = ['nsenter', '--target', String(holder.pid), '--net'] as const;
      await mustRun('ip', ['link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', String(holder.pid)]);
      onTestFinished(async () => void (await mustRun('ip', ['link', 'del', here]).catch(() => '')));
      const net = `169.254.${process.pid % 200}`;
      for (const [prefix, name, end] of [
        [[], here, 1],
        [inside, there, 2],
      ] as const)
        for (const args of [
          ['addr', 'add', `${net}.${end}/30`, 'dev', name],
          ['link', 'set', name, 'up'],
        ]) {
          const [command, ...rest] = [...prefix, 'ip', ...args];
          await mustRun(command!, rest);
        }
      const { primary, database } = await start({ listen_addresses: `127.0.0.1,${net}.1` });
      appendFileSync(join(primary.folder, 'pg_hba.conf'), `host all all ${net}.0/30 trust\n`);
      await primary.sql('SELECT pg_reload_conf()');
      const store = await opened(primary.options(database));
      const limits = { user: 'anna', list: [{ kind: 'messages', count: 99, per: 'hour' }], over: 'refuse' } as const;
      await store.messages.accept({ message: newMessage(), limits });

      const options = { ...primary.options(database), hosts: [{ host: `${net}.1`, port: primary.port }] };
      const [command, ...args] = [...inside, process.execPath, new URL('../support/locking-child.ts', import.meta.url).pathname];
      const child = spawn(command!, [...args, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
      onTestFinished(() => void child.kill('SIGKILL'));
      await new Promise((resolve) => child.stdout.once('data', resolve));
      await mustRun('ip', ['link', 'set', here, 'down']);
      expect(await store.messages.accept({ message: newMessage(), limits })).toMatchObject({
        accepted: true,
        use: [{ used: 2 }],
      });
    },
  );

  test('a retry whose commit waits for the standby is due once it is stored, although others were looked at meanwhile', async () => {
    const { primary, standby, options } = await startPair();
    const store = await opened(options);
    const to = Array.from({ length: 120 }, (_, i) => `a@d${i}.example`);
    await accept(store, newMessage({ to }));
    const [claim] = await store.messages.claim({ destination: 'd0.example', now: NOW, limit: 1, lease: LEASE });
    await standby.pause();
    const changes = [{ n: 0, state: 'delayed', nextAttemptAt: NOW }] as const;
    const settled = store.messages.settle({ messageId: claim!.message.id, lease: LEASE, at: NOW, changes });
    await waitsForStandby(primary);
    const due = async () => (await store.messages.due(NOW, 1000)).due.map(({ destination }) => destination);
    expect(await due()).not.toContain('d0.example');
    await standby.resume();
    await settled;
    expect(await due()).toContain('d0.example');
  });

  test('a transaction that is open for more than five minutes is told in the log, by the metrics and by the doctor', async () => {
    const { primary, database } = await start();
    await (await openPostgres({ server: primary.options(database) })).close();
    const settings = { database, user: 'postgres', tls: 'none', durability: 'one' } as const;
    const cluster = clusterOf({ store: { postgres: [`127.0.0.1:${primary.port}`], ...settings }, dataDir: '' })!;
    const judged = async () => checkDatabase(await cluster.look()).find(({ subject }) => subject === 'oldest transaction');
    const writer = new Client({ host: '127.0.0.1', port: primary.port, user: 'postgres', database });
    writer.on('error', () => {});
    await writer.connect();
    onTestFinished(() => writer.end());
    await writer.query(`BEGIN; INSERT INTO smarthost.small_values VALUES ('left open', '')`);
    const open = async () => {
      const told: number[] = [];
      const store = await openPostgres({ server: primary.options(database), onOldTransaction: (age) => void told.push(age) });
      onTestFinished(() => store.close());
      await until(() => store.database() !== undefined);
      return { told, age: store.database()!.oldestTransaction };
    };
    const young = await open();
    expect([young.told, young.age < 300, (await judged())?.result]).toEqual([[], true, 'ok']);
    const later = 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint + 600000';
    await primary.sql(`CREATE OR REPLACE FUNCTION smarthost.time_ms() RETURNS bigint LANGUAGE sql AS '${later}'`, database);
    const old = await open();
    expect(old.told).toEqual([Math.round(old.age)]);
    expect(old.age).toBeGreaterThan(600);
    expect(await judged()).toMatchObject({ result: 'warning', found: expect.stringMatching(/^open for 1\d min$/) });
  });
});
