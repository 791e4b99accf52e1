/** What every store promises about the rows that say who has changed what. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ChangeNote } from '../../src/store/store.ts';
import { DAY } from '../../src/system/clock.ts';
import { asLeader } from '../support/led.ts';
import { NOW, newMessage } from '../support/store-rig.ts';
import type { Subject } from './store.ts';

let actions = 0;
const note = (change: Partial<ChangeNote> = {}): ChangeNote => ({
  ...{
    id: `action ${++actions}`,
    at: NOW,
    actor: 'anna',
    way: 'session',
    address: '192.0.2.1',
    action: 'user.add',
    target: 'shop',
  },
  ...{ before: null, after: { name: 'shop "x"', limits: [1, null] } },
  ...change,
});
const credential = {
  ...{
    name: 'shop',
    hash: 'x',
    senders: ['*'],
    mailServer: false,
    limits: null,
    disabled: false,
    expiresAt: null,
    rewrite: null,
  },
  createdAt: NOW,
};

export function auditContract({ name, open }: Subject): void {
  async function opened() {
    const subject = await open();
    onTestFinished(() => subject.close());
    const changes = (query = {}) => subject.two.audit.changes({ limit: 100, ...query });
    return { one: subject.one, two: subject.two, changes };
  }

  describe(`${name}: changes`, () => {
    test('a change has its row, whole, and a request that changed nothing has none', async () => {
      const { one, changes } = await opened();
      const added = note();
      expect(await one.noted(added).credentials.add(credential)).toBe(true);
      expect(await one.noted(note()).credentials.add(credential)).toBe(false);
      expect(await one.noted(note()).credentials.update('nobody', {})).toBe(false);
      expect(await one.noted(note()).credentials.remove('nobody')).toBe(false);
      expect(await one.noted(note()).console.changeAccount('nobody', {})).toBe('absent');
      expect(await one.noted(note()).console.endSessions('nobody')).toBe(0);
      expect(await one.noted(note()).messages.hold({ all: true }, NOW)).toEqual([]);
      expect(await one.noted(note()).credentials.get('shop')).toMatchObject({ name: 'shop' });
      const { id: _, ...whole } = added;
      expect(await changes()).toEqual([{ ...whole, seq: expect.any(Number), recipients: null }]);
    });

    test('an action of several requests has one row', async () => {
      const { one, changes } = await opened();
      await one.credentials.add(credential);
      const view = one.noted(note({ action: 'user.remove', after: null }));
      expect(await view.credentials.remove('shop')).toBe(true);
      await view.behaviour.forget('shop');
      await view.operation.setValue('a', null);
      expect(await changes()).toMatchObject([{ action: 'user.remove', after: null }]);
    });

    test('an action on much mail has one row, which counts all that it has changed', async () => {
      const { one, changes } = await opened();
      const ids: string[] = [];
      for (let i = 0; i < 120; i++) {
        const message = newMessage({
          recipients: ['a', 'b'].map((who) => ({ address: `${who}@x.example`, destination: 'x.example' })),
        });
        await one.messages.accept({ message });
        ids.push(message.id);
      }
      const held = await one.noted(note({ action: 'queue.hold' })).messages.hold({ ids }, NOW);
      expect(held).toHaveLength(240);
      const release = one.noted(note({ action: 'user.release' }));
      await release.messages.remove({ ids: [ids[0]!] }, NOW);
      await release.operation.setValue('stop', null);
      await release.messages.remove({ ids: [ids[1]!] }, NOW);
      expect((await changes()).map(({ action, recipients }) => [action, recipients])).toEqual([
        ['user.release', 4],
        ['queue.hold', 240],
      ]);
    });

    test('accepted mail has its row, and mail that was not accepted has none', async () => {
      const { one, changes } = await opened();
      const message = newMessage();
      const sent = note({ action: 'mail.send', target: message.id });
      expect(await one.noted(sent).messages.accept({ message })).toMatchObject({ accepted: true });
      expect(await one.noted(note()).messages.accept({ message: newMessage({ id: message.id }) })).toMatchObject({
        accepted: false,
      });
      expect(await changes()).toMatchObject([{ action: 'mail.send', target: message.id }]);
    });

    test('changes are read newest first, by page, actor, action and time, and are reported', async () => {
      const { one, two, changes } = await opened();
      const heard = new Set<string>();
      one.onChange((all) => {
        for (const change of all) heard.add(change);
      });
      await one.audit.add(note({ action: 'user.add' }));
      await one.audit.add(note({ action: 'users', actor: 'bob', way: 'command', address: null }));
      await two.audit.add(note({ action: 'user.set', actor: 'bob', at: NOW + 1 }));
      expect(heard).toContain('audit');
      const all = await changes();
      expect(all.map(({ action }) => action)).toEqual(['user.set', 'users', 'user.add']);
      expect(await changes({ limit: 1, before: all[0]!.seq })).toEqual([all[1]]);
      expect(await changes({ after: all[1]!.seq })).toEqual([all[0]]);
      expect(await changes({ actor: 'bob' })).toEqual([all[0], all[1]]);
      expect(await changes({ action: 'user' })).toEqual([all[0], all[2]]);
      expect(await changes({ action: 'users' })).toEqual([all[1]]);
      expect(await changes({ since: NOW + 1 })).toEqual([all[0]]);
      while (await asLeader(one.audit).trim(NOW + 1));
      expect(await changes()).toEqual([all[0]]);
      while (await asLeader(one.audit).trim(NOW + DAY));
      expect(await changes()).toEqual([]);
    });
  });
}
