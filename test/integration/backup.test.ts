/** The backup of a store in use, and its restore. */
import {
  chownSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { createDkimKeys } from '../../src/signing/signing.ts';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import type { Restored } from '../../src/store/sqlite/restore.ts';
import type { Store, StoredStsPolicy } from '../../src/store/store.ts';
import { DAY } from '../../src/system/clock.ts';
import {
  bytesOf,
  dataDir,
  inline,
  LEASE,
  NOW,
  newMessage,
  put,
  relay,
  statesOf,
  testStore,
  until,
  wholeContent,
} from '../support/store-rig.ts';

const BODY = 'a line of the body\r\n'.repeat(200_000);

async function putLarge(store: Store, to = ['bob@example.net']) {
  const writer = await store.messages.createSpool();
  await writer.write(Buffer.from(BODY));
  const spool = await writer.finish();
  return put(store, newMessage({ to, content: { kind: 'spooled', prefix: bytesOf('prefix\r\n'), spool } }));
}

async function restore(dir: string, file: string, force = false): Promise<Restored> {
  const source = await open(file);
  return storeFiles(dir)
    .restore({ source, name: file, force })
    .finally(() => source.close());
}

/** A backup of a small store, which tests damage. */
async function aBackup(): Promise<string> {
  const dir = dataDir();
  const store = await testStore({ dataDir: dir });
  await put(store);
  await putLarge(store);
  const file = join(dataDir(), 'backup.db');
  await storeFiles(dir).backup({ file });
  return file;
}

function change(file: string, sql: string): void {
  const db = new DatabaseSync(file);
  db.exec(sql);
  db.close();
}

const POLICY: StoredStsPolicy = {
  ...{ domain: 'example.net', id: '1', mode: 'enforce', maxAge: 86_400, mx: ['*.example.net'], text: 'version: STSv1' },
  ...{ fetchedAt: NOW, expiresAt: NOW + 86_400_000, usedAt: NOW, refreshAt: NOW + 80_000_000 },
  ...{ failures: 1, failedAt: NOW, lastError: 'status 404', retryAt: NOW + 300_000, retryId: '2' },
};

test('has everything that was committed at its start, while mail is accepted, and restores waiting mail as held', async () => {
  const dir = dataDir();
  const store = await testStore({ dataDir: dir });
  await store.operation.addDkimKeys(await createDkimKeys({ domain: 'example.org', now: NOW, state: 'active' }));
  await store.tlsPolicies.putStsPolicy(POLICY, 'relay');
  const small = await put(store, newMessage({ to: ['bob@example.net', 'carol@example.com'], content: inline(bytesOf('hello')) }));
  const large = await putLarge(store);
  const done = await put(store);
  await relay(store, done.id);
  const leased = await put(store, newMessage(), { claim: [0] });
  let running = true;
  let accepted = 0;
  const accepting = (async () => {
    for (; running; accepted++) await put(store);
  })();
  await until(() => accepted > 5);
  const file = join(dataDir(), 'backup.db');
  const counts = await storeFiles(dir).backup({ file });
  const before = accepted;
  await until(() => accepted > before);
  running = false;
  await accepting;

  expect(counts.messages).toBeGreaterThanOrEqual(9);
  expect(counts.messages).toBeLessThanOrEqual(accepted + 4);
  expect(counts.keys).toBe(2);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(file, '..'))).toEqual(['backup.db']);

  const target = dataDir();
  const restored = await restore(target, file);
  expect(restored).toMatchObject({ ...counts, held: { messages: counts.waiting, recipients: counts.recipients - 1 } });
  const copy = await testStore({ dataDir: target, sweep: true });
  expect(await statesOf(copy, small.id)).toEqual(['held', 'held']);
  expect(await statesOf(copy, leased.id)).toEqual(['held']);
  expect((await copy.messages.get(done.id))?.recipients[0]).toMatchObject({
    state: 'relayed',
    trace: [{ mx: 'mx.example.net' }],
  });
  expect(await wholeContent(await copy.messages.content(small.id))).toEqual(Buffer.from('hello'));
  expect((await wholeContent(await copy.messages.content(large.id)))?.equals(Buffer.from(`prefix\r\n${BODY}`))).toBe(true);
  expect((await copy.messages.counts()).states).toEqual({ held: counts.recipients - 1 });
  expect((await copy.operation.dkimKeys('example.org')).map(({ privateKey }) => privateKey)).toEqual(
    (await store.operation.dkimKeys('example.org')).map(({ privateKey }) => privateKey),
  );
  expect(await copy.tlsPolicies.stsPolicy('example.net')).toEqual(POLICY);
  expect((await copy.messages.due(Date.now(), 10)).due).toEqual([]);
  expect(await copy.messages.release({ all: true }, Date.now())).toHaveLength(counts.recipients - 1);
  expect((await copy.messages.due(Date.now(), 10)).due).not.toEqual([]);
});

