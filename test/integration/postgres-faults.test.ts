/** What happens to mail when PostgreSQL, or the way to it, fails: nothing that was accepted is lost, and nothing is accepted that could be. */
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import type { ServerOptions } from '../../src/store/postgres/database-session.ts';
import { openPostgres } from '../../src/store/postgres/postgres-store.ts';
import type { OpenedStore } from '../../src/store/store.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, newDatabase, PostgresServer } from '../support/postgres.ts';
import { NOW, newMessage, relayedAttempt, until } from '../support/store-rig.ts';

/** The tests kill servers, so that each has its own. */
describe.skipIf(!requirePeer('postgresql', hasPostgres))('when PostgreSQL fails', () => {
  const servers: PostgresServer[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.remove();
  });

  async function cluster(standbys: readonly string[] = []) {
    const primary = await PostgresServer.create();
    servers.push(primary);
    const database = await newDatabase(primary);
    const followers: PostgresServer[] = [];
    for (const name of standbys) followers.push(await primary.standby(name));
    servers.push(...followers);
    if (standbys.length > 0) await primary.set({ synchronous_standby_names: `ANY 1 (${standbys.join(', ')})` });
    const hosts = [primary, ...followers].map(({ port }) => ({ host: '127.0.0.1', port }));
    return {
      primary,
      followers,
      database,
      options: primary.options(database, { hosts, durability: standbys.length > 0 ? 'two' : 'one' }),
    };
  }

  async function opened(server: ServerOptions, troubles: string[] = []): Promise<OpenedStore> {
    const store = await openPostgres({ server, onTrouble: ({ message }) => void troubles.push(message) });
    onTestFinished(() => store.close());
    return store;
  }
  const isAccepted = async (store: OpenedStore, message = newMessage()) => (await store.messages.accept({ message })).accepted;
  const backend = (primary: PostgresServer, job: string, more = '') =>
    primary.sql(`SELECT pid FROM pg_stat_activity WHERE application_name LIKE '%/${job}' ${more}`);

  /** Between the store and the server: `swallow` keeps back what the server says to a commit. */
  async function proxy(port: number) {
    const state = { swallow: false, swallowed: 0 };
    const sockets = new Set<Socket>();
    const server = createServer((client) => {
      const there = connect(port, '127.0.0.1');
      client.on('data', (data) => there.write(data));
      there.on('data', (data) => {
        if (state.swallow && data.includes('COMMIT\0')) {
          state.swallow = false;
          state.swallowed++;
          client.destroy();
        } else client.write(data);
      });
      for (const one of [client, there]) {
        sockets.add(one);
        one
          .on('error', () => {})
          .on('close', () => {
            client.destroy();
            there.destroy();
          });
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.close();
      for (const one of sockets) one.destroy();
    });
    return { ...state, state, host: { host: '127.0.0.1', port: (server.address() as { port: number }).port } };
  }

  test('the primary is killed under load and its standby promoted: all that was accepted is there, and no client sees an error', async () => {
    const { primary, followers, options } = await cluster(['b']);
    const store = await opened(options);
    const accepted: string[] = [];
    const failed: unknown[] = [];
    let running = true;
    const clients = Array.from({ length: 20 }, async () => {
      while (running) {
        const message = newMessage({ token: Math.floor(Math.random() * 2 ** 40) });
        await store.messages.accept({ message }).then(
          (result) => (result.accepted ? accepted.push(message.id) : failed.push(result)),
          (error) => failed.push(error),
        );
      }
    });
    await until(() => accepted.length > 200);
    await primary.kill();
    const before = accepted.length;
    await followers[0]!.promote();
    await followers[0]!.set({ synchronous_standby_names: '' });
    // The new primary has no standby yet: that it takes mail again is asked for by another store, which is content with one.
    running = false;
    const lax = await opened({ ...options, durability: 'one' });
    expect(await isAccepted(lax)).toBe(true);
    await Promise.all(clients);
    const there = new Set((await followers[0]!.sql('SELECT id FROM smarthost.messages', options.database)).map(({ id }) => id));
    expect(accepted.filter((id) => !there.has(id))).toEqual([]);
    expect(before).toBeGreaterThan(200);
    // Those under way had the doubt resolved, or were told that no standby is named: never a wrong answer.
    for (const error of failed) expect(String(error)).toContain('no synchronous standby is named');
  });

  test('a failover is not seen by clients that wait', async () => {
    const { primary, followers, options } = await cluster(['b']);
    const store = await opened({ ...options, durability: 'one' });
    await isAccepted(store);
    await primary.kill();
    const waiting = Array.from({ length: 10 }, () => isAccepted(store));
    await followers[0]!.promote();
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => true));
    expect((await store.messages.counts()).states).toEqual({ queued: 11 });
  });

  test('while the standby stands still nothing is accepted, and what waited is accepted once it goes on', async () => {
    const { followers, options } = await cluster(['b']);
    const store = await opened(options);
    expect(await isAccepted(store)).toBe(true);
    await followers[0]!.pause();
    let answered = false;
    const waiting = isAccepted(store).finally(() => {
      answered = true;
    });
    await until(async () => (await backend(servers[0]!, 'mail', `AND wait_event = 'SyncRep'`)).length === 1);
    expect(answered).toBe(false);
    await followers[0]!.resume();
    expect(await waiting).toBe(true);
    expect((await store.messages.counts()).states).toEqual({ queued: 2 });
  });

  test('a cancelled wait for the standby is never an acceptance: the message counts when a standby has it', async () => {
    const { primary, followers, options } = await cluster(['b']);
    const store = await opened(options);
    expect(await isAccepted(store)).toBe(true);
    await followers[0]!.pause();
    let answered = false;
    const waiting = isAccepted(store).finally(() => {
      answered = true;
    });
    const waits = async () => (await backend(primary, 'mail', `AND wait_event = 'SyncRep'`))[0]?.['pid'] as number | undefined;
    await until(async () => (await waits()) !== undefined);
    await primary.sql('SELECT pg_cancel_backend($1)', 'postgres', [await waits()]);
    // It asks what became of the transaction, and waits for the standby with the next commit.
    await until(async () => (await backend(primary, 'mail', `AND wait_event = 'SyncRep' AND query = 'COMMIT'`)).length === 1);
    expect(answered).toBe(false);
    await followers[0]!.resume();
    expect(await waiting).toBe(true);
    expect((await store.messages.counts()).states).toEqual({ queued: 2 });
  });

  test('a commit whose answer is lost is found, and the message is there once', async () => {
    const { primary, database } = await cluster();
    const between = await proxy(primary.port);
    const store = await opened(primary.options(database, { hosts: [between.host] }));
    expect(await isAccepted(store)).toBe(true);
    between.state.swallow = true;
    expect(await isAccepted(store)).toBe(true);
    expect(between.state.swallowed).toBe(1);
    expect((await store.messages.counts()).states).toEqual({ queued: 2 });
    expect(await primary.sql('SELECT count(*)::int AS n FROM smarthost.messages', database)).toEqual([{ n: 2 }]);
  });

  test('a change whose answer is lost has one row, and so has accepted mail', async () => {
    const { primary, options } = await cluster();
    const between = await proxy(primary.port);
    const store = await opened({ ...options, hosts: [between.host] });
    await isAccepted(store);
    const note = (action: string) => ({
      ...{
        id: action,
        at: NOW,
        actor: 'anna',
        way: 'command' as const,
        address: null,
        action,
        target: 'x',
        before: null,
        after: null,
      },
    });
    between.state.swallow = true;
    await store.noted(note('value.set')).operation.setValue('x', 'y');
    await until(() => between.state.swallowed === 1);
    between.state.swallow = true;
    const message = newMessage({ token: 7 });
    expect(await store.noted(note('mail.send')).messages.accept({ message })).toMatchObject({ accepted: true });
    await until(() => between.state.swallowed === 2);
    expect((await store.audit.changes({ limit: 9 })).map(({ action }) => action)).toEqual(['mail.send', 'value.set']);
  });

  /** A message that is being sent. The next answer of the database is lost. */
  async function claimedAndCut() {
    const { primary, database } = await cluster();
    const between = await proxy(primary.port);
    const store = await opened(primary.options(database, { hosts: [between.host] }));
    const message = newMessage();
    await store.messages.accept({ message, claim: { indexes: [0], lease: 'one#1' } });
    between.state.swallow = true;
    return { store, message, between };
  }

  test('a settlement whose answer is lost is stored once', async () => {
    const { store, message, between } = await claimedAndCut();
    const change = { n: 0, state: 'relayed', attempt: relayedAttempt } as const;
    const settled = await store.messages.settle({ messageId: message.id, lease: 'one#1', at: NOW, changes: [change] });
    expect([settled.unchanged, between.state.swallowed]).toEqual([[], 1]);
    expect((await store.messages.get(message.id))?.recipients[0]?.trace).toHaveLength(1);
  });

  test('mail that is accepted beside a failed recipient is accepted once, whose answer is lost too', async () => {
    const { store, message, between } = await claimedAndCut();
    const change = { n: 0, state: 'failed', attempt: { ...relayedAttempt, outcome: 'failed' } } as const;
    const [settled, accepted] = await Promise.all([
      store.messages.settle({ messageId: message.id, lease: 'one#1', at: NOW, changes: [change] }),
      store.messages.accept({ message: newMessage() }),
    ]);
    expect([settled.unchanged, settled.reportDue, accepted.accepted, between.state.swallowed]).toEqual([[], true, true, 1]);
    expect((await store.messages.counts()).states).toEqual({ queued: 1 });
  });

  test('a connection that an administrator ends costs no message', async () => {
    const { primary, options } = await cluster();
    const store = await opened(options);
    for (let i = 0; i < 5; i++) {
      const all = Promise.all(Array.from({ length: 20 }, () => isAccepted(store)));
      await primary.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%/mail'`);
      expect(await all).not.toContain(false);
    }
    expect((await store.messages.counts()).states).toEqual({ queued: 100 });
  });

  test('a server that restarts is waited for', async () => {
    const { primary, options } = await cluster();
    const store = await opened(options);
    expect(await isAccepted(store)).toBe(true);
    await primary.kill();
    const waiting = Array.from({ length: 5 }, () => isAccepted(store));
    await primary.start();
    expect(await Promise.all(waiting)).not.toContain(false);
    expect((await store.messages.counts()).states).toEqual({ queued: 6 });
  });

  test('text that the database cannot keep fails its message alone', async () => {
    const { options } = await cluster();
    const store = await opened(options);
    const messages = [newMessage(), newMessage({ reversePath: 'nul\0@example.org' }), newMessage()];
    const results = await Promise.allSettled(messages.map((message) => isAccepted(store, message)));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((await store.messages.counts()).states).toEqual({ queued: 2 });
  });

  test('text with the marks of its own language comes back as it was', async () => {
    const { options } = await cluster();
    const store = await opened(options);
    const odd = `"a, {b}" \\ 'NULL' $1; -- é 漢`;
    const message = newMessage({
      reversePath: odd,
      messageId: 'NULL',
      signatures: ['', 'x'],
      to: [`${odd}@x.example`, '@y.example'],
    });
    await store.messages.accept({ message });
    const stored = (await store.messages.get(message.id))!;
    expect([stored.reversePath, stored.messageId, ...stored.recipients.map(({ address }) => address)]).toEqual([
      ...[odd, 'NULL', `${odd}@x.example`, '@y.example'],
    ]);
    const [claim] = await store.messages.claim({ destination: 'x.example', now: NOW, limit: 1, lease: 'one#1' });
    expect(claim?.content).toMatchObject({ kind: 'inline' });
  });

  test('transactions that lock each other run again', async () => {
    const { primary, database, options } = await cluster();
    const store = await opened(options);
    const login = { name: 'anna', hash: 'h', senders: ['*'], mailServer: false, limits: null, disabled: false } as const;
    await store.credentials.add({ ...login, expiresAt: null, rewrite: null, createdAt: 0 });
    const grant = (await store.credentials.get('anna'))!;
    const limits = { user: 'anna', list: [{ kind: 'messages', count: 99, per: 'hour' }], over: 'refuse' } as const;
    await store.messages.accept({ message: newMessage(), grant, limits });
    // Locks the rows in the other order: the use of the limits first, then the login. It lets the store be the victim.
    const crossing = primary.sql(
      `DO $$ BEGIN
         PERFORM set_config('deadlock_timeout', '1min', true);
         PERFORM 1 FROM smarthost.usage FOR UPDATE;
         FOR i IN 1..500 LOOP
           EXIT WHEN EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name LIKE '%/mail' AND wait_event_type = 'Lock');
           PERFORM pg_sleep(0.02);
           PERFORM pg_stat_clear_snapshot();
         END LOOP;
         PERFORM 1 FROM smarthost.credentials FOR UPDATE;
       END $$`,
      database,
    );
    await until(
      async () => (await primary.sql(`SELECT 1 FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'`)).length > 0,
    );
    expect(await store.messages.accept({ message: newMessage(), grant, limits })).toMatchObject({
      accepted: true,
      use: [{ used: 2 }],
    });
    await crossing;
    // It may be the victim again, before the other one has its lock.
    const [stats] = await primary.sql('SELECT deadlocks::int AS n FROM pg_stat_database WHERE datname = $1', 'postgres', [
      database,
    ]);
    expect(stats!['n']).toBeGreaterThan(0);
  });

  test('a message is withdrawn although the transaction that stores it has not ended yet', async () => {
    const { primary, followers, options } = await cluster(['b']);
    const store = await opened(options);
    expect(await isAccepted(store)).toBe(true);
    const message = newMessage({ token: 7 });
    await followers[0]!.pause();
    const waiting = isAccepted(store, message);
    await until(async () => (await backend(primary, 'mail', `AND wait_event = 'SyncRep'`)).length === 1);
    const withdrawn = store.messages.withdraw([{ id: message.id, token: 7 }], NOW);
    await until(async () => (await backend(primary, 'rest', `AND wait_event_type = 'Lock'`)).length === 1);
    await followers[0]!.resume();
    await Promise.all([waiting, withdrawn]);
    expect((await store.messages.get(message.id))?.recipients[0]?.state).toBe('removed');
    await store.messages.withdraw([{ id: newMessage().id, token: 7 }], NOW);
    expect(await primary.sql('SELECT count(*)::int AS n FROM smarthost.messages', options.database)).toEqual([{ n: 2 }]);
  });

  test('a database that stops waiting for its standby gets no mail from the next commit on', async () => {
    const { primary, options } = await cluster(['b']);
    const troubles: string[] = [];
    const store = await opened(options, troubles);
    expect(await isAccepted(store)).toBe(true);
    await primary.set({ synchronous_standby_names: '' });
    await expect(isAccepted(store)).rejects.toMatchObject({ code: 'ESTORE' });
    expect(troubles.join()).toContain('no synchronous standby is named');
    expect((await store.messages.counts()).states).toEqual({ queued: 1 });
  });

  test('a process that was thought dead writes no more by its old number, and takes another', async () => {
    const { primary, database, options } = await cluster();
    const store = await opened(options);
    expect(await isAccepted(store)).toBe(true);
    const [before] = await primary.sql('SELECT id, incarnation FROM smarthost.nodes', database);
    // Its next sign of life must not come before the other process looks.
    const keep = `CREATE FUNCTION public.keep_old() RETURNS trigger LANGUAGE plpgsql
      AS $$ BEGIN NEW.seen_at := now() - interval '1 hour'; RETURN NEW; END $$`;
    await primary.sql(keep, database);
    await primary.sql(
      `CREATE TRIGGER keep_old BEFORE UPDATE ON smarthost.nodes FOR EACH ROW WHEN (NEW.incarnation = '${before!['incarnation']}')
       EXECUTE FUNCTION public.keep_old()`,
      database,
    );
    await primary.sql('UPDATE smarthost.nodes SET seen_at = seen_at', database);
    const other = await opened(options);
    expect(await isAccepted(other)).toBe(true);
    expect(await isAccepted(store)).toBe(true);
    const nodes = await primary.sql('SELECT id, incarnation FROM smarthost.nodes ORDER BY id', database);
    expect(nodes).toHaveLength(2);
    expect(nodes.map(({ incarnation }) => incarnation)).not.toContain(before!['incarnation']);
    expect((await store.messages.counts()).states).toEqual({ queued: 3 });
  });
});
