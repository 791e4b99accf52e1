/** 100,000 messages into PostgreSQL and back, and `store move` killed at 20 points on the way. The gate has a smaller one: integration/store-move. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import { openPostgres } from '../../src/store/postgres/postgres-store.ts';
import { usedRows } from '../../src/store/sqlite/moved.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, newDatabase, PostgresServer } from '../support/postgres.ts';
import { mustRun } from '../support/program.ts';
import { countMoved, move, moveAgain, moveConfiguration, moveTarget, storeAt } from '../support/store-moves.ts';
import { dataDir } from '../support/store-rig.ts';
import { dumpStore, fillStore } from '../support/whole-store.ts';

/** Nine states. */
const EACH = Math.ceil(Number(process.env['MOVED'] ?? 100_000) / 9);
const TOTAL = 9 * (EACH + 1);
const KILLS = 10;

/** Of all rows and bodies, table by table. */
const sumsOf = (dir: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...dumpStore(dir)].map(([name, rows]) => {
      const hash = createHash('sha256');
      for (const row of rows) hash.update(`${row}\n`);
      return [name, hash.digest('hex')];
    }),
  );

/** The last step is done before the line that says it. */
const progressIn = (lines: readonly string[]) => lines.findIndex((line) => line.startsWith('The old store'));

/** Spread over all of the lines that a move writes. */
const pointsIn = (lines: number) => Array.from({ length: KILLS }, (_, i) => Math.max(1, Math.floor(((i + 0.5) * lines) / KILLS)));

describe.skipIf(!requirePeer('postgresql', hasPostgres))('many messages', () => {
  test(`${TOTAL} of them are moved there and back, with ${2 * KILLS} kills, and only one store is ever alive`, async () => {
    const server = await PostgresServer.create();
    try {
      const [there, back, rehearsed, rehearsedBack] = [dataDir(), dataDir(), dataDir(), dataDir()];
      await fillStore(there, EACH);
      const before = sumsOf(there);
      await mustRun('cp', ['-a', `${there}/.`, rehearsed]);
      const [database, scratch] = [await newDatabase(server), await newDatabase(server)];
      const begun = Date.now();
      const first = await move(moveConfiguration(rehearsed, `dataDir: ${rehearsed}`), moveTarget(server, scratch));
      const second = await move(
        moveConfiguration(rehearsedBack, `store: ${JSON.stringify(storeAt(server, scratch))}`),
        `sqlite:${rehearsedBack}`,
      );
      expect([first, second].map(({ code, lines }) => [code, lines.at(-1)])).toEqual([0, 1].map(() => [0, expect.any(String)]));
      console.info(`${TOTAL} messages there and back without a kill: ${Math.round((Date.now() - begun) / 1000)} s`);

      const toDatabase = moveConfiguration(there, `dataDir: ${there}`);
      for (const killAt of pointsIn(progressIn(first.lines))) {
        expect((await moveAgain(toDatabase, moveTarget(server, database), killAt)).code).toBeNull();
        expect(await countMoved(server, database)).toBe(0);
        await (await storeFiles(there).open()).close();
      }
      expect(sumsOf(there)).toEqual(before);
      expect(await moveAgain(toDatabase, moveTarget(server, database))).toMatchObject({ code: 0 });
      expect(await countMoved(server, database)).toBe(TOTAL);
      await expect(storeFiles(there).open()).rejects.toThrow('were moved to');

      const toFiles = moveConfiguration(back, `store: ${JSON.stringify(storeAt(server, database))}`);
      for (const killAt of pointsIn(progressIn(second.lines))) {
        expect((await moveAgain(toFiles, `sqlite:${back}`, killAt)).code).toBeNull();
        expect(await server.sql('SELECT state FROM smarthost.format', database)).toEqual([{ state: null }]);
        expect(usedRows(join(back, 'smarthost.db'))).toBe(false);
      }
      expect(await countMoved(server, database)).toBe(TOTAL);
      expect(await moveAgain(toFiles, `sqlite:${back}`)).toMatchObject({ code: 0 });
      await expect(openPostgres({ server: server.options(database) })).rejects.toThrow('were moved to');
      const after = sumsOf(back);
      expect(Object.fromEntries(Object.keys(before).map((name) => [name, after[name]]))).toEqual(before);
      console.info(
        `${2 * KILLS} kills, ${Object.keys(before).length} checksums equal, in ${Math.round((Date.now() - begun) / 1000)} s`,
      );
    } finally {
      await server.remove();
    }
  }, 3_600_000);
});
