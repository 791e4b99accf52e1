import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { accept } from '../../../src/store/sqlite/accept.ts';
import { addCredential, getCredential } from '../../../src/store/sqlite/credential-rows.ts';
import { type Database, openDatabase } from '../../../src/store/sqlite/database.ts';
import { DueDestinations } from '../../../src/store/sqlite/due.ts';
import { Effects } from '../../../src/store/sqlite/effects.ts';
import { SignsOfLife } from '../../../src/store/sqlite/owners.ts';
import { encodeChange, encodeMessage } from '../../../src/store/sqlite/rows.ts';
import { settle } from '../../../src/store/sqlite/settle.ts';
import { dataDir } from '../../support/store-rig.ts';

/** The statements of `action`, in the order in which they run. */
function statementsOf(db: Database, action: (db: Database) => void): string[] {
  const statements: string[] = [];
  const noted = (sql: string) => {
    statements.push(/^\s*(\w+ (?:INTO |FROM )?\w+)/.exec(sql)?.[1] ?? sql);
    return sql;
  };
  action({
    ...db,
    run: (sql, ...values) => db.run(noted(sql), ...values),
    get: (sql, ...values) => db.get(noted(sql), ...values),
    all: (sql, ...values) => db.all(noted(sql), ...values),
  });
  return statements;
}

test('a message that is accepted under a login and relayed costs the store eight statements', () => {
  const spoolDir = dataDir();
  const db = openDatabase(join(spoolDir, 'store.db'), 1000);
  const services = { effects: new Effects(), due: new DueDestinations(), signs: new SignsOfLife(), spoolDir };
  const about = { senders: ['*'], mailServer: false, limits: null, disabled: false, expiresAt: null, rewrite: null };
  addCredential({ db, ...services }, { name: 'app', hash: 'x', createdAt: 1, ...about });
  const grant = getCredential({ db, ...services }, 'app')!;
  const messageOf = (id: string) =>
    encodeMessage({
      ...{ id, user: 'app', reversePath: 'a@b.test', messageId: '<1@b.test>', size: 1, acceptedAt: 1, expiresAt: 2, token: 1 },
      ...{ body: '7BIT', needsSmtpUtf8: false, signatures: [] },
      recipients: [{ address: 'c@d.test', destination: 'd.test' }],
      content: { kind: 'inline', bytes: new Uint8Array(1) },
    });
  const attempt = { at: 1, mx: 'mx.d.test', ip: '192.0.2.1', tls: null, outcome: 'relayed', code: 250, status: '2.0.0' } as const;
  const relayed = encodeChange({ n: 0, state: 'relayed', attempt: { ...attempt, reply: '250 2.0.0 OK', seconds: 1 } });
  const takeAndRelay = (id: string) => (counted: Database) => {
    const context = { db: counted, ...services };
    const claim = { indexes: [0], lease: 'me#1' };
    expect(accept(context, { message: messageOf(id), claim, limits: null, grant }).denied).toBeNull();
    settle(context, { id, lease: 'me#1', at: 2, changes: [relayed], untold: [] });
  };
  statementsOf(db, takeAndRelay('first')); // writes the sign of life too, which is rare
  expect(statementsOf(db, takeAndRelay('second'))).toEqual([
    'INSERT INTO messages',
    'INSERT INTO contents',
    'INSERT INTO open',
    'INSERT INTO recipients',
    'UPDATE recipients',
    'INSERT INTO attempts',
    'DELETE FROM open',
    'DELETE FROM contents',
  ]);
  expect(db.get('SELECT 1 FROM contents')).toBeUndefined();
  db.close();
});

test('each statement for PostgreSQL names its columns, so that it is still good when a newer relay has added one', () => {
  const unnamed = readdirSync('src/store/postgres').flatMap(
    (file) => readFileSync(`src/store/postgres/${file}`, 'utf8').match(/SELECT \* FROM (?!unnest\()\w+/g) ?? [],
  );
  expect(unnamed).toEqual([]);
});