test('a restore drops the reports about TLS that were not sent, since the relay of the backup may send them, and keeps today', async () => {
  const dir = dataDir();
  const store = await testStore({ dataDir: dir });
  const today = Math.floor(Date.now() / DAY);
  const policy = { key: 'none', type: 'no-policy-found', domain: 'x.example', strings: [], mxHosts: [] } as const;
  const count = (day: number) => ({ day, domain: 'x.example', policy, ok: 1, failed: 0, failures: [] });
  await store.tlsResults.addTlsResults([count(today - 1), count(today)]);
  const copy = (rua: string, state: 'due' | 'suppressed') => ({ rua, reportId: 'r', state, lastError: null });
  const reports = [copy('https://due.example/', 'due'), copy('https://gone.example/', 'suppressed')];
  await store.tlsResults.addTlsReports({ day: today - 2, domain: 'x.example', at: NOW, reports });
  const file = join(dataDir(), 'backup.db');
  await storeFiles(dir).backup({ file });
  const target = dataDir();
  await restore(target, file);
  const { tlsResults } = await testStore({ dataDir: target });
  expect(await tlsResults.tlsResults(today - 1, 'x.example')).toEqual([]);
  expect(await tlsResults.tlsResults(today, 'x.example')).toEqual([count(today)]);
  expect((await tlsResults.tlsReports({ limit: 9 })).map(({ rua }) => rua)).toEqual(['https://gone.example/']);
});

test('a message that ends while its large body is being copied is in the backup as ended', async () => {
  const dir = dataDir();
  const store = await testStore({ dataDir: dir });
  const large = await putLarge(store);
  const bulk = new Uint8Array(1024 * 1024).fill(65);
  for (let i = 0; i < 48; i++) await put(store, newMessage({ content: inline(bulk.slice()) }));
  const file = join(dataDir(), 'backup.db');
  const copying = storeFiles(dir).backup({ file });
  // The copy grows, so its snapshot was taken: the message waits in it.
  await until(() => existsSync(`${file}.partial`) && statSync(`${file}.partial`).size > 0);
  await relay(store, large.id);
  const counts = await copying;
  const target = dataDir();
  const restored = await restore(target, file);
  const copy = await testStore({ dataDir: target, sweep: true });
  const [state] = await statesOf(copy, large.id);
  expect(['relayed', 'held']).toContain(state);
  if (state === 'held') expect((await wholeContent(await copy.messages.content(large.id)))?.length).toBe(BODY.length + 8);
  else expect(await copy.messages.content(large.id)).toBeUndefined();
  expect(restored.held.messages).toBe(counts.waiting);
  expect(counts.messages).toBe(49);
});

test('replaces an older backup, and nothing else', async () => {
  const file = await aBackup();
  const dir = dataDir();
  await put(await testStore({ dataDir: dir }));
  expect((await storeFiles(dir).backup({ file })).messages).toBe(1);
  const other = join(dataDir(), 'letter.txt');
  writeFileSync(other, 'Dear reader');
  await expect(storeFiles(dir).backup({ file: other })).rejects.toThrow(/letter\.txt exists already and is not a backup/);
  expect(readFileSync(other, 'utf8')).toBe('Dear reader');
});

