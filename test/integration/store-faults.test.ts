/** Disks that fail or fill up: never a false success, and work goes on when the fault is gone. Attacks L04 and L05. */
import { mkdirSync, readFileSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openStore } from '../../src/store/store.ts';
import { hasCommand, hasMountNamespaces, requirePeer } from '../support/peers.ts';
import { type StoreProcess, startStoreProcess } from '../support/store-process.ts';
import { dataDir, until } from '../support/store-rig.ts';

const idsOf = ({ lines }: StoreProcess) =>
  lines.filter((line) => line.startsWith('accepted')).map((line) => line.split(' ')[1] ?? '');

describe.skipIf(!requirePeer('strace', hasCommand('strace')))('a sync that fails', () => {
  test.each(['fdatasync', 'fsync'])(
    '(%s) refuses what it should have kept, and later mail is accepted again',
    async (call) => {
      const path = dataDir();
      await (await openStore({ dataDir: path })).close();
      // The 20th to the 29th sync of the process fail: commits after it started well.
      const inject = `inject=${call}:error=EIO:when=20..29`;
      const trace = join(path, 'trace');
      const child = startStoreProcess(path, 'try', ['strace', '-f', '-q', '-o', trace, '-e', `trace=${call}`, '-e', inject]);
      await child.seen('accepted', 30_000);
      const used = () => (readFileSync(trace, 'utf8').match(/INJECTED/g) ?? []).length;
      if (!(await isUsed(child, trace, call))) return child.kill(); // this build of SQLite syncs by the other call
      await until(() => used() === 10 && (child.lines.at(-1) ?? '').startsWith('accepted'), 30_000);
      await child.kill();
      const refused = child.lines.filter((line) => line.startsWith('refused'));
      expect(refused.length).toBeGreaterThan(0);
      expect(new Set(refused)).toEqual(new Set(['refused EIO']));
      expect(child.lines.some((line) => line.startsWith('trouble'))).toBe(true);
      await expectAllThere(path, idsOf(child));
    },
    90_000,
  );
});

async function isUsed(child: StoreProcess, trace: string, call: string): Promise<boolean> {
  await until(() => idsOf(child).length > 3);
  return readFileSync(trace, 'utf8').split(`${call}(`).length > 3;
}

async function expectAllThere(path: string, ids: readonly string[]): Promise<void> {
  const store = await openStore({ dataDir: path });
  expect(ids.length).toBeGreaterThan(3);
  for (const id of ids) expect([id, (await store.messages.content(id)) !== undefined]).toEqual([id, true]);
  await store.close();
}

describe.skipIf(!requirePeer('unshare with mounts of its own', hasMountNamespaces()))('a disk that is full', () => {
  test('refuses, and accepts again when there is room', async () => {
    const path = dataDir();
    const data = join(path, 'data');
    mkdirSync(data, { mode: 0o700 });
    const script = `mount -t tmpfs -o size=4m,mode=700 tmpfs ${data} && exec "$@"`;
    const child = startStoreProcess(data, 'try', ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh']);
    await child.seen('accepted', 30_000);
    // The child's own view of the directory, from outside.
    const inside = `/proc/${child.child.pid}/root${data}`;
    writeFileSync(join(inside, 'filler'), Buffer.alloc(freeBytes(inside)));
    await child.seen('refused', 30_000);
    const before = child.lines.length;
    await until(() => child.lines.length > before + 3);
    expect(child.lines.slice(before).filter((line) => line.startsWith('accepted'))).toEqual([]);
    expect(
      child.lines
        .filter((line) => line.startsWith('refused'))
        .every((line) => line === 'refused ENOSPC' || line === 'refused EIO'),
    ).toBe(true);
    truncateSync(join(inside, 'filler'), 0);
    const full = child.lines.length;
    await until(() => child.lines.slice(full).some((line) => line.startsWith('accepted')), 30_000);
    await child.kill();
  }, 90_000);
});

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}
