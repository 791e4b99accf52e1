/** A power cut loses all data that were not synced, and no mail that was answered 250: RFC 5321 §6.1. The test also finds a store that does not sync. */
import { beforeAll, describe, expect, test } from 'vitest';
import { hasCommand, isRoot, requirePeer, succeeds } from '../support/peers.ts';
import { sized, WHOLE } from '../support/size.ts';
import { startAfterCuts } from './power-relay.ts';
import { changedProgram, cutEverywhere, type Recording, record } from './power-run.ts';
import { startTlsPowerWorld } from './power-world.ts';

const traces = () => hasCommand('strace') && succeeds('strace', ['-f', '-qq', '-o', '/dev/null', 'true']);
/** `CUTS=3000` runs all cuts. */
const CUTS = Number(process.env['CUTS'] ?? 240);
/** `STARTS=200` for more starts of the real relay. */
const STARTS = Number(process.env['STARTS'] ?? sized(10, 2, 4));
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
  let recording: Recording;
  beforeAll(async () => {
    recording = await record(MESSAGES);
  });

  test('each message that was answered 250 is there, or was delivered', () => {
    const figures = cutEverywhere(recording, CUTS, Math.random);
    console.info(`${figures.events} calls on files, ${figures.syncs} syncs, ${figures.cuts} cuts, ${figures.lost.length} lost`);
    expect(figures.lost).toEqual([]);
    expect(figures.cuts).toBeGreaterThanOrEqual(Math.min(CUTS, 200));
  }, 120_000);

  test(
    'the relay starts on what is left, and delivers it',
    async () => {
      const { starts, arrived, wrong } = await startAfterCuts(recording, STARTS, Math.random);
      console.info(`${starts} starts, ${arrived} messages arrived, ${wrong.length} wrong`);
      expect(wrong).toEqual([]);
      expect(arrived).toBeGreaterThanOrEqual(sized(1, 0)); // two cuts may both lie before the first 250
    },
    120_000 + STARTS * 10_000,
  );

  // The policy is served at port 443.
  test.skipIf(!isRoot)(
    'a report about TLS has its row and its mail or neither, arrives, and mail under an enforced policy is there',
    async () => {
      const world = await startTlsPowerWorld();
      try {
        const tls = await record(sized(MESSAGES, 4, MESSAGES), { world });
        expect(cutEverywhere(tls, sized(CUTS, 60, CUTS), Math.random).lost).toEqual([]);
        expect((await startAfterCuts(tls, sized(4, 1, 2), Math.random)).wrong).toEqual([]);
      } finally {
        await world.close();
      }
    },
    240_000,
  );

  test.each(WHOLE ? CAREFREE : CAREFREE.slice(0, 1))(
    'a store that %s is found out',
    async (_, file, change) => {
      const { program, remove } = changedProgram(file, change);
      try {
        expect(cutEverywhere(await record(MESSAGES, { program }), CUTS / 2, Math.random).lost.join('\n')).toMatch(/is lost/);
      } finally {
        remove();
      }
    },
    120_000,
  );
});
