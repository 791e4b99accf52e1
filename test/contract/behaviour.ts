/** What every store promises about the behaviour of logins. Run as `store.ts` is. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { HOUR } from '../../src/system/clock.ts';
import { NOW } from '../support/store-rig.ts';

type Client = Pick<Store, 'behaviour'>;
export type BehaviourSubject = {
  readonly name: string;
  open(): Promise<{ readonly one: Client; readonly two: Client; close(): Promise<void> }>;
};

export function behaviourContract({ name, open }: BehaviourSubject): void {
  describe(`${name}: the behaviour of logins`, () => {
    test('is kept for a login and for each of its senders, and the last record of one counts', async () => {
      const { one, two, close } = await open();
      onTestFinished(close);
      await one.behaviour.put([{ user: 'exchange', sender: '', record: '{"é":1}' }], NOW);
      await one.behaviour.put(
        [
          { user: 'exchange', sender: 'a@x.example', record: '1' },
          { user: 'exchange', sender: 'a@x.example', record: '2' },
        ],
        NOW,
      );
      expect(await two.behaviour.record('exchange', '')).toBe('{"é":1}');
      expect(await two.behaviour.record('exchange', 'a@x.example')).toBe('2');
      expect(await two.behaviour.record('exchange', 'b@x.example')).toBeUndefined();
      await one.behaviour.put([], NOW);
    });

    test('is forgotten with the login, and when it is old', async () => {
      const { one, two, close } = await open();
      onTestFinished(close);
      const record = 'x';
      await one.behaviour.put([{ user: 'old', sender: '', record }], NOW - HOUR);
      await one.behaviour.put(
        ['', 'a@x.example'].map((sender) => ({ user: 'gone', sender, record })),
        NOW,
      );
      await one.behaviour.put([{ user: 'stays', sender: '', record }], NOW);
      expect(await one.behaviour.trim(NOW)).toBe(1);
      await one.behaviour.forget('gone');
      for (const [user, sender] of [
        ['old', ''],
        ['gone', ''],
        ['gone', 'a@x.example'],
      ] as const)
        expect(await two.behaviour.record(user, sender)).toBeUndefined();
      expect(await two.behaviour.record('stays', '')).toBe(record);
    });
  });
}