test('says why it cannot be written, and leaves no file', async () => {
  const dir = dataDir();
  await expect(storeFiles(dir).backup({ file: join(dir, 'x.db') })).rejects.toThrow(/There is no store in/);
  await put(await testStore({ dataDir: dir }));
  await expect(storeFiles(dir).backup({ file: join(dir, 'nowhere', 'x.db') })).rejects.toThrow(/cannot be written: ENOENT/);
  const file = join(dir, 'x.db');
  writeFileSync(`${file}.partial`, '');
  await expect(storeFiles(dir).backup({ file })).rejects.toThrow(/another backup runs, or one was interrupted/);
});

test.runIf(process.getuid?.() === 0)('root reads only bodies that belong to the owner of the store', async () => {
  const dir = dataDir();
  const secret = join(dataDir(), 'secret');
  writeFileSync(secret, 'x'.repeat(BODY.length));
  const store = await storeFiles(dir).open();
  await putLarge(store);
  await store.close();
  for (const name of ['', ...readdirSync(dir), ...readdirSync(join(dir, 'spool')).map((body) => join('spool', body))])
    chownSync(join(dir, name), 65534, 65534);
  const body = readdirSync(join(dir, 'spool'))[0]!;
  const bodies = async () => {
    const file = join(dataDir(), 'backup.db');
    await storeFiles(dir).backup({ file });
    const db = new DatabaseSync(file, { readOnly: true });
    const found = db.prepare('SELECT count(*) AS n FROM backup_spool').get() as { n: number };
    db.close();
    return found.n > 0;
  };
  expect(await bodies()).toBe(true);
  chownSync(join(dir, 'spool', body), 0, 0);
  expect(await bodies()).toBe(false);
  renameSync(join(dir, 'spool', body), join(dir, 'spool', 'aside'));
  symlinkSync(secret, join(dir, 'spool', body));
  expect(await bodies()).toBe(false);
  change(
    join(dir, 'smarthost.db'),
    `UPDATE open SET spool = '../../${secret.split('/').slice(2).join('/')}', spool_verify = NULL`,
  );
  expect(await bodies()).toBe(false);
});

test.runIf(process.getuid?.() === 0)('root leaves no file of its own in the data directory', async () => {
  const dir = dataDir();
  const store = await storeFiles(dir).open();
  await put(store);
  await store.close();
  const owner = 65534;
  for (const name of ['', ...readdirSync(dir)]) chownSync(join(dir, name), owner, owner);
  await storeFiles(dir).backup({ file: join(dataDir(), 'backup.db') });
  expect(readdirSync(dir).map((name) => statSync(join(dir, name)).uid)).toEqual(readdirSync(dir).map(() => owner));
});

test.runIf(process.getuid?.() === 0)('root reads no store that the owner of the data directory could not read', async () => {
  const foreign = dataDir();
  const store = await storeFiles(foreign).open();
  await put(store);
  await store.close();
  const dir = dataDir();
  linkSync(join(foreign, 'smarthost.db'), join(dir, 'smarthost.db')); // still root's, mode 0600
  chownSync(dir, 65534, 65534);
  const folder = dataDir();
  await expect(storeFiles(dir).backup({ file: join(folder, 'backup.db') })).rejects.toThrow(/smarthost\.db cannot be read/);
  expect([readdirSync(folder), process.geteuid?.(), process.getegid?.()]).toEqual([[], 0, 0]);
});

/** Some steps of a copy, and what fills the log of the store: a commit of 2 MiB. */
async function storeToCopy() {
  const dir = dataDir();
  const store = await testStore({ dataDir: dir });
  const bulk = new Uint8Array(1024 * 1024).fill(65);
  for (let i = 0; i < 30; i++) await put(store, newMessage({ content: inline(bulk.slice()) }));
  const other = new DatabaseSync(join(dir, 'smarthost.db'), { timeout: 10_000 });
  onTestFinished(() => other.close());
  const fillLog = () => other.exec("INSERT OR REPLACE INTO small_values VALUES ('test.bulk', hex(zeroblob(1048576)))");
  return { dir, store, fillLog };
}

