/** A change and the row that says who has made it: a crash leaves both or none, wherever it comes. */
import { expect, test } from 'vitest';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import { hasCommand, requirePeer, succeeds } from '../support/peers.ts';
import { sized } from '../support/size.ts';
import { startStoreProcess } from '../support/store-process.ts';
import { dataDir, until } from '../support/store-rig.ts';

/** Compares what is there with the rows about it. @returns how many rows there are. */
async function expectRowsOfAll(path: string): Promise<number> {
  const store = await storeFiles(path).open({ sweep: true });
  try {
    const rows = await store.audit.changes({ limit: 1_000_000 });
    const targets = (action: string) => rows.filter((row) => row.action === action).map(({ target }) => target);
    const removed = new Set(targets('user.remove'));
    const added = targets('user.add').filter((name) => !removed.has(name));
    const there = await store.credentials.list();
    expect(there.map(({ name }) => name).toSorted()).toEqual(added.toSorted());
    const set = new Set(targets('user.set'));
    for (const { name, revision } of there) expect([name, revision]).toEqual([name, set.has(name) ? 1 : 0]);
    const sum = (action: string) =>
      rows.filter((row) => row.action === action).reduce((total, { recipients }) => total + (recipients ?? 0), 0);
    expect((await store.messages.counts()).states.held ?? 0).toBe(sum('queue.hold') - sum('queue.release'));
    return rows.length;
  } finally {
    await store.close();
  }
}

const ROUNDS = sized(8, 2, 4);

test(`${ROUNDS} times SIGKILL while an operator changes something: each change has its row, and each row its change`, async () => {
  const path = dataDir();
  let rows = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const child = startStoreProcess(path, 'change');
    await until(() => child.lines.filter((line) => line.startsWith('changed')).length > 3 * round, 60_000); // another moment each round
    await child.kill();
    const now = await expectRowsOfAll(path);
    expect(now).toBeGreaterThan(rows);
    rows = now;
  }
}, 600_000);

const traces = () => hasCommand('strace') && succeeds('strace', ['-f', '-qq', '-o', '/dev/null', 'true']);

test.skipIf(!requirePeer('strace', traces()))(
  'killed at a write to the database: both or none',
  async () => {
    const path = dataDir();
    // The mail of a child takes some writes first; the changes come behind them.
    const points = Array.from({ length: sized(8, 2, 4) }, (_, i) => 400 + 37 * i + (Date.now() % 37));
    for (const when of points) {
      const inject = `inject=pwrite64:signal=KILL:when=${when}`;
      const child = startStoreProcess(path, 'change', [
        'strace',
        '-f',
        '-qq',
        '-o',
        '/dev/null',
        '-e',
        'trace=pwrite64',
        '-e',
        inject,
      ]);
      await until(() => child.child.exitCode !== null || child.child.signalCode !== null, 120_000);
      await child.kill();
      await expectRowsOfAll(path);
    }
  },
  900_000,
);
