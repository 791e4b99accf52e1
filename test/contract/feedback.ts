/** What every store promises about sums of DMARC reports. Run as `store.ts` is. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { FeedbackReport } from '../../src/store/feedback-store.ts';
import { asLeader } from '../support/led.ts';
import type { Subject } from './store.ts';

type Sum = FeedbackReport['sums'][number];
const sum = (change: Partial<Sum> = {}): Sum => ({
  ...{ domain: 'shop.test', source: '192.0.2.1', sender: 'us', dkim: 'pass', spf: 'pass', disposition: 'none' },
  ...{ messages: 2, verified: 'dkim shop.test' },
  ...change,
});

export function feedbackContract({ name, open }: Subject): void {
  async function opened() {
    const subject = await open();
    onTestFinished(() => subject.close());
    return [subject.one.feedback, subject.two.feedback] as const;
  }

  describe(`${name}: sums of DMARC reports`, () => {
    test('days and reports are added up, a report counts once, and the most messages come first', async () => {
      const [one, two] = await opened();
      const other = sum({ source: '198.51.100.7', sender: 'other', dkim: 'fail', messages: 9, verified: '' });
      expect(await one.addReport({ key: 'a', day: 10, sums: [sum(), other] })).toBe(true);
      expect(await two.addReport({ key: 'a', day: 10, sums: [sum()] })).toBe(false);
      expect(await two.addReport({ key: 'b', day: 11, sums: [sum({ messages: 3 }), sum({ domain: 'a.test' })] })).toBe(true);
      expect(await one.sums(0)).toEqual([sum({ domain: 'a.test' }), other, sum({ messages: 5 })]);
      expect(await one.sums(11, 'shop.test')).toEqual([sum({ messages: 3 })]);
    });

    test('old days are removed', async () => {
      const [one] = await opened();
      await one.addReport({ key: 'a', day: 10, sums: [sum()] });
      await one.addReport({ key: 'b', day: 11, sums: [sum({ messages: 1 })] });
      await asLeader(one).trim(11);
      expect(await one.sums(0)).toEqual([sum({ messages: 1 })]);
    });

    test('of a domain and day, 2000 addresses are kept, and all further ones are one line', async () => {
      const [one] = await opened();
      const forged = Array.from({ length: 2500 }, (_, i) =>
        sum({ source: `2001:db8::${i.toString(16)}`, sender: 'other', dkim: 'fail', messages: i < 100 ? 1 : 2, verified: '' }),
      );
      await one.addReport({ key: 'a', day: 10, sums: forged });
      const found = await one.sums(0);
      expect(found).toHaveLength(2001);
      expect(found[0]).toMatchObject({ source: '', messages: 900 });
    });
  });
}
