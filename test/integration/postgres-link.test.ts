/** The connection to PostgreSQL: which server is used, when it is lost, and what does not count as a commit. */
import { X509Certificate } from 'node:crypto';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ConnectionLost, DatabaseSession, type ServerOptions, sqlStateOf } from '../../src/store/postgres/database-session.ts';
import { Link, laxness } from '../../src/store/postgres/link.ts';
import { makePair } from '../support/pair.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, PostgresServer } from '../support/postgres.ts';
import { until } from '../support/store-rig.ts';

const soon = (ms = 20_000) => performance.now() + ms;

describe.skipIf(!requirePeer('postgresql', hasPostgres))('the connection to PostgreSQL', () => {
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

  function link(change: Partial<ServerOptions> = {}, answerTimeout?: number): Link {
    const timeout = answerTimeout === undefined ? {} : { answerTimeout };
    const one = new Link({ server: primary.options('postgres', change), name: 'smarthost/test', ...timeout });
    onTestFinished(() => one.close());
    return one;
  }
  const at = ({ port }: { port: number }) => ({ host: '127.0.0.1', port });
  const session = async (at: PostgresServer = primary) => {
    const one = await DatabaseSession.open(at.options('postgres'), { host: '127.0.0.1', port: at.port }, 'smarthost/test');
    onTestFinished(() => one.close());
    return one;
  };

  test('of several hosts the one that is not a standby is used', async () => {
    const one = await link({ hosts: [at({ port: 1 }), at(standby), at(primary)] }).session(soon());
    expect((await one.ask('SHOW port')).rows).toEqual([{ port: String(primary.port) }]);
  });

  test('an error in a batch fails all its statements, and the session goes on with them', async () => {
    const one = await session();
    const batch = (divisor: number) => {
      const texts = ['SELECT 1 AS a', 'SELECT 1 / $1::int AS b', 'SELECT 3 AS c'];
      const answers = texts.map(() => Promise.withResolvers<{ rows: unknown[] }>());
      one.askAll(texts.map((text, i) => ({ text, values: i === 1 ? [divisor] : [], ...answers[i]! })));
      return Promise.allSettled(answers.map(({ promise }) => promise.then(({ rows }) => rows)));
    };
    const failed = await batch(0);
    expect(failed.map((one) => sqlStateOf((one as PromiseRejectedResult).reason))).toEqual(['22012', '22012', '22012']);
    for (const _ of [1, 2])
      expect(await batch(1)).toEqual([{ a: 1 }, { b: 1 }, { c: 3 }].map((row) => ({ status: 'fulfilled', value: [row] })));
    await expect(one.ask('SELECT $1::text', [{}])).rejects.toThrow(TypeError);
    expect((await one.ask('SELECT 5 AS e')).rows).toEqual([{ e: 5 }]);
    // The server keeps none of those that failed, and each of the others once.
    for (let i = 0; i < 20; i++) await expect(one.ask('SELECT 1 / $1::int AS f', [0])).rejects.toThrow('division by zero');
    await expect(one.ask('SELEC 1')).rejects.toThrow('syntax error');
    const prepared = `SELECT statement FROM pg_prepared_statements ORDER BY prepare_time, statement`;
    expect((await one.ask(prepared)).rows.map((row) => row['statement'])).toEqual([
      ...['SELECT 1 AS a', 'SELECT 1 / $1::int AS b', 'SELECT 3 AS c', 'SELECT 5 AS e', prepared],
    ]);
  });

  test('a primary that is found while another server is asked is the next one, and no further server is asked', async () => {
    const silent: Socket[] = [];
    const asked: Socket[] = [];
    const [slow, other] = await Promise.all(
      [silent, asked].map(
        (sockets) =>
          new Promise<Server>((resolve) => {
            const one = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1', () => resolve(one));
            onTestFinished(() => void one.close());
          }),
      ),
    );
    const hosts = [slow!, other!].map((one) => at(one.address() as AddressInfo));
    const found = at(primary);
    const one = new Link({ server: primary.options('postgres', { hosts: [...hosts, found] }), name: 'smarthost/test' });
    onTestFinished(() => one.close());
    const opening = one.session(soon());
    await until(() => silent.length === 1);
    one.follow(found);
    silent[0]!.destroy();
    expect((await (await opening).ask('SHOW port')).rows).toEqual([{ port: String(primary.port) }]);
    expect(asked).toEqual([]);
  });

  test('without a primary the reasons of all hosts are told, and no password', async () => {
    const none = link({ hosts: [at({ port: 1 }), at(standby)], password: 'geheim' });
    const sentence = await none.session(soon(300)).catch((error: Error) => error.message);
    expect(sentence).toContain('127.0.0.1:1 connect ECONNREFUSED');
    expect(sentence).toContain(`127.0.0.1:${standby.port} is a standby`);
    expect(sentence).not.toContain('geheim');
  });

  test('a server that does not sync its disk is not used', async () => {
    await primary.set({ fsync: 'off' });
    onTestFinished(() => primary.set({ fsync: 'on' }));
    await expect(link().session(soon())).rejects.toThrow('has fsync off: a power cut would lose mail');
  });

  test('a session has its settings, so that the locks of a dead machine end', async () => {
    const one = await session();
    const { rows } = await one.ask(`SELECT name, setting FROM pg_settings WHERE name IN
      ('synchronous_commit', 'idle_in_transaction_session_timeout', 'lock_timeout', 'tcp_keepalives_idle', 'tcp_user_timeout') ORDER BY name`);
    expect(rows.map((row) => row['setting'])).toEqual(['5000', '5000', 'on', '5', '10000']);
  });

  test('numbers and bytes come back as they are', async () => {
    const one = await session();
    const bytes = Buffer.from([0, 1, 255, 92, 39, 0]);
    const { rows } = await one.ask('SELECT $1::bigint AS n, $2::bytea AS bytes, ARRAY[1, 2]::bigint[] AS list', [2 ** 40, bytes]);
    expect(rows).toEqual([{ n: 2 ** 40, bytes, list: [1, 2] }]);
    expect((rows[0]!['bytes'] as Uint8Array).buffer.byteLength).toBe(6);
  });

  test('after an error in a transaction the commit says ROLLBACK', async () => {
    const one = await session();
    const asked = ['BEGIN', 'SELECT 1 / 0', 'SELECT 1', 'COMMIT'].map((text) => one.ask(text));
    const states = (await Promise.allSettled(asked)).map((result) =>
      result.status === 'fulfilled' ? result.value.command : sqlStateOf(result.reason),
    );
    expect(states).toEqual(['BEGIN', '22012', '25P02', 'ROLLBACK']);
  });

  test('a cancelled wait for the standby is a warning, although the commit looks like a success', async () => {
    await primary.set({ synchronous_standby_names: 'nobody' });
    onTestFinished(() => primary.set({ synchronous_standby_names: '' }));
    const one = await session();
    const { rows } = await one.ask<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const commit = one.ask('CREATE TABLE public.cancelled (n int)');
    await until(async () => (await primary.sql(`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'`)).length === 1);
    expect(one.takeWarning()).toBe(false);
    await primary.sql('SELECT pg_cancel_backend($1)', 'postgres', [rows[0]!.pid]);
    expect((await commit).command).toBe('CREATE');
    expect([one.takeWarning(), one.takeWarning()]).toEqual([true, false]);
  });

  test('TLS is verified against the authority that is named, and a server without TLS is refused', async () => {
    const { cert, key } = await makePair();
    await expect(link({ tls: 'encrypt' }).session(soon(300))).rejects.toThrow('does not support SSL');
    await primary.set({
      ...{ ssl_cert_file: primary.write('test.crt', cert), ssl_key_file: primary.write('test.key', key), ssl: 'on' },
    });
    onTestFinished(() => primary.set({ ssl: 'off' }));
    const secured = async (change: Partial<ServerOptions>) => {
      const one = await link(change).session(soon(500));
      return (await one.ask('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).rows[0];
    };
    expect(await secured({ tls: 'encrypt' })).toEqual({ ssl: true });
    expect(await secured({ tls: 'verify', ca: cert })).toEqual({ ssl: true });
    expect(await secured({ tls: 'none' })).toEqual({ ssl: false });
    await expect(secured({ tls: 'verify' })).rejects.toThrow(/self-signed certificate.*\(name its authority in store.ca\)/);
    const verified = await link({ tls: 'verify', ca: cert }).session(soon(500));
    expect(verified.certificateEndsAt).toBe(Date.parse(new X509Certificate(cert).validTo));
    expect((await session()).certificateEndsAt).toBeUndefined();
    const [host] = [{ host: 'localhost', port: primary.port }];
    await expect(secured({ tls: 'verify', ca: cert, hosts: [host] })).rejects.toThrow(/does not match certificate/);
  });

  test('a connection pooler is told apart at once, and not used', async () => {
    // A pooler tells the client another process number than that of the server behind it.
    const otherNumber: Pass = (data, to) => {
      const key = data.indexOf(Buffer.from([0x4b, 0, 0, 0, 12]));
      if (key !== -1) data.writeInt32BE(data.readInt32BE(key + 5) + 1, key + 5);
      to.write(data);
    };
    await expect(behind(undefined, { back: otherNumber })).rejects.toThrow('is a connection pooler (such as pgbouncer)');
  });

  test('a connection that the server ends is lost, and the link opens another one', async () => {
    const one = link();
    const first = await one.session(soon());
    await primary.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'smarthost/test'`);
    await until(() => first.isLost);
    await expect(first.ask('SELECT 1')).rejects.toBeInstanceOf(ConnectionLost);
    const second = await one.session(soon());
    expect(second).not.toBe(first);
    expect((await second.ask('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  type Pass = (data: Buffer, to: Socket) => void;
  const atOnce: Pass = (data, to) => void to.write(data);
  /** The primary behind a way that treats what passes. @returns a session there. */
  async function behind(answerTimeout: number | undefined, { there = atOnce, back = atOnce }: { there?: Pass; back?: Pass }) {
    const proxy = createServer((socket) => {
      const server = connect(primary.port, '127.0.0.1');
      socket.on('data', (data) => there(data, server));
      server.on('data', (data) => back(data, socket));
      for (const one of [socket, server]) one.on('error', () => {}).on('close', () => void [socket.destroy(), server.destroy()]);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void proxy.close());
    return link({ hosts: [at(proxy.address() as { port: number })] }, answerTimeout).session(soon());
  }

  test('a server that goes silent is given up by our own clock', async () => {
    const one = await behind(500, { there: (data, to) => data.includes('swallow') || to.write(data) });
    expect((await one.ask('SELECT 1 AS one')).rows).toHaveLength(1);
    await expect(one.ask(`SELECT 'swallow'`)).rejects.toThrow('gave no answer');
    expect(one.isLost).toBe(true);
  });

  test('a server is not silent while much is on its way there, or an answer is coming', async () => {
    let held = Promise.resolve();
    const late = (data: Buffer, to: Socket) => void held.then(() => to.write(data));
    const slowThere = await behind(300, { there: late });
    held = new Promise((resolve) => setTimeout(resolve, 900));
    const bytes = Buffer.alloc(6 * 1024 * 1024);
    expect((await slowThere.ask('SELECT length($1::bytea) AS n', [bytes])).rows).toEqual([{ n: bytes.length }]);

    let last = Promise.resolve();
    const trickle = (data: Buffer, to: Socket) => {
      const parts =
        data.length < 5000
          ? [data]
          : [0, 1, 2, 3, 4, 5, 6, 7].map((i) => data.subarray(i * 1000, i === 7 ? undefined : (i + 1) * 1000));
      for (const [i, part] of parts.entries())
        last = last.then(() => new Promise((resolve) => setTimeout(() => resolve(void to.write(part)), i === 0 ? 0 : 250)));
    };
    const slowBack = await behind(1200, { back: trickle });
    expect((await slowBack.ask(`SELECT repeat('x', 9000) AS text`)).rows).toEqual([{ text: 'x'.repeat(9000) }]);
  });
});

test('mail is refused while the database would answer before two machines have it', () => {
  expect(laxness('two', 'on', 'ANY 1 (b, c)')).toBeUndefined();
  expect(laxness('two', 'on', '')).toContain('no synchronous standby is named');
  expect(laxness('two', 'local', 'b')).toContain('does not wait for its standby');
  expect(laxness('one', 'on', '')).toBeUndefined();
  expect(laxness('one', 'off', 'b')).toContain('synchronous_commit is off');
});
