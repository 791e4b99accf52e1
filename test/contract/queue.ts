/** What every store promises about mail that is held over a limit, that gets another route, that lies in a file of its own, or that is told in summaries. */
import { randomBytes } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Limit } from '../../src/smtp/limit.ts';
import type {
  AcceptResult,
  BrowseQuery,
  DueReport,
  KnownRecipient,
  MessageStore,
  NewUntold,
  Selection,
  Spool,
} from '../../src/store/store.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/system/clock.ts';
import { asLeader } from '../support/led.ts';
import { bytesOf, delayedAttempt, NOW, newMessage, relayedAttempt, wholeContent } from '../support/store-rig.ts';
import type { Subject } from './store.ts';

const REPLY = { code: 550, status: '5.1.1', text: 'No such user' };
const LIFETIME = 432_000_000;

export function queueContract({ name, open }: Subject): void {
  async function opened(): Promise<{ first: MessageStore; second: MessageStore }> {
    const subject = await open();
    onTestFinished(() => subject.close());
    return { first: subject.one.messages, second: subject.two.messages };
  }

  describe(`${name}: the choice of a command`, () => {
    /** Three messages: of alice to two domains, of bob an hour later, and one that is claimed. */
    async function filled(first: MessageStore): Promise<readonly [string, string, string]> {
      const messages = [
        newMessage({ user: 'Alice', acceptedAt: NOW - 2 * HOUR, to: ['a@x.example', 'b@Y.example'] }),
        newMessage({ user: 'bob', acceptedAt: NOW - HOUR, to: ['c@x.example'] }),
        newMessage({ user: 'bob', acceptedAt: NOW, to: ['d@z.example'] }),
      ];
      for (const message of messages) await first.accept({ message });
      await first.claim({ destination: 'z.example', now: NOW, limit: 1, lease: 'one#1' });
      return messages.map(({ id }) => id) as unknown as [string, string, string];
    }

    test('all that is given must fit: domain, destination, login, state and age', async () => {
      const { first, second } = await opened();
      const [one, two, three] = await filled(first);
      const chosen = async (selection: Selection) => {
        const { recipients, messages } = await second.preview(selection);
        const held = await second.hold(selection, NOW);
        await second.release({ ids: [one, two, three] }, NOW);
        return [recipients, messages, held.map(({ recipient }) => recipient.slice(0, 1)).join('')];
      };
      expect(await chosen({})).toEqual([0, 0, '']);
      expect(await chosen({ all: true })).toEqual([4, 3, 'abc']);
      expect(await chosen({ domain: 'X.example' })).toEqual([2, 2, 'ac']);
      expect(await chosen({ destination: 'x.example', user: 'ALICE' })).toEqual([1, 1, 'a']);
      expect(await chosen({ user: 'alice' })).toEqual([2, 1, 'ab']);
      expect(await chosen({ states: ['active'] })).toEqual([1, 1, '']);
      expect(await chosen({ acceptedBefore: NOW - HOUR })).toEqual([2, 1, 'ab']);
      expect(await chosen({ acceptedBefore: NOW - HOUR + 1, domain: 'x.example' })).toEqual([2, 2, 'ac']);
      expect(await chosen({ ids: [one, three], domain: 'z.example' })).toEqual([1, 1, '']);
      expect(await chosen({ ids: [one], user: 'bob' })).toEqual([0, 0, '']);
      expect(await chosen({ all: true, upTo: two })).toEqual([3, 2, 'abc']);
      expect(await chosen({ ids: [two, three], upTo: two })).toEqual([1, 1, 'c']);
    });

    test('what was accepted after a preview is not touched with what it returned', async () => {
      const { first, second } = await opened();
      await filled(first);
      const { upTo, ...counted } = await second.preview({ domain: 'x.example' });
      expect(counted).toEqual({ recipients: 2, messages: 2, oldestAcceptedAt: NOW - 2 * HOUR });
      await first.accept({ message: newMessage({ acceptedAt: NOW + 1, to: ['later@x.example'] }) });
      const removed = await second.remove({ domain: 'x.example', upTo }, NOW + 2);
      expect(removed.map(({ recipient }) => recipient)).toEqual(['a@x.example', 'c@x.example']);
      expect(
        (await first.list({})).flatMap(({ recipients }) => recipients.map(({ address, state }) => `${address} ${state}`)),
      ).toContain('later@x.example queued');
      expect(await second.preview({ domain: 'none.example' })).toMatchObject({
        recipients: 0,
        messages: 0,
        oldestAcceptedAt: null,
      });
    });
  });

  describe(`${name}: a list for people`, () => {
    const origin = (subject: string) => ({ ip: '192.0.2.7', tls: 'TLSv1.3', mechanism: 'LOGIN', subject });
    async function filled(first: MessageStore): Promise<readonly string[]> {
      const messages = [
        newMessage({ user: 'Alice', acceptedAt: NOW - 2 * DAY, to: ['a@x.example', 'b@y.example'], origin: origin('Invoice 1') }),
        newMessage({
          user: 'bob',
          acceptedAt: NOW - HOUR,
          reversePath: 'Bob@Corp.example',
          to: ['c@x.example'],
          messageId: '<offer@corp.example>',
        }),
        newMessage({ user: 'alice', acceptedAt: NOW, to: ['d@z.example'], origin: origin('your invoice 2') }),
      ];
      for (const message of messages) await first.accept({ message });
      const [claim] = await first.claim({ destination: 'y.example', now: NOW, limit: 1, lease: 'one#1' });
      const changes = [{ n: 1, state: 'relayed', attempt: relayedAttempt }] as const;
      await first.settle({ messageId: claim!.message.id, lease: 'one#1', at: NOW, changes });
      return messages.map(({ id }) => id);
    }

    test('is newest first, ended mail too, and all that is asked for must fit', async () => {
      const { first, second } = await opened();
      const ids = await filled(first);
      const found = async (query: Omit<BrowseQuery, 'limit'>) =>
        (await second.browse({ ...query, limit: 10 })).items.map(({ id }) => ids.indexOf(id));
      expect(await found({})).toEqual([2, 1, 0]);
      expect(await found({ user: 'ALICE' })).toEqual([2, 0]);
      expect(await found({ subject: 'INVOICE' })).toEqual([2, 0]);
      expect(await found({ sender: 'corp' })).toEqual([1]);
      expect(await found({ recipient: '@X.example' })).toEqual([1, 0]);
      expect(await found({ destination: 'y.example' })).toEqual([0]);
      expect(await found({ states: ['relayed'] })).toEqual([0]);
      expect(await found({ states: ['relayed'], recipient: 'a@' })).toEqual([]);
      expect(await found({ since: NOW - HOUR })).toEqual([2, 1]);
      expect(await found({ until: NOW - HOUR })).toEqual([0]);
      expect(await found({ since: NOW - HOUR, until: NOW, user: 'alice' })).toEqual([]);
      expect(await found({ users: ['ALICE', 'carol'] })).toEqual([2, 0]);
      expect(await found({ users: ['bob'], user: 'alice' }), 'both must fit').toEqual([]);
      expect(await found({ users: [] })).toEqual([]);
      expect(await found({ ids: [ids[0]!, ids[1]!, 'none'] })).toEqual([1, 0]);
      expect(await found({ except: [ids[1]!, 'none'], after: ids[0]! })).toEqual([2]);
      expect(await found({ ids: [ids[0]!, ids[1]!], users: ['bob'] })).toEqual([1]);
      expect(await found({ messageId: '<offer@corp.example>' })).toEqual([1]);
      expect(await found({ messageId: 'offer@corp.example' })).toEqual([1]);
      expect(await found({ states: ['queued', 'held'] }), 'only the queue is read').toEqual([2, 1, 0]);
      expect(await found({ after: ids[0]! })).toEqual([2, 1]);
      expect(await found({ after: ids[2]! })).toEqual([]);
    });

    test('is grouped by destination and by login as far as it waits, the largest first', async () => {
      const { first, second } = await opened();
      await filled(first);
      await first.accept({ message: newMessage({ user: 'alice', acceptedAt: NOW + 1, to: ['e@x.example', 'f@x.example'] }) });
      const names = async (by: 'destination' | 'user', users?: readonly string[]) =>
        (await second.queueGroups({ by, limit: 9, ...(users && { users }) })).map((one) => [
          one.name,
          one.recipients,
          one.messages,
        ]);
      expect(await names('destination')).toEqual([
        ['x.example', 4, 3],
        ['z.example', 1, 1],
      ]);
      expect(await names('destination', ['BOB'])).toEqual([['x.example', 1, 1]]);
      expect((await names('user')).map(([name]) => String(name).toLowerCase())).toContain('bob');
      expect(await second.queueGroups({ by: 'destination', limit: 1 })).toEqual([
        {
          name: 'x.example',
          recipients: 4,
          messages: 3,
          states: { queued: 4 },
          oldestAcceptedAt: NOW - 2 * DAY,
          nextAttemptAt: expect.any(Number),
          lastReply: null,
        },
      ]);
    });

    test('finds the reports about a message', async () => {
      const { first, second } = await opened();
      const ids = await filled(first);
      const report = newMessage({ user: null, acceptedAt: NOW, to: ['a@x.example'], about: ids[0]! });
      await first.accept({ message: report });
      expect((await second.browse({ about: ids[0]!, limit: 9 })).items.map(({ id }) => id)).toEqual([report.id]);
      expect((await second.browse({ about: ids[1]!, limit: 9 })).items).toEqual([]);
    });

    test('shows the recipients that fit, and counts all of them by state', async () => {
      const { first, second } = await opened();
      await filled(first);
      const many = newMessage({ acceptedAt: NOW + 1, to: Array.from({ length: 30 }, (_, i) => `r${i}@x.example`) });
      await first.accept({ message: many });
      const [newest, ...others] = (await second.browse({ limit: 10 })).items;
      expect([newest?.recipients.length, newest?.states]).toEqual([20, { queued: 30 }]);
      expect(others.at(-1)).toMatchObject({ user: 'Alice', origin: origin('Invoice 1'), states: { queued: 1, relayed: 1 } });
      const [one] = (await second.browse({ limit: 10, states: ['relayed'] })).items;
      expect(one?.recipients).toMatchObject([{ address: 'b@y.example', n: 1, state: 'relayed' }]);
    });

    test('shows a part of the recipients of one message, with their attempts', async () => {
      const { first, second } = await opened();
      const [id] = await filled(first);
      const part = async (from: number, limit: number) =>
        (await second.get(id!, { from, limit }))!.recipients.map(({ n, trace }) => [n, ...trace.map(({ outcome }) => outcome)]);
      expect(await part(0, 1)).toEqual([[0]]);
      expect(await part(1, 2 ** 31 - 1)).toEqual([[1, 'relayed']]);
      expect(await part(2, 1)).toEqual([]);
    });

    test('comes in pages, and says how far it has looked', async () => {
      const { first, second } = await opened();
      const ids = await filled(first);
      const page = await second.browse({ limit: 2 });
      expect([page.items.map(({ id }) => ids.indexOf(id)), page.next]).toEqual([[2, 1], ids[1]]);
      expect(page.searchedBackTo).toBeGreaterThan(0);
      const rest = await second.browse({ limit: 2, before: page.next! });
      expect([rest.items.map(({ id }) => ids.indexOf(id)), rest.next, rest.searchedBackTo]).toEqual([[0], null, null]);
      expect(await second.browse({ limit: 2, before: ids[0]! })).toEqual({ items: [], next: null, searchedBackTo: null });
    });
  });

  describe(`${name}: mail over a limit`, () => {
    const limit = (kind: Limit['kind'], count: number, per: Limit['per'] = 'day'): Limit => ({ kind, count, per });
    type More = { readonly at?: number; readonly maxHeld?: number; readonly claim?: boolean };
    const hold = (store: MessageStore, list: readonly Limit[], to: readonly string[], more: More = {}): Promise<AcceptResult> => {
      const { at = NOW, maxHeld = 9, claim = false } = more;
      return store.accept({
        message: newMessage({ acceptedAt: at, to: [...to] }),
        limits: { user: 'Alice', list, over: 'hold', maxHeld },
        ...(claim && { claim: { indexes: [0], lease: 'one#1' } }),
      });
    };
    const heldIn = async (store: MessageStore) =>
      (await store.list({ states: ['held'] })).flatMap(({ recipients }) => recipients.map(({ address }) => address));
    const release = async (store: MessageStore, list: readonly Limit[] | null, now: number) =>
      (await store.releaseOverLimit({ user: 'alice', list, now })).released.map(({ recipient }) => recipient);

    test('a message over a limit is held as a whole with the reason, is not counted, and later mail waits behind it', async () => {
      const { first, second } = await opened();
      const list = [limit('recipients', 2)];
      expect(await hold(first, list, ['a@x.example'])).toMatchObject({ accepted: true, held: false });
      const exceeded = { limit: list[0], used: 1 };
      const both = await hold(second, list, ['b@x.example', 'c@x.example'], { claim: true });
      expect(both).toMatchObject({ accepted: true, held: true, exceeded, use: [{ used: 1 }] });
      const behind = await hold(first, list, ['d@x.example'], { claim: true });
      expect(behind).toMatchObject({ accepted: true, held: true, use: [{ used: 1 }] });
      expect(behind).not.toHaveProperty('exceeded');
      expect((await second.counts()).states).toEqual({ queued: 1, held: 3 });
      const held = await second.list({ states: ['held'] });
      expect(held.map(({ recipients }) => recipients[0]!.lastReply)).toEqual([
        '450 4.7.1 Held over the limit of 2 recipients per day',
        '450 4.7.1 Held behind mail that is over a limit',
      ]);
      expect(held.flatMap(({ recipients }) => recipients.map(({ nextAttemptAt }) => nextAttemptAt))).toEqual([null, null, null]);
      expect(await second.overLimit(NOW)).toEqual({ users: ['alice'], expired: [] });
    });

    test('a user with as many held messages as are allowed gets no further one accepted', async () => {
      const { first, second } = await opened();
      const list = [limit('messages', 1)];
      for (let i = 0; i < 3; i++) await hold(i % 2 === 0 ? first : second, list, ['a@x.example'], { maxHeld: 2 });
      expect(await hold(second, list, ['a@x.example'], { maxHeld: 2 })).toMatchObject({ accepted: false, exceeded: { used: 1 } });
      expect(await hold(second, list, ['a@x.example'], { maxHeld: 0, at: NOW + 1 })).toMatchObject({ accepted: false });
      expect((await first.counts()).states).toEqual({ queued: 1, held: 2 });
    });

    test('held mail is released in its order as far as the limits allow, counted as if it came now', async () => {
      const { first, second } = await opened();
      const list = [limit('recipients', 2)];
      await hold(first, list, ['a@x.example', 'b@x.example']);
      await hold(first, list, ['1@x.example', '2@x.example', '3@x.example']);
      for (const to of ['c', 'd', 'e']) await hold(second, list, [`${to}@x.example`]);
      expect(await release(second, null, NOW + DAY)).toEqual([]);
      expect(await release(second, list, NOW)).toEqual([]);
      // A message that alone is larger than the limit stops none behind it.
      expect(await release(second, list, NOW + DAY)).toEqual(['c@x.example', 'd@x.example']);
      expect(await release(first, list, NOW + DAY)).toEqual([]);
      expect((await first.due(NOW + DAY, 9)).due).toHaveLength(1);
      expect(await release(first, list, NOW + 2 * DAY)).toEqual(['e@x.example']);
      expect(await heldIn(second)).toEqual(['1@x.example', '2@x.example', '3@x.example']);
      expect(await release(second, [], NOW + 2 * DAY)).toEqual(['1@x.example', '2@x.example', '3@x.example']);
      expect(await first.overLimit(NOW)).toEqual({ users: [], expired: [] });
    });

    test('mail that several clients release at once is released once, and counted once', async () => {
      const { first, second } = await opened();
      const list = [limit('messages', 2)];
      for (const to of ['a', 'b', 'c', 'd', 'e']) await hold(first, list, [`${to}@x.example`]);
      const released = await Promise.all([first, second, first, second].map((store) => release(store, list, NOW + DAY)));
      expect(released.flat().sort()).toEqual(['c@x.example', 'd@x.example']);
      expect(await first.limitUse('ALICE', list, NOW + DAY)).toMatchObject([{ used: 2 }]);
    });

    test('the limits decide no more about mail that an operator holds, releases or removes', async () => {
      const { first, second } = await opened();
      const list = [limit('messages', 1)];
      for (const to of ['a', 'b', 'c', 'd', 'e']) await hold(first, list, [`${to}@x.example`]);
      const [b, c, d] = (await second.list({ states: ['held'] })).map(({ id }) => id);
      await second.hold({ ids: [b!] }, NOW);
      await second.release({ ids: [c!] }, NOW);
      await second.remove({ ids: [d!] }, NOW);
      expect(await release(first, [], NOW)).toEqual(['e@x.example']);
      expect(await heldIn(first)).toEqual(['b@x.example']);
    });

    test('mail that is held over a limit until its lifetime ends is named, with its sender and recipients', async () => {
      const { first, second } = await opened();
      const list = [limit('messages', 1)];
      for (const to of ['a', 'b']) await hold(first, list, [`${to}@x.example`]);
      expect((await second.overLimit(NOW + LIFETIME - 1)).expired).toEqual([]);
      expect((await second.overLimit(NOW + LIFETIME)).expired).toMatchObject([
        { reversePath: 'alice@example.org', recipients: [{ address: 'b@x.example', n: 0, state: 'held' }] },
      ]);
    });

    test('recipients that a user has not written to for 400 days are forgotten, by the day of the last message', async () => {
      const { first, second } = await opened();
      const list = [limit('newRecipients', 10)];
      await hold(first, list, ['once@x.example', 'yearly@x.example']);
      await hold(first, list, ['YEARLY@x.example'], { at: NOW + 366 * DAY });
      const forget = async (store: MessageStore, now: number) => {
        let forgotten = 0;
        for (let after: KnownRecipient | null = null; ; ) {
          const step: Awaited<ReturnType<MessageStore['forgetRecipients']>> = await asLeader(store).forgetRecipients(now, after);
          forgotten += step.forgotten;
          if ((after = step.after) === null) return forgotten;
        }
      };
      expect([await forget(first, NOW + 400 * DAY), await forget(second, NOW + 480 * DAY)]).toEqual([0, 1]);
      expect(await second.knownRecipients('alice', ['once@x.example', 'yearly@x.example'])).toEqual(['yearly@x.example']);
    });
  });

  describe(`${name}: commands on the queue`, () => {
    /** Recipients that are queued, delayed, active and ended. */
    async function mixed(store: MessageStore): Promise<string> {
      const to = ['queued@x.example', 'delayed@y.example', 'active@x.example', 'done@x.example'];
      const message = newMessage({ to });
      await store.accept({ message, claim: { indexes: [1, 2, 3], lease: 'one#1' } });
      const changes = [
        { n: 1, state: 'delayed', nextAttemptAt: NOW + MINUTE, attempt: delayedAttempt },
        { n: 3, state: 'relayed', attempt: relayedAttempt },
      ] as const;
      await store.settle({ messageId: message.id, lease: 'one#1', at: NOW, changes });
      return message.id;
    }
    const statesIn = async (store: MessageStore, id: string) => (await store.get(id))?.recipients.map(({ state }) => state);

    test('hold leaves what is tried alone, and release gives each back as what it was', async () => {
      const { first, second } = await opened();
      const id = await mixed(first);
      await second.hold({ all: true }, NOW);
      expect(await statesIn(first, id)).toEqual(['held', 'held', 'active', 'relayed']);
      expect(await second.retry({ all: true }, NOW)).toEqual([]);
      expect(await second.release({ domain: 'Y.example' }, NOW)).toEqual([
        { id, recipient: 'delayed@y.example', state: 'delayed' },
      ]);
      await second.release({ ids: [id] }, NOW);
      expect(await statesIn(first, id)).toEqual(['queued', 'delayed', 'active', 'relayed']);
      expect((await first.due(NOW, 9)).due).toHaveLength(2);
    });

    test('a selection selects what it names: nothing, a domain and not one that ends like it, or all', async () => {
      const { first, second } = await opened();
      const { id } = newMessage();
      await first.accept({ message: newMessage({ id, to: ['a@example.net', 'b@notexample.net', 'c@sub.example.net'] }) });
      expect(await second.remove({}, NOW)).toEqual([]);
      expect(await second.remove({ all: false }, NOW)).toEqual([]);
      expect(await second.remove({ ids: ['nothere'] }, NOW)).toEqual([]);
      expect((await second.hold({ domain: 'EXAMPLE.net' }, NOW)).map(({ recipient }) => recipient)).toEqual(['a@example.net']);
      expect(await first.remove({ all: true }, NOW)).toHaveLength(3);
      expect(await second.content(id)).toBeUndefined();
      expect((await second.counts()).states).toEqual({});
    });

    test('waiting and held mail follows another route, active and ended mail does not', async () => {
      const { first, second } = await opened();
      const id = await mixed(first);
      await first.hold({ domain: 'y.example' }, NOW);
      const touched = await second.reroute({ all: true }, NOW + 1, ({ user }, address, destination) =>
        destination === 'none' ? undefined : `route:${user}:${address.startsWith('queued')}`,
      );
      expect(touched).toEqual([
        { id, recipient: 'queued@x.example', state: 'queued' },
        { id, recipient: 'delayed@y.example', state: 'held' },
      ]);
      expect((await first.get(id))?.recipients.map(({ destination }) => destination)).toEqual([
        'route:alice@example.org:true',
        'route:alice@example.org:false',
        ...['x.example', 'x.example'],
      ]);
      const due = [{ destination: 'route:alice@example.org:true', nextAttemptAt: NOW + 1 }];
      expect((await first.due(NOW + 1, 9)).due).toEqual(due);
      expect(await second.reroute({ all: true }, NOW + 2, () => undefined)).toEqual([]);
      expect((await first.due(NOW + 2, 9)).due).toEqual(due);
    });

    test('a message that was given up is removed by id and token, never another one with its id', async () => {
      const { first, second } = await opened();
      const message = newMessage({ token: 17 });
      await first.accept({ message });
      const { id } = message;
      await second.withdraw([{ id, token: 18 }], NOW);
      expect(await statesIn(first, id)).toEqual(['queued']);
      await second.withdraw([{ id, token: 17 }], NOW);
      expect(await statesIn(first, id)).toEqual(['removed']);
    });

    test('the summary names destinations with waiting mail, the largest first, and since when they wait', async () => {
      const { first, second } = await opened();
      const old = { to: ['a@x.example', 'b@x.example', 'c@y.example'], acceptedAt: NOW - DAY };
      await first.accept({ message: newMessage(old) });
      const message = newMessage({ to: ['d@x.example', 'e@z.example'] });
      await second.accept({ message, claim: { indexes: [0, 1], lease: 'one#1' } });
      const change = { n: 1, state: 'delayed', nextAttemptAt: NOW + MINUTE, attempt: delayedAttempt } as const;
      await second.settle({ messageId: message.id, lease: 'one#1', at: NOW, changes: [change] });
      await first.hold({ domain: 'y.example' }, NOW);
      expect(await first.summary(9)).toEqual([
        { destination: 'x.example', recipients: 3, oldestAcceptedAt: NOW - DAY, nextAttemptAt: NOW - DAY },
        { destination: 'z.example', recipients: 1, oldestAcceptedAt: NOW, nextAttemptAt: NOW + MINUTE },
      ]);
      expect(await second.summary(1)).toHaveLength(1);
      expect(await second.counts()).toEqual({
        states: { queued: 2, active: 1, delayed: 1, held: 1 },
        oldestAcceptedAt: NOW - DAY,
      });
    });

    test('the list can be that of a state, a domain or a user, and a search returns the newest first', async () => {
      const { first, second } = await opened();
      const put = async (to: string, user: string, acceptedAt: number) => {
        const message = newMessage({ to: [to], user, acceptedAt });
        await first.accept({ message });
        return message.id;
      };
      const ids = [
        await put('a@x.example', 'Even', NOW),
        await put('a@y.example', 'odd', NOW + 1),
        await put('A@x.example', 'even', NOW + 2),
      ];
      const names = (list: readonly { readonly id: string }[]) => list.map(({ id }) => id);
      await first.hold({ ids: [ids[1]!] }, NOW);
      expect(names(await second.list({}))).toEqual(ids);
      expect(names(await second.list({ limit: 1, after: ids[0]! }))).toEqual([ids[1]]);
      expect(names(await second.list({ states: ['held'] }))).toEqual([ids[1]]);
      expect(names(await second.list({ domain: 'X.example' }))).toEqual([ids[0], ids[2]]);
      expect(names(await second.list({ user: 'EVEN' }))).toEqual([ids[0], ids[2]]);
      expect(names(await second.find('a@X.example', 9))).toEqual([ids[2], ids[0]]);
      expect(names(await second.find('alice@example.org', 2))).toEqual([ids[2], ids[1]]);
      expect(names(await second.find(ids[0]!, 9))).toEqual([ids[0]]);
    });

    test('the trace keeps the newest ended messages within its size, and all waiting ones', async () => {
      const { first, second } = await opened();
      const id = await mixed(first);
      const old = newMessage({ acceptedAt: NOW - DAY });
      await first.accept({ message: old });
      await first.remove({ ids: [old.id] }, NOW);
      expect(await asLeader(second).trimTrace(0, Number.MAX_SAFE_INTEGER)).toBe(0);
      expect(await asLeader(second).trimTrace(0, 0)).toBe(1);
      expect([await first.get(old.id), (await first.get(id))?.id]).toEqual([undefined, id]);
    });
  });

  describe(`${name}: large bodies`, () => {
    const PREFIX = 'Received: by relay.example.org\r\n';
    async function written(store: MessageStore, body: Buffer): Promise<Spool> {
      const writer = await store.createSpool();
      const reused = Buffer.alloc(10_000);
      for (let at = 0; at < body.length; at += reused.length) {
        const length = body.copy(reused, 0, at);
        await writer.write(reused.subarray(0, length)); // the writer must not keep it
      }
      return writer.finish();
    }
    const spooled = (spool: Spool) => newMessage({ content: { kind: 'spooled', prefix: bytesOf(PREFIX), spool } });

    test('a body that arrives in pieces is read as it was, by all that ask, and again', async () => {
      const { first, second } = await opened();
      const body = randomBytes(300_007);
      const spool = await written(first, body);
      expect(spool.size).toBe(body.length);
      const message = spooled(spool);
      expect(await first.accept({ message })).toMatchObject({ accepted: true, content: { kind: 'spooled' } });
      const whole = Buffer.concat([Buffer.from(PREFIX), body]);
      expect(await wholeContent(await second.content(message.id))).toEqual(whole);
      const [claimed] = await second.claim({ destination: 'example.net', now: NOW, limit: 1, lease: 'two#1' });
      for (let i = 0; i < 2; i++) expect(await wholeContent(claimed!.content)).toEqual(whole);
    });

    test('a body can be read into memory that its reader uses again', async () => {
      const { first } = await opened();
      const body = randomBytes(100_003);
      const memory = new Uint8Array(9_999);
      const read: Buffer[] = [];
      for await (const chunk of (await written(first, body)).read(memory)) {
        expect(chunk.buffer).toBe(memory.buffer);
        read.push(Buffer.from(chunk));
      }
      expect(Buffer.concat(read)).toEqual(body);
    });

    test('a body that was given up takes nothing more, and may be given up again', async () => {
      const { first } = await opened();
      const writer = await first.createSpool();
      await writer.write(randomBytes(5_000));
      await writer.abort();
      await writer.abort();
      await expect(writer.finish()).rejects.toThrow();
    });

    test('the body of a message that has ended is there no more', async () => {
      const { first, second } = await opened();
      const message = spooled(await written(first, randomBytes(5_000)));
      await first.accept({ message });
      await second.remove({ ids: [message.id] }, NOW);
      expect(await first.content(message.id)).toBeUndefined();
    });
  });

  describe(`${name}: reports to senders`, () => {
    const owed = (n: number, more: Partial<NewUntold> = {}): NewUntold => ({
      ...{ n, action: 'failed', reply: REPLY, at: NOW, collectUntil: NOW + 30 * SECOND },
      ...more,
    });
    /** A message to these, all of them claimed. */
    async function tried(
      store: MessageStore,
      to: readonly string[],
      more: Parameters<typeof newMessage>[0] = {},
    ): Promise<string> {
      const message = newMessage({ to: [...to], ...more });
      await store.accept({ message, claim: { indexes: to.map((_, n) => n), lease: 'one#1' } });
      return message.id;
    }
    const fails = (store: MessageStore, messageId: string, n: number, more: Partial<NewUntold> = {}) =>
      store.settle({
        ...{ messageId, lease: 'one#1', at: more.at ?? NOW },
        changes: [{ n, state: 'failed' }],
        untold: [owed(n, more)],
      });
    const due = async (store: MessageStore, now = NOW, perHour = 100) => (await store.dueReports({ now, limit: 9, perHour })).due;
    const tell = (store: MessageStore, one: DueReport, now = NOW) => {
      const sender = one.kind === 'report' ? one.message.reversePath : one.sender;
      const report = newMessage({ user: null, reversePath: '', to: [sender], acceptedAt: now });
      return store.told({ sender, untold: one.untold, at: now, report });
    };
    const numbers = (one: DueReport) => one.untold.map(({ n }) => n);

    test('recipients that fail one after the other share a report, which is due as soon as no other is tried', async () => {
      const { first, second } = await opened();
      const id = await tried(first, ['a@x.example', 'b@y.example', 'c@z.example']);
      expect(await fails(first, id, 0)).toMatchObject({ reportDue: false });
      expect(await second.dueReports({ now: NOW, limit: 9, perHour: 9 })).toEqual({ due: [], nextAt: NOW + 30 * SECOND });
      const change = { n: 1, state: 'delayed', nextAttemptAt: NOW + HOUR, attempt: delayedAttempt } as const;
      await first.settle({ messageId: id, lease: 'one#1', at: NOW, changes: [change] });
      expect(await fails(first, id, 2)).toMatchObject({ reportDue: true });
      expect((await due(second)).map(numbers)).toEqual([[0, 2]]);
    });

    test('a settlement that is repeated because its answer was lost tells nothing twice', async () => {
      const { first, second } = await opened();
      const id = await tried(first, ['a@x.example']);
      const attempt = { ...delayedAttempt, outcome: 'failed', code: 550 } as const;
      const settlement = { messageId: id, lease: 'one#1', at: NOW, changes: [{ n: 0, state: 'failed', attempt }] } as const;
      await first.settle({ ...settlement, untold: [owed(0)] });
      expect(await first.settle({ ...settlement, untold: [owed(0)] })).toMatchObject({ unchanged: [], lost: [] });
      const [one, ...more] = await due(second);
      expect([numbers(one!), more]).toEqual([[0], []]);
      expect(await tell(second, one!)).toBe(true);
      await first.settle({ ...settlement, untold: [owed(0)] });
      expect(await due(second, NOW + DAY)).toEqual([]);
      expect((await first.get(id))?.recipients[0]?.trace).toHaveLength(1);
    });

    test('one report of a delay names all late recipients, and no second report does', async () => {
      const { first, second } = await opened();
      const id = await tried(first, ['a@x.example', 'b@y.example']);
      const late = (n: number) => ({ n, state: 'delayed', nextAttemptAt: NOW + HOUR, attempt: delayedAttempt }) as const;
      await first.settle({ messageId: id, lease: 'one#1', at: NOW, changes: [late(0)] });
      const untold = [owed(1, { action: 'delayed' })];
      await first.settle({ messageId: id, lease: 'one#1', at: NOW, changes: [{ ...late(1), delayReported: true }], untold });
      const [one] = await due(second, NOW + MINUTE);
      expect(one!.untold.map(({ n, joined, reply }) => [n, joined, reply.words ?? reply.text])).toEqual([
        [1, false, 'No such user'],
        [0, true, '4.7.1 Later'],
      ]);
      expect(await tell(second, one!)).toBe(true);
      const again = [owed(0, { action: 'delayed', at: NOW + 1 })];
      const changes = [{ ...late(0), attempt: { ...delayedAttempt, at: NOW + 5 } }];
      await first.claim({ destination: 'x.example', now: NOW + HOUR, limit: 1, lease: 'one#2' });
      await first.settle({ messageId: id, lease: 'one#2', at: NOW, changes, untold: again });
      expect(await due(second, NOW + DAY)).toEqual([]);
    });

    test('beyond the reports of an hour a sender gets one summary, and no other sender is concerned', async () => {
      const { first, second } = await opened();
      const ids: string[] = [];
      for (let i = 0; i < 6; i++) {
        ids.push(await tried(first, ['a@x.example']));
        await fails(first, ids[i]!, 0);
      }
      await fails(first, await tried(first, ['a@x.example'], { reversePath: 'carol@example.org' }), 0);
      const now = await due(second, NOW, 2);
      expect(now.map((one) => one.kind === 'report' && one.message.reversePath)).toEqual([
        ...['alice@example.org', 'alice@example.org'],
        'carol@example.org',
      ]);
      for (const one of now) expect(await tell(second, one)).toBe(true);
      expect(await due(first, NOW, 2)).toEqual([]);
      // A summary quotes no content, so that none is kept for it; the message itself is.
      expect(await first.content(ids[5]!)).toBeUndefined();
      await asLeader(first).trimTrace(NOW + HOUR, 0);
      const [summary, ...more] = await due(second, NOW + HOUR, 2);
      expect(summary).toMatchObject({ kind: 'summary', sender: 'alice@example.org' });
      expect(more).toEqual([]);
      expect(summary!.untold.map(({ message }) => message).sort()).toEqual(ids.slice(2).sort());
      expect(await tell(second, summary!, NOW + HOUR)).toBe(true);
      expect(await second.dueReports({ now: NOW + HOUR, limit: 9, perHour: 2 })).toEqual({ due: [], nextAt: null });
    });

    test('a report that could not be written is due later, and its message keeps its content', async () => {
      const { first, second } = await opened();
      const id = await tried(first, ['a@x.example']);
      await fails(first, id, 0);
      await first.postponeReport((await due(second))[0]!.untold, NOW + 5 * MINUTE);
      expect(await second.dueReports({ now: NOW, limit: 9, perHour: 9 })).toEqual({ due: [], nextAt: NOW + 5 * MINUTE });
      expect(await second.content(id)).toBeDefined();
      expect((await due(second, NOW + 5 * MINUTE)).map(numbers)).toEqual([[0]]);
    });

    test('a report whose id another message has changes nothing, and says so', async () => {
      const { first, second } = await opened();
      const id = await tried(first, ['a@x.example']);
      await fails(first, id, 0);
      const [one] = await due(second);
      const report = newMessage({ id, user: null, reversePath: '' });
      const told = second.told({ sender: 'alice@example.org', untold: one!.untold, at: NOW, report });
      await expect(told).rejects.toMatchObject({ code: 'EEXIST' });
      expect((await due(first)).map(numbers)).toEqual([[0]]);
    });
  });
}
