/** A power cut loses all that was not synced, and nothing that was answered 250: RFC 5321 §6.1. A store that does not sync is found. */
import { describe, expect, test } from 'vitest';
import { hasCommand, requirePeer, succeeds } from '../support/peers.ts';
import { changedProgram, cutEverywhere, record } from './power-run.ts';

const traces = () => hasCommand('strace') && succeeds('strace', ['-f', '-qq', '-o', '/dev/null', 'true']);
/** `CUTS=3000` for all there are. */
const CUTS = Number(process.env['CUTS'] ?? 240);
const MESSAGES = 8;

/** Changes of the store, each of which loses mail. */
const CAREFREE: readonly [what: string, file: string, change: (source: string) => string][] = [
  [
    'does not sync its log',
    'store/sqlite/database.ts',
    (source) => source.replace('synchronous = FULL', 'synchronous = NORMAL').replace("'synchronous', 2", "'synchronous', 1"),
  ],
  ['does not sync spool files', 'store/sqlite/spool.ts', (source) => source.replace('await file.datasync();', '')],
  ['does not sync their names', 'store/sqlite/spool.ts', (source) => source.replace('await directory.sync();', '')],
];

describe.skipIf(!requirePeer('strace', traces()))('after a power cut', () => {
  test('each message that was answered 250 is there, or was delivered', async () => {
    const figures = cutEverywhere(await record(MESSAGES), CUTS, Math.random);
    console.info(`${figures.events} calls on files, ${figures.syncs} syncs, ${figures.cuts} cuts, ${figures.lost.length} lost`);
    expect(figures.lost).toEqual([]);
    expect(figures.cuts).toBeGreaterThanOrEqual(Math.min(CUTS, 200));
  }, 120_000);

  test.each(CAREFREE)(
    'a store that %s is found out',
    async (_, file, change) => {
      const { program, remove } = changedProgram(file, change);
      try {
        expect(cutEverywhere(await record(MESSAGES, program), CUTS / 2, Math.random).lost.join('\n')).toMatch(/is lost/);
      } finally {
        remove();
      }
    },
    120_000,
  );
});
