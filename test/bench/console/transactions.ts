/** The longest statement of people's searches: so long the log of the database cannot be emptied. In this process, without HTTP. */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowseStep, browse } from '../../../src/store/sqlite/browsing.ts';
import type { Context } from '../../../src/store/sqlite/context.ts';
import { type Database, openDatabase, openReadOnly } from '../../../src/store/sqlite/database.ts';
import { AFTER_ALL } from '../../../src/store/sqlite/reading.ts';
import { fillWithEnded } from '../../support/ended-mail.ts';
import { quantile } from '../../support/sample.ts';
import { note } from './rig.ts';

const ANY: BrowseStep = {
  ...{
    users: null,
    ids: null,
    except: null,
    about: null,
    messageId: null,
    sender: null,
    subject: null,
    recipient: null,
    destination: null,
  },
  ...{ states: null, since: 0, until: Number.MAX_SAFE_INTEGER, from: '', before: AFTER_ALL, limit: 50 },
};

export async function measureTransactions(messages: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'smarthost-bench-'));
  try {
    const file = join(folder, 'bench.db');
    const full = openDatabase(file, 1000);
    fillWithEnded(full, messages, Date.now());
    full.close();
    const times: number[] = [];
    const db = timed(openReadOnly(file, 1000), times);
    for (const change of [{ recipient: 'nobody-of-that-name' }, { sender: 'nobody-of-that-name' }, { users: ['nobody'] }]) {
      const began = performance.now();
      for (let before: string | null = AFTER_ALL; before !== null; )
        before = browse({ db } as Context, { ...ANY, ...change, before }).after;
      note(`whole search by ${Object.keys(change)[0]}`, performance.now() - began, 'ms');
    }
    note('read transaction of a search, p99', quantile(times, 0.99), 'ms');
    note('read transaction of a search, longest', Math.max(...times), 'ms');
    db.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function timed(db: Database, times: number[]): Database {
  const noted = <T>(read: () => T): T => {
    const began = performance.now();
    const found = read();
    times.push(performance.now() - began);
    return found;
  };
  return {
    ...db,
    get: (sql, ...values) => noted(() => db.get(sql, ...values)),
    all: (sql, ...values) => noted(() => db.all(sql, ...values)),
  };
}