test('a backup takes a new snapshot if the log of the store grows too much, and the new one has the newest data', async () => {
  const { dir, store, fillLog } = await storeToCopy();
  let steps = 0;
  const onStep = () => {
    if (++steps <= 4) fillLog();
  };
  const file = join(dataDir(), 'backup.db');
  const copying = storeFiles(dir).backup({ file, maxLogGrowth: 3 * 1024 ** 2, pause: 0, onStep });
  await until(() => steps > 0);
  await put(store);
  expect((await copying).messages).toBeGreaterThanOrEqual(30);
  expect(steps).toBeGreaterThan(7); // a whole copy after the one that was given up
  const target = dataDir();
  await restore(target, file);
  const copy = await testStore({ dataDir: target, sweep: true });
  expect((await copy.operation.value('test.bulk'))?.length).toBe(2 * 1024 ** 2);
});

test('a backup fails with a sentence if the log of the store would grow without end, and releases the log', async () => {
  const { dir, store, fillLog } = await storeToCopy();
  const log = join(dir, 'smarthost.db-wal');
  const begin = statSync(log).size;
  const folder = dataDir();
  const request = { file: join(folder, 'backup.db'), maxLogGrowth: 3 * 1024 ** 2, pause: 0, onStep: fillLog };
  await expect(storeFiles(dir).backup(request)).rejects.toThrow(
    /smarthost\.db-wal grew by more than 3 MiB, 3 times: write the backup/,
  );
  expect(statSync(log).size - begin).toBeLessThan(20 * 1024 ** 2);
  expect(readdirSync(folder)).toEqual([]);
  const other = new DatabaseSync(join(dir, 'smarthost.db'), { timeout: 10_000 });
  expect(other.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()).toMatchObject({ busy: 0 });
  other.close();
  await put(store);
});

test('is not restored while a relay runs, nor over existing data without --force', async () => {
  const file = await aBackup();
  const dir = dataDir();
  const lock = await storeFiles(dir).lock();
  await expect(restore(dir, file, true)).rejects.toThrow(/Another smarthost serve .*stop it first/);
  await lock.release();
  const store = await storeFiles(dir).open();
  const old = await putLarge(store);
  await expect(restore(dir, file)).rejects.toThrow(/is not empty: --force/);
  await expect(restore(dir, file, true)).rejects.toThrow(/in use by another command/);
  expect(await statesOf(store, old.id)).toEqual(['queued']);
  await store.close();
  expect(await restore(dir, file, true)).toMatchObject({ messages: 2, held: { messages: 2, recipients: 2 } });
  expect(readdirSync(dir).filter((name) => name.includes('partial'))).toEqual([]);
  const copy = await testStore({ dataDir: dir, sweep: true });
  expect(await copy.messages.get(old.id)).toBeUndefined();
  expect(readdirSync(join(dir, 'spool'))).toHaveLength(1);
});

test('a restore that fails half-way does not change the bodies of the old store', async () => {
  const dir = dataDir();
  const store = await storeFiles(dir).open();
  const mine = await putLarge(store);
  const file = join(dataDir(), 'backup.db');
  await storeFiles(dir).backup({ file });
  await store.close();
  // The same names with other bytes, and one behind them that stops it.
  change(
    file,
    `UPDATE backup_spool SET bytes = zeroblob(length(bytes));
     INSERT INTO backup_spool SELECT 'zz', n + 1000, zeroblob(0) FROM backup_spool LIMIT 1`,
  );
  await expect(restore(dir, file, true)).rejects.toThrow(/names a body that cannot be/);
  expect(readdirSync(join(dir, 'spool'))).toHaveLength(1);
  const again = await testStore({ dataDir: dir });
  expect((await wholeContent(await again.messages.content(mine.id)))?.equals(Buffer.from(`prefix\r\n${BODY}`))).toBe(true);
});

