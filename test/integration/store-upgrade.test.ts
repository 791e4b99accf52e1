/** A trace of many messages that release 0.1 has written: what people look at is there after the upgrade, and what was not kept says so. */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createTraceControl } from '../../src/control/trace.ts';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { MIGRATIONS } from '../../src/store/sqlite/schema.ts';
import { fillWithEnded } from '../support/ended-mail.ts';
import { dataDir, testStore } from '../support/store-rig.ts';

const databaseFile = (path: string) => join(path, 'smarthost.db');
/** The forms that release 0.1 knew. */
const FIRST_RELEASE = MIGRATIONS.slice(0, 2);
/** The whole size is measured by `npm run bench -- console`. */
const MESSAGES = 30_000;

test('the trace of release 0.1 is listed, searched and shown after the upgrade, without what was not kept', async () => {
  const path = dataDir();
  const old = openDatabase(databaseFile(path), 1000, FIRST_RELEASE);
  chmodSync(databaseFile(path), 0o600);
  const middle = fillWithEnded(old, MESSAGES, Date.now());
  old.close();

  const trace = createTraceControl(await testStore({ dataDir: path }));
  const page = await trace.browse({ limit: 50 });
  expect(page.items).toHaveLength(50);
  expect(page.items[0]).not.toHaveProperty('client');
  expect(page.items[0]).not.toHaveProperty('subject');
  expect(page.items[0]).toMatchObject({ user: 'shop', states: { relayed: 1 } });
  const older = await trace.browse({ limit: 50, before: middle, states: ['failed'], user: 'Exchange' });
  expect(older.items).toHaveLength(Math.ceil(MESSAGES / 2 / 1400)); // one of 7 is from exchange, one of 200 failed
  expect(new Set(older.items.map(({ user, recipients }) => `${user} ${recipients[0]!.lastReply}`))).toEqual(
    new Set(['exchange 550 5.1.1 Said by the host']),
  );
  const shown = await trace.show(middle, { from: 0, limit: 50 });
  expect(shown.recipients[0]!.attempts).toHaveLength(1);
  expect(shown.recipients[0]!.attempts[0]).toMatchObject({ mx: expect.stringMatching(/^mx\./), tls: 'TLSv1.3', seconds: 0.1 });
  expect((await trace.browse({ limit: 50, subject: 'Invoice' })).items).toEqual([]);
});
