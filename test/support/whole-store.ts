/** A store with something in every table, and what is in its tables, to compare a copy with. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import { stateName } from '../../src/store/sqlite/states.ts';
import type { RecipientState } from '../../src/store/store.ts';
import { bytesOf, delayedAttempt, LEASE, NOW, newMessage, relayedAttempt } from './store-rig.ts';

const STATES = Array.from({ length: 9 }, (_, i) => stateName(i)!);

/** @param each messages in each state, some of them with a large body. */
export async function fillStore(dataDir: string, each: number): Promise<void> {
  const store = await storeFiles(dataDir).open();
  for (const state of STATES) {
    await Promise.all(Array.from({ length: each }, () => putIn(state)));
    const writer = await store.messages.createSpool();
    await writer.write(randomBytes(700_000));
    const spool = await writer.finish();
    await putIn(state, newMessage({ content: { kind: 'spooled', prefix: bytesOf('prefix'), spool } }));
  }
  await store.close();
  fillOthers(join(dataDir, 'smarthost.db'));

  async function putIn(state: RecipientState, message = newMessage({ token: 7, subject: 'ünï "\\" {},' } as object)) {
    await store.messages.accept({ message, claim: { indexes: [0], lease: LEASE } });
    if (state === 'active') return;
    const waits = state === 'queued' || state === 'delayed' || state === 'uncertain';
    const attempt = state === 'relayed' ? relayedAttempt : delayedAttempt;
    const change = { n: 0, state, attempt, lastReply: attempt.reply, ...(waits ? { nextAttemptAt: NOW + 5000 } : {}) };
    await store.messages.settle({ messageId: message.id, lease: LEASE, at: NOW, changes: [change] });
  }
}

const OF_MAIL = new Set(['messages', 'recipients', 'attempts', 'open', 'contents', 'counters', 'changes', 'owners']);

/** Made-up rows, so that a table which is new here is carried too, or the comparison fails. */
function fillOthers(path: string): void {
  const db = new DatabaseSync(path);
  db.exec('BEGIN');
  for (const name of tablesOf(db)) {
    if (OF_MAIL.has(name)) continue;
    const columns = db.prepare(`SELECT name, type, "notnull" AS needed, pk FROM pragma_table_info('${name}')`).all();
    for (let i = 0; i < 40; i++) {
      const cells = columns.map(({ name: column, type, needed, pk }) => {
        if (needed === 0 && pk === 0 && i % 2 === 0) return null;
        if (column === 'kind' || column === 'per') return column === 'kind' ? i % 3 : Math.floor(i / 3) % 3;
        if (name === 'credentials' && (column === 'mail_server' || column === 'disabled')) return i % 2;
        if (type === 'INTEGER') return i + 1;
        return type === 'REAL' ? i + 0.1 : `${column} ${name === 'usage' ? Math.floor(i / 9) : i} ü"\\{}`;
      });
      db.prepare(`INSERT INTO ${name} VALUES (${cells.map(() => '?').join(', ')})`).run(...cells);
    }
  }
  db.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)');
  db.close();
}

const tablesOf = (db: DatabaseSync) =>
  db
    .prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`)
    .all()
    .map(({ name }) => String(name));

/** All rows of all tables, and the bodies, except what belongs to one run or to one file. */
export function dumpStore(dataDir: string): ReadonlyMap<string, readonly string[]> {
  const db = new DatabaseSync(join(dataDir, 'smarthost.db'), { readOnly: true });
  const dump = new Map<string, readonly string[]>();
  for (const name of tablesOf(db)) {
    if (['changes', 'owners', 'contents'].includes(name)) continue;
    const rows = db.prepare(`SELECT * FROM ${name}`).all();
    // The start of a relay removes the counts of ended recipients.
    const own = (key: string) =>
      name === 'small_values' ? /^(moved\.|instance\.node|lease\.)/.test(key) : name === 'counters' && /^s[5-8]/.test(key);
    const kept = rows.filter(({ name: key }) => !own(String(key)));
    dump.set(name, kept.map(({ content: _, ...row }) => JSON.stringify(row)).sort());
  }
  const bodies = db.prepare('SELECT o.id, o.spool, hex(c.bytes) AS bytes FROM open o JOIN contents c ON c.key = o.content').all();
  dump.set('bodies', bodies.map((row) => JSON.stringify(row)).sort());
  const large = bodies.flatMap(({ spool }) => (spool === null ? [] : [String(spool)]));
  dump.set('large', large.map((spool) => readFileSync(join(dataDir, 'spool', spool)).toString('base64')).sort());
  db.close();
  return dump;
}
