/** What every store promises about refused commands and the counts of each hour. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { HistoryCount, RefusedCommand } from '../../src/store/store.ts';
import { DAY, HOUR } from '../../src/system/clock.ts';
import { asLeader } from '../support/led.ts';
import { NOW } from '../support/store-rig.ts';
import type { Subject } from './store.ts';

const refusal = (change: Partial<RefusedCommand> = {}): RefusedCommand => ({
  ...{ at: NOW, until: NOW, count: 1, session: 's1', ip: '192.0.2.1', user: 'shop', verb: 'MAIL', code: 553, status: '5.7.1' },
  ...{ reply: 'not "yours" \\ at all', reversePath: 'a@x.example', recipient: null },
  ...change,
});
const THIS_HOUR = NOW - (NOW % HOUR);
const counted = (change: Partial<HistoryCount> = {}): HistoryCount => ({
  ...{ by: 'user', hour: THIS_HOUR, name: 'shop', outcome: 'accepted', count: 2, bytes: 100 },
  ...change,
});

export function activityContract({ name, open }: Subject): void {
  async function opened() {
    const subject = await open();
    onTestFinished(() => subject.close());
    return { first: subject.one.activity, second: subject.two.activity };
  }

  describe(`${name}: activity`, () => {
    test('refused commands are read newest first, by page, login, address and time', async () => {
      const { first, second } = await opened();
      await first.addRefused([refusal(), refusal({ ip: '2001:db8::1', user: null, recipient: 'b@x.example' })]);
      await second.addRefused([refusal({ at: NOW + 1, until: NOW + 5, count: 3, user: 'Shop' })]);
      const all = await first.refused({ limit: 10 });
      expect(all.map(({ seq: _, ...one }) => one)).toEqual([
        refusal({ at: NOW + 1, until: NOW + 5, count: 3, user: 'Shop' }),
        refusal({ ip: '2001:db8::1', user: null, recipient: 'b@x.example' }),
        refusal(),
      ]);
      expect(await first.refused({ limit: 1, before: all[0]!.seq })).toEqual([all[1]]);
      expect(await first.refused({ limit: 10, user: 'SHOP' })).toEqual([all[0], all[2]]);
      expect(await first.refused({ limit: 10, ip: '2001:db8::1' })).toEqual([all[1]]);
      expect(await first.refused({ limit: 10, since: NOW + 2 })).toEqual([all[0]]);
    });

    test('the newest 10,000 refused commands are kept', async () => {
      const { first } = await opened();
      const many = (from: number, count: number) =>
        Array.from({ length: count }, (_, i) => refusal({ at: from + i, until: from + i }));
      await first.addRefused(many(0, 6000));
      await first.addRefused(many(6000, 6000));
      const kept = await first.refused({ limit: 20_000 });
      expect([kept.length, kept[0]?.at, kept.at(-1)?.at]).toEqual([10_000, 11_999, 2000]);
    });

    test('counts of an hour add up, whoever adds them', async () => {
      const { first, second } = await opened();
      await first.addHistory([
        counted(),
        counted({ outcome: 'relayed', bytes: 0 }),
        counted({ by: 'destination', name: 'x.example' }),
      ]);
      await second.addHistory([counted({ count: 5, bytes: 7 }), counted({ hour: THIS_HOUR + HOUR, name: 'printer' })]);
      const query = { by: 'user', from: NOW, to: NOW + HOUR, step: HOUR, names: true } as const;
      const row = (hour: number, name: string, outcome: string, count: number, bytes: number) => ({
        hour,
        name,
        outcome,
        count,
        bytes,
      });
      expect(await first.history(query)).toEqual([
        row(THIS_HOUR, 'shop', 'accepted', 7, 107),
        row(THIS_HOUR, 'shop', 'relayed', 2, 0),
        row(THIS_HOUR + HOUR, 'printer', 'accepted', 2, 100),
      ]);
      expect(await first.history({ ...query, to: NOW, names: false })).toMatchObject([
        { name: '', count: 7 },
        { name: '', count: 2 },
      ]);
      expect(await first.history({ ...query, name: 'printer' })).toMatchObject([{ name: 'printer', count: 2 }]);
      const day = NOW - (NOW % DAY);
      expect(await first.history({ ...query, by: 'destination', step: DAY })).toEqual([
        row(day, 'x.example', 'accepted', 2, 100),
      ]);
    });

    test('old hours are forgotten by their subject', async () => {
      const { first } = await opened();
      const old = THIS_HOUR - 30 * DAY;
      await first.addHistory([counted({ hour: old }), counted({ hour: old, by: 'destination' }), counted()]);
      while (await asLeader(first).trimHistory('destination', NOW - DAY));
      const query = { from: 0, to: NOW, step: HOUR, names: true };
      expect(await first.history({ ...query, by: 'destination' })).toEqual([]);
      expect(await first.history({ ...query, by: 'user' })).toHaveLength(2);
      while (await asLeader(first).trimHistory('user', NOW - DAY));
      expect(await first.history({ ...query, by: 'user' })).toMatchObject([{ hour: THIS_HOUR }]);
    });
  });
}
