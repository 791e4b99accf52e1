/** How a search reads: no statement looks at more than some thousand rows, whatever lies in them. */
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type BrowseStep, browse } from '../../../src/store/sqlite/browsing.ts';
import type { Context } from '../../../src/store/sqlite/context.ts';
import { type Database, openDatabase, openReadOnly } from '../../../src/store/sqlite/database.ts';
import { AFTER_ALL } from '../../../src/store/sqlite/reading.ts';
import { dataDir } from '../../support/store-rig.ts';

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
const [MESSAGES, RECIPIENTS] = [12, 700];

/** Messages m10, m11, … with recipients of domains that take turns. The message is open if `isOpen`. */
function filled(isOpen: boolean): Database {
  const file = join(dataDir(), 'store.db');
  const db = openDatabase(file, 1000);
  db.exec('BEGIN');
  for (let i = 0; i < MESSAGES; i++) {
    const id = `m${i + 10}`;
    db.run(
      `INSERT INTO messages (id, reverse_path, message_id, size, accepted_at, expires_at, flags, signatures, verify)
       VALUES (?, 'a@b.test', '', 1, 1, 2, 0, '', 0)`,
      id,
    );
    if (isOpen) db.run('INSERT INTO open (id, content, length, verify) VALUES (?, ?, 1, 0)', id, i);
    for (let n = 0; n < RECIPIENTS; n++)
      db.run(
        'INSERT INTO recipients (message, n, address, destination, verify, state) VALUES (?, ?, ?, ?, 0, ?)',
        ...[id, n, `r${n}@d${n % 7}.test`, `d${n % 7}.test`, isOpen ? 0 : 5],
      );
  }
  db.exec('COMMIT');
  db.close();
  const reader = openReadOnly(file, 1000);
  onTestFinished(() => reader.close());
  return reader;
}

/** All ids that fit, and how many statements have looked for them. */
function search(db: Database, change: Partial<BrowseStep>) {
  let statements = 0;
  const counted: Database = {
    ...db,
    all: (sql, ...values) => {
      if (sql.includes('SELECT m.*')) statements++;
      return db.all(sql, ...values);
    },
  };
  const ids: string[] = [];
  for (let before: string | null = AFTER_ALL; before !== null; ) {
    const page = browse({ db: counted } as Context, { ...ANY, ...change, before });
    ids.push(...page.items.map(({ id }) => id));
    before = page.after;
  }
  return { ids, statements };
}

const NEWEST_FIRST = Array.from({ length: MESSAGES }, (_, i) => `m${MESSAGES + 9 - i}`);

test.each([
  ['ended mail', false, {}],
  ['the queue', true, { states: [0] }],
])(
  'a search for recipients in %s reads messages with many of them in several statements, and finds each message once',
  (_, isOpen, change) => {
    const db = filled(isOpen);
    for (const [what, found] of [
      [{ destination: 'd3.test' }, NEWEST_FIRST],
      [{ recipient: 'r6' }, NEWEST_FIRST],
      [{ destination: 'd3.test', recipient: 'r3@' }, NEWEST_FIRST],
      [{ destination: 'd3.test', recipient: 'r4@' }, []],
      [{ recipient: 'nobody' }, []],
    ] as const) {
      const { ids, statements } = search(db, { ...change, ...what });
      expect(ids).toEqual(found);
      expect(statements).toBeGreaterThanOrEqual((MESSAGES * RECIPIENTS) / 3000);
    }
    expect(search(db, { ...change, destination: 'd3.test', limit: 5 }).ids, 'page by page').toEqual(NEWEST_FIRST);
  },
);
