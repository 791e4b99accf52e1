/** What every store promises about addresses that seem not to exist. Run as `store.ts` is. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { NewSuppression, RecipientChange, Store } from '../../src/store/store.ts';
import { DAY, HOUR } from '../../src/system/clock.ts';
import { asLeader } from '../support/led.ts';
import { NOW, newMessage } from '../support/store-rig.ts';
import type { Subject } from './store.ts';

type Client = Pick<Store, 'messages' | 'suppression'>;
const REPLY = '550 5.1.1 No such user';

export function suppressionContract({ name, open }: Subject): void {
  async function opened() {
    const subject = await open();
    onTestFinished(() => subject.close());
    return [subject.one, subject.two] as const;
  }

  let lease = 0;
  /** One message to these addresses whose outcomes are stored together. */
  async function settled(
    { messages }: Client,
    addresses: readonly string[],
    change: Partial<NewSuppression> = {},
    { state = 'failed', ours = true }: { state?: RecipientChange['state']; ours?: boolean } = {},
  ) {
    const message = newMessage({ to: [...addresses] });
    const claim = { indexes: addresses.map((_, n) => n), lease: `s#${++lease}` as const };
    await messages.accept({ message, claim });
    const suppression = addresses.map(
      (address, n): NewSuppression => ({
        ...({
          kind: 'hit',
          n,
          address,
          at: NOW,
          provider: 'gmx',
          class: 'no-such-user',
          reply: REPLY,
          sure: false,
          own: false,
        } as const),
        ...change,
      }),
    );
    return messages.settle({
      messageId: message.id,
      lease: ours ? claim.lease : 'other#1',
      at: NOW,
      changes: addresses.map((_, n) => ({ n, state })),
      suppression,
    });
  }

  describe(`${name}: addresses that seem not to exist`, () => {
    test('two hits twelve hours apart suppress, with the outcomes that say so, and a success ends it', async () => {
      const [one, two] = await opened();
      const at = NOW + 12 * HOUR;
      expect((await settled(one, ['Anna@X.example'])).suppression).toMatchObject([
        { address: 'anna@x.example', state: 'suspected' },
      ]);
      expect(await two.suppression.get('anna@x.EXAMPLE')).toEqual({
        ...{
          address: 'anna@x.example',
          provider: 'gmx',
          class: 'no-such-user',
          reply: REPLY,
          suppressedAt: null,
          isOverBound: false,
        },
        hits: [{ at: NOW, sure: false, own: false }],
      });
      expect((await settled(two, ['anna@x.example'], { at })).suppression).toEqual([
        { address: 'anna@x.example', provider: 'gmx', state: 'suppressed', reply: REPLY },
      ]);
      expect(await one.suppression.get('anna@x.example')).toMatchObject({ suppressedAt: at });
      const success = await settled(one, ['anna@x.example'], { kind: 'success', at: at + 1 }, { state: 'relayed' });
      expect(success.suppression).toMatchObject([{ state: 'none' }]);
      expect(await one.suppression.get('anna@x.example')).toBeUndefined();
    });

    test('an outcome that is not stored says nothing, and the same settlement again says nothing more', async () => {
      const [one] = await opened();
      expect((await settled(one, ['a@x.example'], {}, { ours: false })).lost).toEqual([0]);
      expect(await one.suppression.list('', 10)).toEqual([]);
      const usual = await settled(one, ['a@x.example'], { kind: 'success' }, { state: 'relayed' });
      expect(usual).toEqual({ unchanged: [], lost: [], reportDue: false });
    });

    test('of more than 20 addresses of a provider in an hour, the rest stay suspected, also within one transaction', async () => {
      const [one] = await opened();
      const addresses = Array.from({ length: 25 }, (_, i) => `a${i}@x.example`);
      await settled(one, addresses);
      const at = NOW + 13 * HOUR;
      const { suppression } = await settled(one, addresses, { at });
      const count = (state: string) => suppression?.filter((news) => news.state === state).length;
      expect([count('suppressed'), count('over bound')]).toEqual([20, 5]);
      const rows = await one.suppression.list('', 100);
      expect(rows.filter(({ suppressedAt }) => suppressedAt !== null)).toHaveLength(20);
      expect((await settled(one, ['a24@x.example'], { at: at + HOUR })).suppression).toMatchObject([{ state: 'suppressed' }]);
    });

    test('the hits of a provider that are not sure can be forgotten from a time on', async () => {
      const [one, two] = await opened();
      await settled(one, ['old@x.example'], { at: NOW - 2 * DAY });
      await settled(one, ['old@x.example', 'new@x.example'], { at: NOW });
      await settled(one, ['sure@x.example'], { at: NOW, sure: true });
      await settled(one, ['other@y.example'], { provider: 'yahoo' });
      expect(await two.suppression.forgetUnsure('gmx', NOW - DAY)).toBe(2);
      const left = await one.suppression.list('', 10);
      expect(left.map(({ address, suppressedAt, hits }) => [address, suppressedAt, hits.length])).toEqual([
        ['old@x.example', null, 1],
        ['other@y.example', null, 1],
        ['sure@x.example', null, 1],
      ]);
    });

    test('they are listed by address, removed, and trimmed when they count no more', async () => {
      const [one, two] = await opened();
      await settled(one, ['b@x.example', 'a@x.example', 'c@x.example']);
      expect((await two.suppression.list('a@x.example', 1)).map(({ address }) => address)).toEqual(['b@x.example']);
      expect(await two.suppression.remove('B@x.example')).toBe(true);
      expect(await two.suppression.remove('b@x.example')).toBe(false);
      await settled(one, ['c@x.example'], { at: NOW + 13 * HOUR });
      expect(await asLeader(one.suppression).trim(NOW + 91 * DAY)).toBe(1);
      expect((await one.suppression.list('', 10)).map(({ address }) => address)).toEqual(['c@x.example']);
      expect(await asLeader(one.suppression).trim(NOW + 181 * DAY)).toBe(1);
    });
  });
}
