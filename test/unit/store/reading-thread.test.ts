/** The thread that reads for people, as long as somebody follows mail. */
import { once } from 'node:events';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import type { BrowseStep } from '../../../src/store/sqlite/browsing.ts';
import { openDatabase } from '../../../src/store/sqlite/database.ts';
import { fillWithEnded } from '../../support/ended-mail.ts';
import { temporaryFolder } from '../../support/program.ts';

const MIB = 2 ** 20;
const ANY = { users: null, ids: null, except: null, about: null, messageId: null, sender: null, subject: null, recipient: null };
const STEP: BrowseStep = {
  ...{ ...ANY, destination: null, states: null, since: 0, until: Number.MAX_SAFE_INTEGER },
  ...{ from: '', before: '\uffff', limit: 50 },
};

test('keeps no garbage of its reads, although V8 collects old objects from 128 MB on', async () => {
  setFlagsFromString('--initial-old-space-size=128'); // as the service starts the relay
  const folder = temporaryFolder('reading');
  const path = join(folder.path, 'queue.db');
  const db = openDatabase(path, 1000);
  fillWithEnded(db, 200, Date.now());
  const workerData = { path, spoolDir: folder.path, busyTimeout: 1000 };
  const worker = new Worker(new URL('../../../src/store/sqlite/reading-worker.ts', import.meta.url), {
    ...{ workerData, execArgv: ['--disable-warning=ExperimentalWarning'] },
  });
  try {
    expect(await once(worker, 'message')).toEqual(['opened']);
    const read = async (requests: number) => {
      for (let i = 0; i < requests; i++) {
        worker.postMessage([[i, 'browse', STEP]]);
        await once(worker, 'message');
      }
      return (await worker.getHeapStatistics()).used_heap_size / MIB;
    };
    const before = await read(100);
    expect((await read(2000)) - before).toBeLessThan(9);
  } finally {
    await worker.terminate();
    db.close();
    folder.remove();
  }
});
