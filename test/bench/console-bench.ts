/**
 * What the console costs with a long trace, to those who use it and to the mail beside it.
 * Run: node test/bench/console-bench.ts [messages] [part…]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { MIGRATIONS } from '../../src/store/sqlite/schema.ts';
import { fillWithEnded } from '../support/ended-mail.ts';
import { measureCrowd, measureLookers, measureSearches } from './console/beside.ts';
import { measureGuessers, measureLoginTime } from './console/guessing.ts';
import { measureSoak, measureUnused } from './console/memory.ts';
import { measureLive, measurePaint } from './console/paint.ts';
import { measureReads } from './console/reads.ts';
import { note } from './console/rig.ts';
import { measureTransactions } from './console/transactions.ts';

const PARTS: Readonly<Record<string, (messages: number) => void | Promise<void>>> = {
  upgrade,
  reads: measureReads,
  transactions: measureTransactions,
  paint: measurePaint,
  live: measureLive,
  searches: measureSearches,
  lookers: measureLookers,
  unused: measureUnused,
  soak: measureSoak,
  crowd: measureCrowd,
  guessers: measureGuessers,
  'login-time': measureLoginTime,
};

const [count = '100000', ...chosen] = process.argv.slice(2);
const unknown = chosen.filter((name) => !Object.hasOwn(PARTS, name));
if (unknown.length > 0) throw new Error(`no part ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`);
for (const [name, measure] of Object.entries(PARTS))
  if (chosen.length === 0 || chosen.includes(name)) {
    await measure(Number(count));
    note(`${name}: mean load of the last 5 minutes`, loadavg()[1]!, '');
  }

/** A store of release 0.1 becomes one of today. */
function upgrade(messages: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'smarthost-bench-'));
  try {
    const file = join(folder, 'old.db');
    const old = openDatabase(file, 1000, MIGRATIONS.slice(0, 2));
    fillWithEnded(old, messages, Date.now());
    old.close();
    const began = performance.now();
    openDatabase(file, 1000).close();
    note(`upgrade of ${messages} messages from 0.1`, (performance.now() - began) / 1000, 's');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
