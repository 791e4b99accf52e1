/** The promises of a store, on the one of release and on the one of the tests. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { storeFiles } from '../../../src/store/embedded/embedded.ts';
import { everyContract } from '../../contract/every.ts';
import type { Subject } from '../../contract/store.ts';
import { createMemoryData } from '../../support/memory-data.ts';
import { dataDir } from '../../support/store-rig.ts';

const sqlite: Subject = {
  name: 'SQLite',
  async open() {
    const path = dataDir();
    const [one, two] = [await storeFiles(path).open({ sweep: true }), await storeFiles(path).open()];
    return {
      ...{ one, two },
      async pass(ms) {
        const db = new DatabaseSync(join(path, 'smarthost.db'), { timeout: 10_000 });
        db.prepare('UPDATE owners SET beat_at = beat_at - ? WHERE beat_at > 0').run(ms);
        db.close();
      },
      close: async () => void (await Promise.all([one.close(), two.close()])),
    };
  },
};

const memory: Subject = {
  name: 'memory',
  async open() {
    const data = createMemoryData();
    const [one, two] = [data.client(), data.client()];
    return { one, two, pass: async (ms) => one.messages.pass(ms), close: async () => {} };
  },
};

for (const subject of [sqlite, memory]) everyContract(subject);
