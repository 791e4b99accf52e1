/** What people ask, with a long trace: lists, searches, the overview, one message with very many attempts. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DATABASE_FILE } from '../../../src/store/embedded/data-dir.ts';
import { openDatabase } from '../../../src/store/sqlite/database.ts';
import { quantile } from '../../support/sample.ts';
import { MIB, note, type Rig, startRig } from './rig.ts';

const TIMES = 60;
/** A session may ask twenty times a second. */
const PACE = 52;
export const LARGE = { recipients: 1000, attempts: 20 };

export async function measureReads(messages: number): Promise<void> {
  let large = '';
  const rig = await startRig({ messages, fill: async (dataDir) => void (large = addLarge(join(dataDir, DATABASE_FILE))) });
  try {
    await sleep(2000); // what a relay does after its start
    const before = rig.memory();
    note('first request of the API', await rig.ask('/status'), 'ms');
    note('first request of a page, without a browser', await firstPage(rig), 'ms');
    for (const [what, path] of Object.entries(readsOf(messages, rig.middle))) await measure(rig, what, path);
    note('memory that the console took', (rig.memory().all - before.all) / MIB, 'MiB');
    await measure(rig, `one message with ${LARGE.recipients} recipients, ${LARGE.attempts} attempts each`, `/messages/${large}`);
  } finally {
    await rig.close();
  }
}

export function readsOf(messages: number, middle: string): Readonly<Record<string, string>> {
  return {
    overview: '/status',
    'newest page': '/messages?limit=50',
    'page in the middle': `/messages?limit=50&before=${middle}`,
    'by credential': '/messages?limit=50&credential=exchange',
    'by state': '/messages?limit=50&state=failed',
    'by destination': '/messages?limit=50&destination=d7.test',
    'by recipient': `/messages?limit=50&to=u${messages >> 1}@`,
    'search without a hit': '/messages?limit=50&from=nobody-of-that-name',
    'one message': `/messages/${middle}`,
  };
}

/** The shell of a page, without what it loads. @returns milliseconds. */
export async function firstPage(rig: Rig): Promise<number> {
  const began = performance.now();
  await new Promise<void>((resolve, reject) => {
    const asked = rig.open('/');
    asked.once('response', (response) => response.resume().once('end', resolve));
    asked.once('error', reject).end();
  });
  return performance.now() - began;
}

async function measure(rig: Rig, what: string, path: string): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < TIMES; i++) {
    const began = performance.now();
    times.push(await rig.ask(path));
    await sleep(Math.max(0, PACE - (performance.now() - began)));
  }
  note(`${what}, median`, quantile(times, 0.5), 'ms');
  note(`${what}, p95`, quantile(times, 0.95), 'ms');
}

/** The newest message of all. @returns its id. */
function addLarge(file: string): string {
  const db = openDatabase(file, 1000);
  const newest = db.get<{ id: string }>('SELECT id FROM messages ORDER BY id DESC LIMIT 1')!.id;
  const id = `${newest}large`;
  db.exec('BEGIN');
  const columns = db
    .all<{ name: string }>('PRAGMA table_info(messages)')
    .map(({ name }) => name)
    .filter((name) => name !== 'id');
  db.run(`INSERT INTO messages (id, ${columns.join()}) SELECT ?, ${columns.join()} FROM messages WHERE id = ?`, id, newest);
  for (let n = 0; n < LARGE.recipients; n++) {
    const address = `r${n}@d${n % 300}.test`;
    db.run(
      'INSERT INTO recipients (message, n, address, destination, verify, state, attempts, last_reply) VALUES (?, ?, ?, ?, 0, 5, ?, ?)',
      ...[id, n, address, `d${n % 300}.test`, LARGE.attempts, '250 2.0.0 Said by the host'],
    );
    for (let attempt = 1; attempt <= LARGE.attempts; attempt++) {
      const [outcome, code, status] = attempt === LARGE.attempts ? [5, 250, '2.0.0'] : [2, 451, '4.3.0'];
      db.run(
        'INSERT INTO attempts (message, n, attempt, at, mx, ip, tls, outcome, code, status, reply, seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0.1)',
        ...[id, n, attempt, Date.now(), `mx.d${n % 300}.test`, '192.0.2.9', 'TLSv1.3', outcome, code, status],
        `${code} ${status} Said by the host`,
      );
    }
  }
  db.exec('COMMIT');
  db.close();
  return id;
}
