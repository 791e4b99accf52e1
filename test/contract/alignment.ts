/** What every store promises about verdicts on sending domains. Run as `store.ts` is. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { StoredSenderVerdict } from '../../src/store/store.ts';
import { HOUR } from '../../src/system/clock.ts';
import { NOW } from '../support/store-rig.ts';
import type { Subject } from './store.ts';

const row = (change: Partial<StoredSenderVerdict> = {}): StoredSenderVerdict => ({
  ...{ domain: 'shop.test', envelope: 'shop.test', signatures: 's1._domainkey.shop.test s2._domainkey.shop.test' },
  ...{ verdict: 'rejected', since: NOW - HOUR, at: NOW, refreshAt: NOW + HOUR, usedAt: NOW, detail: '{"why":"é"}' },
  ...change,
});

export function alignmentContract({ name, open }: Subject): void {
  async function opened() {
    const subject = await open();
    onTestFinished(() => subject.close());
    return [subject.one.alignment, subject.two.alignment] as const;
  }

  describe(`${name}: verdicts on sending domains`, () => {
    test('the last one for two domains counts, and the last used come first', async () => {
      const [one, two] = await opened();
      const other = row({ envelope: 'bounce.shop.test', usedAt: NOW + 1 });
      await one.putVerdicts([row(), other]);
      expect(await two.verdicts(0, 10)).toEqual([other, row()]);
      const better = row({
        verdict: 'ok',
        since: NOW + 5,
        at: NOW + 5,
        refreshAt: NOW + 6,
        usedAt: NOW + 9,
        signatures: '',
        detail: '{}',
      });
      await two.putVerdicts([better]);
      expect(await one.verdicts(0, 10)).toEqual([better, other]);
      expect(await one.verdicts(0, 1)).toEqual([better]);
      await one.putVerdicts([]);
    });

    test('those that no message has asked for are not read, and can be removed', async () => {
      const [one] = await opened();
      const old = row({ domain: 'old.test', usedAt: NOW - 2 });
      await one.putVerdicts([old, row()]);
      expect(await one.verdicts(NOW - 1, 10)).toEqual([row()]);
      await one.trimVerdicts(NOW - 1);
      expect(await one.verdicts(0, 10)).toEqual([row()]);
    });
  });
}
