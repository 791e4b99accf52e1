/** The promises of a store, on the one of release and on the one of the tests. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { storeFiles } from '../../../src/store/embedded/embedded.ts';
import { storeContract } from '../../contract/store.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { createMemoryTlsPolicies } from '../../support/memory-tls-policies.ts';
import { dataDir } from '../../support/store-rig.ts';

storeContract({
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
});

/** It keeps what the queue asks for. */
storeContract({
  name: 'memory',
  lacks: ['limits', 'trace', 'credentials', 'operation', 'changes'],
  async open() {
    const messages = createMemoryStore();
    const client = { messages, tlsPolicies: createMemoryTlsPolicies() };
    return { one: client, two: client, pass: async (ms) => messages.pass(ms), close: async () => {} };
  },
});
