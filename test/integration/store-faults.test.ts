/** Disks that fail or get full: never a false success, and work continues after the fault. Attacks L04 and L05. */
import { appendFileSync, mkdirSync, readdirSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import { hasCommand, hasMountNamespaces, requirePeer } from '../support/peers.ts';
import { type StoreProcess, startStoreProcess } from '../support/store-process.ts';
import { dataDir, until } from '../support/store-rig.ts';

const answers = ({ lines }: StoreProcess) => lines.filter((line) => /^(accepted|refused)/.test(line));
const idsOf = ({ lines }: StoreProcess) =>
  lines.filter((line) => line.startsWith('accepted')).map((line) => line.split(' ')[1] ?? '');

describe.skipIf(!requirePeer('strace', hasCommand('strace')))('syncs', () => {
  test('that fail lead to a refusal, and later mail is accepted again', async () => {
    const path = dataDir();
    await (await storeFiles(path).open()).close();
    const trace = join(path, 'trace');
    // Of both calls, for SQLite uses one and spool files the other. The first ones succeed, so that work has begun.
    const inject = ['-e', 'trace=fsync,fdatasync', '-e', 'inject=fsync,fdatasync:error=EIO:when=6..9'];
    const child = startStoreProcess(path, 'try', ['strace', '-f', '-q', '-o', trace, ...inject]);
    await child.seen('ready', 60_000);
    const failed = (call: string) => (readFileSync(trace, 'utf8').match(new RegExp(`${call}.*INJECTED`, 'g')) ?? []).length;
    await until(() => failed('fsync') >= 4 && failed('fdatasync') >= 4, 60_000); // strace counts each thread for itself
    await until(
      () =>
        answers(child)
          .slice(-12)
          .every((line) => line.startsWith('accepted')),
      60_000,
    );
    await child.kill();
    expect(new Set(child.lines.filter((line) => line.startsWith('refused')))).toEqual(new Set(['refused EIO']));
    expect(child.lines.some((line) => line.startsWith('trouble'))).toBe(true);
    await expectAllThere(path, idsOf(child));
    // Nothing is left of those that were refused; one may have been under way.
    const spooled = child.lines.filter((line) => line.endsWith(' spooled')).length;
    expect(readdirSync(join(path, 'spool')).length).toBeLessThanOrEqual(spooled + 1);
  }, 150_000);

  test('of body, name and log come in this order, before a message is acknowledged', async () => {
    const path = dataDir();
    await (await storeFiles(path).open()).close();
    const trace = join(path, 'trace');
    const child = startStoreProcess(path, 'try', ['strace', '-f', '-q', '-y', '-o', trace, '-e', 'trace=fsync,fdatasync,write']);
    await until(() => idsOf(child).length >= 6, 60_000);
    await child.kill();
    const calls = readFileSync(trace, 'utf8').split('\n').map(nameOfCall).join('');
    expect(calls.replace(/^.*?a/, '')).toMatch(/^(L+a|L*B+L*NL+a)+/);
    expect(calls).toMatch(/BNL+a/);
  }, 90_000);
});

/** B: a body is synced, N: the directory of bodies, L: the log, a: a message is acknowledged. */
function nameOfCall(line: string): string {
  if (/ write\(1<.*"accepted/.test(line)) return 'a';
  if (/ (fsync|fdatasync)\(\d+<.*-wal>/.test(line)) return 'L';
  if (/ (fsync|fdatasync)\(\d+<.*\/spool\/[0-9a-f]+>/.test(line)) return 'B';
  return / fsync\(\d+<.*\/spool>/.test(line) ? 'N' : '';
}

async function expectAllThere(path: string, ids: readonly string[]): Promise<void> {
  const store = await storeFiles(path).open();
  expect(ids.length).toBeGreaterThan(3);
  for (const id of ids) expect([id, (await store.messages.content(id)) !== undefined]).toEqual([id, true]);
  await store.close();
}

/** Page by page, because the process writes at the same time. */
function fill(file: string): void {
  for (;;) {
    try {
      appendFileSync(file, Buffer.alloc(4096));
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
      return;
    }
  }
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
    fill(join(inside, 'filler'));
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
