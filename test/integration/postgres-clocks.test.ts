/** Machines whose clocks differ share a database: its clock is the one that counts. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { openPostgres } from '../../src/store/postgres/postgres-store.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, newDatabase, PostgresServer } from '../support/postgres.ts';

const CHILD = new URL('../support/postgres-child.ts', import.meta.url).pathname;
const FAKETIME = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path));

describe.skipIf(!requirePeer('postgresql', hasPostgres) || !requirePeer('faketime', FAKETIME !== undefined))(
  'machines whose clocks differ',
  () => {
    let server: PostgresServer;
    beforeAll(async () => {
      server = await PostgresServer.create();
    });
    afterAll(() => server?.remove());

    function relay(options: object, skew: string) {
      const env = { ...process.env, LD_PRELOAD: FAKETIME!, FAKETIME: skew, FAKETIME_DONT_FAKE_MONOTONIC: '1' };
      const args = [CHILD, JSON.stringify(options), 'offer', '1500'];
      const child = spawn(process.execPath, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
      onTestFinished(() => void child.kill('SIGKILL'));
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      return { line: async () => (await lines.next()).value as string, go: () => child.stdin.write('go\n') };
    }

    test('two relays whose clocks are 10 s apart accept exactly as many messages as the limit allows', async () => {
      const options = server.options(await newDatabase(server));
      const relays = [relay(options, '-5s'), relay(options, '+5s')];
      for (const one of relays) expect(await one.line()).toBe('open');
      for (const one of relays) one.go();
      const lines = await Promise.all(relays.map((one) => one.line()));
      const found = lines.map((line) => /^accepted (\d+), ahead (-?\d+)$/.exec(line)!.slice(1).map(Number));
      expect(found.map(([, ahead]) => ahead)).toEqual([-5, 5]);
      expect(found[0]![0]! + found[1]![0]!).toBe(1000);
      for (const [accepted] of found) expect(accepted).toBeGreaterThan(0);
      const [stored] = await server.sql(
        'SELECT count(*)::int AS n, max(accepted_at) - min(accepted_at) AS span FROM smarthost.messages',
        options.database,
      );
      expect(stored!['n']).toBe(1000);
      expect(Number(stored!['span'])).toBeGreaterThan(0);
      const [stats] = await server.sql('SELECT deadlocks::int AS n FROM pg_stat_database WHERE datname = $1', 'postgres', [
        options.database,
      ]);
      expect(stats).toEqual({ n: 0 });
    });

    test('a clock that differs is told, and mail gets the time of the database', async () => {
      const options = server.options(await newDatabase(server));
      const real = Date.now;
      Date.now = () => real() + 60_000;
      onTestFinished(() => {
        Date.now = real;
      });
      const skews: number[] = [];
      const store = await openPostgres({ server: options, onSkew: (seconds) => void skews.push(seconds) });
      onTestFinished(() => store.close());
      expect(Math.abs(store.now() - real())).toBeLessThan(1000);
      expect(skews).toEqual([60]);
    });
  },
);