test.each<[string, (file: string) => void, RegExp]>([
  ['cut short', (file) => writeFileSync(file, readFileSync(file).subarray(0, 100_000)), /damaged/],
  ['something else', (file) => writeFileSync(file, 'x'.repeat(5000)), /not a backup of smarthost/],
  ['a store', (file) => change(file, 'PRAGMA application_id = 0x536d486f'), /not a backup of smarthost/],
  ['of a newer smarthost', (file) => change(file, 'PRAGMA user_version = 999'), /newer smarthost \(format 999/],
  ['without a row that it should have', (file) => change(file, 'DELETE FROM messages'), /holds 0 messages instead of 2/],
  ['without a body', (file) => change(file, 'DELETE FROM backup_spool'), /holds 0 spooled instead of/],
  [
    'with a body that would lie elsewhere',
    (file) => change(file, "UPDATE backup_spool SET name = '../../evil'"),
    /names a body that cannot be/,
  ],
])('a file that is %s is refused, and nothing is changed', async (_, spoil, sentence) => {
  const file = await aBackup();
  spoil(file);
  const dir = dataDir();
  const store = await storeFiles(dir).open();
  const mine = await put(store);
  await store.close();
  await expect(restore(dir, file, true)).rejects.toThrow(sentence);
  expect(readdirSync(dir).filter((name) => name.includes('partial'))).toEqual([]);
  expect(existsSync(join(dir, '..', 'evil'))).toBe(false);
  expect(await statesOf(await testStore({ dataDir: dir }), mine.id)).toEqual(['queued']);
});

test('an unreadable store is replaced with --force', async () => {
  const file = await aBackup();
  const dir = dataDir();
  await (await storeFiles(dir).open()).close();
  writeFileSync(join(dir, 'smarthost.db'), 'x'.repeat(50_000), { mode: 0o600 });
  await expect(restore(dir, file)).rejects.toThrow(/is not empty: --force/);
  expect((await restore(dir, file, true)).messages).toBe(2);
});

test('a report that was not written yet at the time of a backup is held after a restore, like all mail', async () => {
  const dir = dataDir();
  const store = await testStore({ dataDir: dir });
  const { id, reversePath } = await put(store, newMessage(), { claim: [0] });
  const reply = { code: 550, status: '5.1.1', text: 'No such user' };
  const untold = [{ n: 0, action: 'failed', reply, at: NOW, collectUntil: NOW }] as const;
  await store.messages.settle({ messageId: id, lease: LEASE, at: NOW, changes: [{ n: 0, state: 'failed' }], untold });
  const file = join(dataDir(), 'backup.db');
  await storeFiles(dir).backup({ file });
  const other = dataDir();
  await restore(other, file);
  const restored = await testStore({ dataDir: other });
  const { due } = await restored.messages.dueReports({ now: NOW, limit: 9, perHour: 100 });
  expect(due).toMatchObject([{ message: { id }, untold: [{ n: 0, action: 'failed', reply }] }]);
  const report = newMessage({ user: null, reversePath: '', to: [reversePath] });
  await restored.messages.told({ sender: reversePath, untold: due[0]!.untold, at: NOW, report });
  expect(await statesOf(restored, report.id)).toEqual(['held']);
});

test('a backup that was changed by hand cannot send or remove a file outside the spool', async () => {
  const file = await aBackup();
  change(file, "UPDATE open SET spool = '../victim', spool_verify = NULL WHERE spool IS NOT NULL");
  const dir = dataDir();
  await restore(dir, file);
  writeFileSync(join(dir, 'victim'), Buffer.alloc(BODY.length, 'a secret '));
  const store = await testStore({ dataDir: dir });
  for (const { id } of await store.messages.list({ limit: 10 })) {
    const whole = await store.messages
      .content(id)
      .then(wholeContent)
      .catch((error: Error) => Buffer.from(error.message));
    expect(whole?.toString() ?? '').not.toContain('a secret');
    await relay(store, id);
  }
  await store.close();
  expect(existsSync(join(dir, 'victim'))).toBe(true);
});
