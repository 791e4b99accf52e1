/** A restore on a disk that is too small: one sentence reports it, and the old store does not change. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import { hasMountNamespaces, requirePeer } from '../support/peers.ts';
import { run, temporaryFolder } from '../support/program.ts';
import { bytesOf, LEASE, NOW, newMessage, put, relay } from '../support/store-rig.ts';

const present = requirePeer('mount namespaces', hasMountNamespaces());
const CHECKOUT = new URL('../..', import.meta.url).pathname;
const BODY = Buffer.alloc(3 * 1024 * 1024, 'a line of the body\r\n');

test.skipIf(!present)('a disk without room for the bodies of a backup keeps the existing ones', async () => {
  const folder = temporaryFolder('restore-full-disk');
  onTestFinished(() => folder.remove());
  const data = join(folder.path, 'data');
  const file = join(folder.path, 'backup.db');
  const store = await storeFiles(data).open();
  const ids: string[] = [];
  for (let i = 0; i < 2; i++) {
    const writer = await store.messages.createSpool();
    await writer.write(BODY);
    const content = { kind: 'spooled', prefix: bytesOf('prefix\r\n'), spool: await writer.finish() } as const;
    ids.push((await put(store, newMessage({ content }), { claim: [0] })).id);
  }
  await storeFiles(data).backup({ file });
  await relay(store, ids[0]!);
  await store.messages.giveBack(LEASE, NOW);
  await store.close();
  // 3 MB of it are taken, the copy of the backup takes 6, and its bodies would take 6 more.
  const script = `
    mkdir "$0/disk" && mount -t tmpfs -o size=12m tmpfs "$0/disk" && cp -a "$0/data" "$0/disk/data" && cd "$0/disk" || exit 9
    SMARTHOST_HOSTNAME=relay.test SMARTHOST_DATA_DIR="$0/disk/data" "$1/node_modules/.bin/node" "$1/src/smarthost.ts" restore "$0/backup.db" --force
    echo "exit $?"; ls "$0/disk/data"; sha256sum "$0/disk/data/spool/"*`;
  const { stdout, stderr } = await run('unshare', [
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-c',
    script,
    folder.path,
    CHECKOUT,
  ]);
  expect(stderr).toMatch(/^No space left for the backup in .*, which is as it was/m);
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(stdout).toMatch(/^exit 1$/m);
  expect(stdout).not.toContain('partial');
  const hashes = [...stdout.matchAll(/^([0-9a-f]{64}) /gm)].map(([, hash]) => hash);
  expect(hashes).toEqual([createHash('sha256').update(BODY).digest('hex')]);
});
