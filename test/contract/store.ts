/**
 * What every store promises, whoever keeps the data: the cases are run on each by `test/unit/store/contract.test.ts`. Two clients
 * of the same data stand for two processes.
 */
import { describe, expect, onTestFinished, test } from 'vitest';
import type {
  Change,
  ClaimLease,
  MessageStore,
  NewUntold,
  RecipientState,
  Settlement,
  Store,
  StoredStsPolicy,
} from '../../src/store/store.ts';
import { DAY, MINUTE, SECOND } from '../../src/system/clock.ts';
import { asLeader } from '../support/led.ts';
import { delayedAttempt, NOW, newMessage, relayedAttempt, until } from '../support/store-rig.ts';

export type Opened = {
  readonly one: Store;
  /** Another client of the same data. */
  readonly two: Store;
  /** Lets time pass by the store's own clock, for all signs of life so far. */
  pass(ms: number): Promise<void>;
  close(): Promise<void>;
};

export type Subject = { readonly name: string; open(): Promise<Opened> };

const DEAD = 30 * SECOND;
const claimBy = (lease: ClaimLease, destination = 'x.example', now = NOW) => ({ destination, now, limit: 10, lease });
const statesIn = async (messages: MessageStore, id: string) => (await messages.get(id))?.recipients.map(({ state }) => state);
const settlement = (
  messageId: string,
  lease: ClaimLease | null,
  state: RecipientState,
  more: Partial<Settlement> = {},
): Settlement => ({
  ...{ messageId, lease, at: NOW + 1000 },
  changes: [
    {
      ...{ n: 0, state, attempt: state === 'relayed' ? relayedAttempt : delayedAttempt },
      ...(state === 'delayed' ? { nextAttemptAt: NOW + MINUTE } : {}),
    },
  ],
  ...more,
});

const policy = (change: Partial<StoredStsPolicy> = {}): StoredStsPolicy => ({
  ...{ domain: 'x.example', id: 'a1', mode: 'enforce', maxAge: 604_800, mx: ['mx1.x.example', '*.x.example'] },
  ...{ text: 'version: STSv1\nmode: enforce\n', fetchedAt: NOW, expiresAt: NOW + 7 * DAY, usedAt: NOW, refreshAt: NOW + DAY },
  ...{ failures: 0, failedAt: null, lastError: null, retryAt: null, retryId: null },
  ...change,
});

export function storeContract({ name, open }: Subject): void {
  async function opened(): Promise<Opened & { first: MessageStore; second: MessageStore }> {
    const subject = await open();
    onTestFinished(() => subject.close());
    return { ...subject, first: subject.one.messages, second: subject.two.messages };
  }

  async function waiting(messages: MessageStore, change: Parameters<typeof newMessage>[0] = {}): Promise<string> {
    const message = newMessage({ to: ['a@x.example'], ...change });
    expect(await messages.accept({ message })).toMatchObject({ accepted: true });
    return message.id;
  }

  describe(`${name}: accepting`, () => {
    test('an id is taken once, whoever asks', async () => {
      const { first, second } = await opened();
      const message = () => ({ ...newMessage({ to: ['a@x.example'] }), id: '0123456789abc' });
      const results = await Promise.all(
        [first, second, first, second].map((messages) => messages.accept({ message: message() })),
      );
      expect(results.filter(({ accepted }) => accepted)).toHaveLength(1);
      expect(results.filter((result) => 'idTaken' in result)).toHaveLength(3);
    });

    test('how a client handed a message in is kept with it; for our own mail there is nothing', async () => {
      const { first, second } = await opened();
      const origin = { ip: '192.0.2.7', tls: 'TLSv1.3', mechanism: 'LOGIN', subject: 'Grüße "an" \\alle' };
      const told = await waiting(first, { origin });
      const clear = await waiting(first, { origin: { ip: '::1', tls: null, mechanism: 'PLAIN' } });
      const own = await waiting(first);
      expect((await second.get(told))?.origin).toEqual(origin);
      expect((await second.get(clear))?.origin).toEqual({ ip: '::1', tls: null, mechanism: 'PLAIN' });
      expect(await second.get(own)).not.toHaveProperty('origin');
      const [claim] = await first.claim(claimBy('one#1'));
      expect(claim?.message.id, 'it is not taken for damaged').toBe(told);
    });

    test('a next attempt between two milliseconds is kept, and comes no earlier', async () => {
      const { first } = await opened();
      const id = await waiting(first);
      await first.claim(claimBy('one#1'));
      const changes = [{ n: 0, state: 'delayed', nextAttemptAt: NOW + MINUTE + 0.5, attempt: delayedAttempt }] as const;
      await first.settle(settlement(id, 'one#1', 'delayed', { changes }));
      expect((await first.due(NOW + MINUTE, 10)).due).toEqual([]);
      expect((await first.due(NOW + MINUTE + 1, 10)).due).toMatchObject([{ destination: 'x.example' }]);
    });

    test('what is claimed at once is active and not due, the rest is due', async () => {
      const { first, second } = await opened();
      const message = newMessage({ to: ['a@x.example', 'b@y.example'] });
      await first.accept({ message, claim: { indexes: [0], lease: 'one#1' } });
      expect(await statesIn(second, message.id)).toEqual(['active', 'queued']);
      expect((await second.due(NOW, 10)).due).toEqual([{ destination: 'y.example', nextAttemptAt: NOW }]);
    });

    test('a limit is exact over all that accept at once', async () => {
      const { first, second } = await opened();
      const limits = { user: 'alice', list: [{ kind: 'messages', count: 10, per: 'hour' }], over: 'refuse' } as const;
      const results = await Promise.all(
        Array.from({ length: 30 }, (_, i) => (i % 2 === 0 ? first : second).accept({ message: newMessage(), limits })),
      );
      expect(results.filter(({ accepted }) => accepted)).toHaveLength(10);
    });
  });

  describe(`${name}: logins`, () => {
    const login = { name: 'Anna', hash: 'h', senders: ['*'], mailServer: false, limits: null, disabled: false } as const;

    test('a login that has changed since it was looked at accepts nothing', async () => {
      const { one, two, first } = await opened();
      expect(await one.credentials.add({ ...login, expiresAt: null, rewrite: null, createdAt: 0 })).toBe(true);
      const grant = (await two.credentials.get('anna'))!;
      expect(await first.accept({ message: newMessage(), grant })).toMatchObject({ accepted: true });
      await two.credentials.update('ANNA', { senders: ['@x.example'] });
      expect(await first.accept({ message: newMessage(), grant })).toMatchObject({ accepted: false, denied: 'changed' });
      await two.credentials.update('anna', { hash: 'another' });
      expect(await first.accept({ message: newMessage(), grant })).toMatchObject({ accepted: false, denied: 'ended' });
      expect((await first.counts()).states).toEqual({ queued: 1 });
    });

    test('a login that has changed since it was looked at is neither changed nor removed', async () => {
      const { one, two } = await opened();
      await one.credentials.add({ ...login, expiresAt: null, rewrite: null, createdAt: 0 });
      const seen = (await one.credentials.get('anna'))!;
      await one.credentials.update('anna', { senders: ['@y.example'] }, seen);
      expect(await two.credentials.update('anna', { senders: ['@z.example'] }, seen), 'it has changed since').toBe(false);
      expect(await two.credentials.remove('anna', seen)).toBe(false);
      expect((await two.credentials.get('anna'))?.senders).toEqual(['@y.example']);
      expect(await one.credentials.remove('anna', (await two.credentials.get('anna'))!)).toBe(true);
    });

    test('what a user has sent to is known, and forgotten with the login', async () => {
      const { one, first, second } = await opened();
      await one.credentials.add({ ...login, expiresAt: null, rewrite: null, createdAt: 0 });
      const limits = { user: 'anna', list: [{ kind: 'newRecipients', count: 1, per: 'day' }], over: 'refuse' } as const;
      const accept = (to: string) => second.accept({ message: newMessage({ to: [to] }), limits });
      expect(await accept('A@x.example')).toMatchObject({ accepted: true, use: [{ used: 1 }] });
      expect(await accept('a@x.example')).toMatchObject({ accepted: true, use: [{ used: 1 }] });
      expect(await accept('b@x.example')).toMatchObject({ accepted: false, exceeded: { used: 1 } });
      expect(await first.knownRecipients('Anna', ['a@X.example', 'b@x.example'])).toEqual(['a@X.example']);
      await one.credentials.remove('anna');
      expect(await second.knownRecipients('anna', ['a@x.example'])).toEqual([]);
      expect(await second.limitUse('anna', limits.list, NOW)).toMatchObject([{ used: 0 }]);
    });
  });

  describe(`${name}: commands`, () => {
    test('what they did to recipients is handed out once, in its order', async () => {
      const { first, second } = await opened();
      const id = await waiting(first);
      await first.hold({ ids: [id] }, NOW);
      expect(await statesIn(second, id)).toEqual(['held']);
      await second.release({ ids: [id] }, NOW);
      await first.remove({ ids: [id] }, NOW);
      const recipient = 'a@x.example';
      expect(await second.takeNotices(2)).toEqual([
        { event: 'held', id, recipient },
        { event: 'released', id, recipient },
      ]);
      expect(await first.takeNotices(9)).toEqual([{ event: 'removed', id, recipient }]);
      expect(await second.takeNotices(9)).toEqual([]);
    });

    test('mail that is removed while it is tried stays removed, and its settlement tells nothing', async () => {
      const { first, second } = await opened();
      const id = await waiting(first);
      await first.claim(claimBy('one#1'));
      await second.remove({ ids: [id] }, NOW);
      expect(await first.settle(settlement(id, 'one#1', 'delayed'))).toMatchObject({ unchanged: [0], lost: [] });
      expect(await statesIn(first, id)).toEqual(['removed']);
    });

    test('the destinations of what is retried are handed out once', async () => {
      const { first, second } = await opened();
      await waiting(first, { to: ['a@x.example', 'b@x.example', 'c@y.example'] });
      await second.retry({ all: true }, NOW);
      expect([...(await first.takeRetried(9))].sort()).toEqual(['x.example', 'y.example']);
      expect(await second.takeRetried(9)).toEqual([]);
    });
  });

  describe(`${name}: claims`, () => {
    test('what several ask for at once each recipient goes to one of them', async () => {
      const { first, second } = await opened();
      const ids = await Promise.all(Array.from({ length: 20 }, () => waiting(first)));
      const claims = await Promise.all([
        ...[1, 2, 3].map((n) => first.claim(claimBy(`one#${n}`))),
        ...[1, 2, 3].map((n) => second.claim(claimBy(`two#${n}`))),
      ]);
      expect(
        claims
          .flat()
          .map(({ message }) => message.id)
          .sort(),
      ).toEqual(ids.sort());
    });

    test('a claim tells its lease, and whoever settles by it settles', async () => {
      const { first } = await opened();
      const id = await waiting(first);
      const [claim] = await first.claim(claimBy('one#7'));
      expect(claim?.lease).toBe('one#7');
      expect(await first.settle(settlement(id, 'one#7', 'delayed'))).toMatchObject({ unchanged: [], lost: [] });
      expect(await statesIn(first, id)).toEqual(['delayed']);
    });

    test('what was claimed by a lease is given back alone', async () => {
      const { first } = await opened();
      const ids = [await waiting(first, { to: ['a@x.example'] }), await waiting(first, { to: ['a@y.example'] })];
      await first.claim(claimBy('one#1'));
      await first.claim(claimBy('one#10', 'y.example'));
      expect(await first.giveBack('one#1', NOW + 5)).toBe(1);
      expect(await Promise.all(ids.map((id) => statesIn(first, id)))).toEqual([['queued'], ['active']]);
    });

    test('a settlement by a lease that is lost changes nothing, says so, and stands in the trace', async () => {
      const { first, second, pass } = await opened();
      const id = await waiting(first);
      await first.claim(claimBy('one#1'));
      await pass(DEAD);
      expect(await second.takeBack({ owner: 'two', silence: DEAD, now: NOW })).toBe(1);
      const untold: NewUntold[] = [
        { n: 0, action: 'failed', reply: { code: 550, status: '5.1.1', text: 'No' }, at: NOW, collectUntil: NOW },
      ];
      const late = settlement(id, 'one#1', 'failed', { untold });
      expect(await first.settle(late)).toMatchObject({ unchanged: [0], lost: [0] });
      expect(await statesIn(first, id)).toEqual(['queued']);
      await second.claim(claimBy('two#1'));
      expect(await first.settle(settlement(id, 'one#1', 'delayed'))).toMatchObject({ unchanged: [0], lost: [0] });
      expect(await statesIn(first, id)).toEqual(['active']);
      expect((await first.dueReports({ now: NOW + DAY, limit: 9, perHour: 9 })).due).toEqual([]);
      expect(await second.settle(settlement(id, 'two#1', 'delayed'))).toMatchObject({ unchanged: [], lost: [] });
      expect((await first.get(id))?.recipients[0]?.trace.length).toBeGreaterThan(1);
    });

    test('mail that has left is relayed by whatever lease, and nobody sends it again', async () => {
      const { first, second, pass } = await opened();
      const id = await waiting(first);
      await first.claim(claimBy('one#1'));
      await pass(DEAD);
      await second.takeBack({ owner: 'two', silence: DEAD, now: NOW });
      await second.claim(claimBy('two#1'));
      expect(await first.settle(settlement(id, 'one#1', 'relayed'))).toMatchObject({ unchanged: [], lost: [] });
      expect(await second.settle(settlement(id, 'two#1', 'delayed'))).toMatchObject({ unchanged: [0], lost: [] });
      expect(await statesIn(first, id)).toEqual(['relayed']);
    });

    test('without a lease only what nobody has claimed is settled', async () => {
      const { first } = await opened();
      const id = await waiting(first);
      await first.claim(claimBy('one#1'));
      expect(await first.settle(settlement(id, null, 'delayed'))).toMatchObject({ unchanged: [0] });
      await first.giveBack('one#1', NOW);
      expect(await first.settle(settlement(id, null, 'delayed'))).toMatchObject({ unchanged: [] });
    });
  });

  describe(`${name}: owners`, () => {
    test('who claims lives, and nothing of it is taken', async () => {
      const { first, second } = await opened();
      const id = await waiting(first);
      await first.claim(claimBy('one#1'));
      expect(await second.takeBack({ owner: 'two', silence: DEAD, now: NOW })).toBe(0);
      expect(await statesIn(second, id)).toEqual(['active']);
    });

    test('a sign of life keeps what is claimed, and silence gives it to others', async () => {
      const { first, second, pass } = await opened();
      const ids = [await waiting(first), await waiting(first, { to: ['a@y.example'] })];
      await first.claim(claimBy('one#1'));
      await second.claim(claimBy('three#1', 'y.example'));
      await pass(DEAD);
      expect(await first.beat('one')).toBe(true);
      expect(await second.takeBack({ owner: 'two', silence: DEAD, now: NOW + 5 })).toBe(1);
      expect(await Promise.all(ids.map((id) => statesIn(first, id)))).toEqual([['active'], ['queued']]);
      expect((await first.due(NOW + 5, 9)).due).toEqual([{ destination: 'y.example', nextAttemptAt: NOW + 5 }]);
    });

    test('whoever was found dead hears of it at its next sign of life, once', async () => {
      const { first, second, pass } = await opened();
      await waiting(first);
      await first.claim(claimBy('one#1'));
      await pass(DEAD);
      await second.takeBack({ owner: 'two', silence: DEAD, now: NOW });
      expect([await first.beat('one'), await first.beat('one')]).toEqual([false, true]);
    });

    test('whoever asks is not dead, however long it was silent', async () => {
      const { first, pass } = await opened();
      await waiting(first);
      await first.claim(claimBy('one#1'));
      await pass(DEAD);
      expect(await first.takeBack({ owner: 'one', silence: DEAD, now: NOW })).toBe(0);
    });

    test('a recipient that was tried before is delayed when it is taken back, one that was not is queued', async () => {
      const { first, second, pass } = await opened();
      const tried = await waiting(first);
      await first.claim(claimBy('one#1'));
      await first.settle(settlement(tried, 'one#1', 'delayed'));
      const fresh = await waiting(first);
      await first.claim(claimBy('one#2', 'x.example', NOW + MINUTE));
      await pass(DEAD);
      expect(await second.takeBack({ owner: 'two', silence: DEAD, now: NOW })).toBe(2);
      expect([await statesIn(first, tried), await statesIn(first, fresh)]).toEqual([['delayed'], ['queued']]);
    });
  });

  describe(`${name}: time`, () => {
    test('what has waited longest is due first, and the next time is told', async () => {
      const { first } = await opened();
      await waiting(first, { to: ['a@late.example'], acceptedAt: NOW + 2 });
      await waiting(first, { to: ['a@early.example'] });
      await waiting(first, { to: ['a@future.example'], acceptedAt: NOW + MINUTE });
      const { due, nextAt } = await first.due(NOW + 2, 10);
      expect([due.map(({ destination }) => destination), nextAt]).toEqual([['early.example', 'late.example'], NOW + MINUTE]);
    });

    test('what waits for a time too far ahead is brought back', async () => {
      const { first } = await opened();
      await waiting(first, { acceptedAt: NOW + 100 * DAY });
      expect([await first.thaw(NOW + DAY, NOW), await first.thaw(NOW + DAY, NOW)]).toEqual([1, 0]);
      expect((await first.due(NOW, 10)).due).toHaveLength(1);
    });
  });

  describe(`${name}: what senders must be told`, () => {
    test('each cause is told once, with the report that tells it', async () => {
      const { first, second } = await opened();
      const id = await waiting(first);
      await first.claim(claimBy('one#1'));
      const reply = { code: 550, status: '5.1.1', text: 'No such user' };
      const untold: NewUntold[] = [{ n: 0, action: 'failed', reply, at: NOW, collectUntil: NOW + MINUTE }];
      const failed = settlement(id, 'one#1', 'failed', { untold });
      expect(await first.settle(failed)).toMatchObject({ reportDue: true });
      const { due } = await second.dueReports({ now: NOW + 1000, limit: 9, perHour: 9 });
      expect(due).toMatchObject([{ kind: 'report', message: { id }, untold: [{ n: 0, action: 'failed', reply }] }]);
      const told = { sender: 'alice@example.org', untold: due[0]!.untold, at: NOW + 1000 };
      const report = () => newMessage({ reversePath: '', user: null, about: id });
      const results = [await first.told({ ...told, report: report() }), await second.told({ ...told, report: report() })];
      expect(results).toEqual([true, false]);
      expect(await second.dueReports({ now: NOW + DAY, limit: 9, perHour: 9 })).toEqual({ due: [], nextAt: null });
    });
  });

  describe(`${name}: the trace`, () => {
    test('what has ended is forgotten by age, what waits is not', async () => {
      const { first } = await opened();
      const ended = await waiting(first);
      await first.claim(claimBy('one#1'));
      await first.settle(settlement(ended, 'one#1', 'relayed'));
      const open = await waiting(first);
      expect(await asLeader(first).trimTrace(NOW + DAY, Number.MAX_SAFE_INTEGER)).toBe(1);
      expect([await first.get(ended), (await first.get(open))?.id]).toEqual([undefined, open]);
    });
  });

  describe(`${name}: what changed`, () => {
    const told = (client: Store) => {
      const changes = new Set<Change>();
      client.onChange((more) => {
        for (const change of more) changes.add(change);
      });
      return changes;
    };
    const KEY = {
      domain: 'x.example',
      selector: 's1',
      algorithm: 'ed25519-sha256',
      privateKey: '',
      state: 'active',
      createdAt: 0,
    } as const;
    const LOGIN = { name: 'anna', hash: 'h', senders: ['*'], mailServer: false, limits: null, disabled: false } as const;

    test('is told inside the process before the change resolves, by its kind alone', async () => {
      const { one } = await opened();
      const changes = told(one);
      await one.credentials.add({ ...LOGIN, expiresAt: null, rewrite: null, createdAt: 0 });
      expect([...changes]).toEqual(['credentials']);
      await one.operation.addDkimKeys([KEY]);
      await one.operation.setValue('a', 'b');
      expect([...changes]).toEqual(['credentials', 'keys', 'value:a']);
    });

    test('is told to other processes, and not again to the one that did it', async () => {
      const { one, two } = await opened();
      const [here, there] = [told(one), told(two)];
      await one.operation.addDkimKeys([KEY]);
      here.clear();
      await until(() => there.has('keys'));
      expect([...there]).toEqual(['keys']);
      await two.operation.setValue('a', 'b');
      await until(() => here.size > 0);
      expect([...here]).toEqual(['value:a']);
    });

    test('names the destinations of mail that is due, and says nothing of what a relay does by itself', async () => {
      const { one, first, second } = await opened();
      const here = told(one);
      const message = newMessage({ to: ['a@x.example', 'b@y.example'] });
      await first.accept({ message, claim: { indexes: [0], lease: 'one#1' } });
      await first.claim(claimBy('one#2', 'y.example'));
      await first.settle(settlement(message.id, 'one#1', 'delayed'));
      expect([...here]).toEqual([]);
      await second.retry({ domain: 'x.example' }, NOW);
      await until(() => here.size > 0);
      expect([...here]).toEqual(['queue:x.example']);
      await second.accept({ message: newMessage({ to: ['a@z.example'] }) });
      await until(() => here.has('queue:z.example'));
      await first.hold({ domain: 'z.example' }, NOW);
      expect(here.has('notices')).toBe(true);
    });

    test('is told in few words where it is much', async () => {
      const { one, first } = await opened();
      await first.accept({ message: newMessage({ to: Array.from({ length: 300 }, (_, i) => `a@d${i}.example`) }) });
      const here = told(one);
      await first.retry({ all: true }, NOW);
      expect([...here]).toEqual(['queue:*']);
    });
  });

  describe(`${name}: what domains ask of TLS`, () => {
    const policies = async () => {
      const { one, two } = await opened();
      return [one.tlsPolicies, two.tlsPolicies] as const;
    };
    const due = { now: NOW + DAY, usedAfter: NOW - 30 * DAY, heldAt: NOW + DAY, limit: 9 };

    test('a policy is kept as it was fetched, and another one takes its place as a whole', async () => {
      const [first, second] = await policies();
      await first.putStsPolicy(policy(), 'relay');
      expect(await second.stsPolicy('x.example')).toEqual(policy());
      await second.noteStsFailure({ domain: 'x.example', at: NOW + 1, error: '404', retryAt: NOW + MINUTE, retryId: 'a2' });
      const next = policy({ id: 'a2', mode: 'none', mx: [], text: 'version: STSv1\nmode: none\n' });
      await first.putStsPolicy(next, 'relay');
      expect(await second.stsPolicy('x.example')).toEqual(next);
      expect(await second.stsPolicy('y.example')).toBeUndefined();
      await first.putStsPolicy(policy({ refreshAt: NOW + DAY + 0.25 }), 'relay');
      expect(Math.ceil((await second.stsPolicy('x.example'))!.refreshAt!), 'between two milliseconds').toBe(NOW + DAY + 1);
    });

    test('a fetch that fails changes nothing of the policy, is counted, and says when to try again', async () => {
      const [first, second] = await policies();
      await first.putStsPolicy(policy(), 'relay');
      const failure = { domain: 'x.example', at: NOW + 1, error: 'status 404', retryAt: NOW + 5 * MINUTE, retryId: 'a2' };
      await first.noteStsFailure(failure);
      await second.noteStsFailure({ ...failure, at: NOW + 2, retryAt: NOW + 10 * MINUTE });
      await second.noteStsFailure({ ...failure, domain: 'unknown.example' });
      expect(await first.stsPolicy('x.example')).toEqual(
        policy({
          ...{ failures: 2, failedAt: NOW + 2, lastError: 'status 404', retryAt: NOW + 10 * MINUTE, retryId: 'a2' },
          refreshAt: NOW + 10 * MINUTE,
        }),
      );
      expect(await first.stsPolicy('unknown.example')).toBeUndefined();
    });

    test('policies are due for a refresh in the order of their times, and only while mail asks for them', async () => {
      const [first, second] = await policies();
      await first.putStsPolicy(policy({ domain: 'late.example', refreshAt: NOW + 2 }), 'relay');
      await first.putStsPolicy(policy({ domain: 'early.example', refreshAt: NOW + 1 }), 'relay');
      await first.putStsPolicy(policy({ domain: 'future.example', refreshAt: NOW + 2 * DAY }), 'relay');
      await first.putStsPolicy(policy({ domain: 'unused.example', refreshAt: NOW, usedAt: NOW - 31 * DAY }), 'relay');
      await first.putStsPolicy(policy({ domain: 'ended.example', refreshAt: NOW, expiresAt: NOW + DAY }), 'relay');
      const { due: early, expired } = await second.dueStsPolicies(due);
      expect(early.map(({ domain }) => domain)).toEqual(['early.example', 'late.example']);
      expect(expired).toEqual(['ended.example']);
      expect(await first.stsPolicy('ended.example')).toMatchObject({ refreshAt: null });
      expect(await first.stsPolicy('unused.example')).toMatchObject({ refreshAt: null });
      await second.noteStsUse([
        { domain: 'unused.example', at: NOW + 3 },
        { domain: 'late.example', at: NOW + 3 },
        { domain: 'late.example', at: NOW - 3 },
        { domain: 'gone.example', at: NOW + 3 },
      ]);
      expect(await first.stsPolicy('late.example')).toMatchObject({ usedAt: NOW + 3, refreshAt: NOW + 2 });
      const again = await first.dueStsPolicies(due);
      expect(again.due.map(({ domain }) => domain)).toEqual(['early.example', 'late.example', 'unused.example']);
      expect(again.expired).toEqual([]);
      expect((await first.dueStsPolicies({ ...due, limit: 1 })).due).toHaveLength(1);
    });

    test('policies are listed by domain, and forgotten by name, by age, and where nobody asks', async () => {
      const [first, second] = await policies();
      for (const domain of ['c.example', 'a.example', 'b.example']) await first.putStsPolicy(policy({ domain }), 'relay');
      await first.putStsPolicy(policy({ domain: 'd.example', expiresAt: NOW - 8 * DAY }), 'relay');
      await first.putStsPolicy(policy({ domain: 'e.example', usedAt: NOW - 200 * DAY }), 'relay');
      expect((await second.listStsPolicies('a.example', 2)).map(({ domain }) => domain)).toEqual(['b.example', 'c.example']);
      expect([await second.forgetStsPolicy('a.example'), await first.forgetStsPolicy('a.example')]).toEqual([true, false]);
      const trimmed = await first.trimStsPolicies({ expired: NOW - 7 * DAY, unused: NOW - 180 * DAY });
      expect([...trimmed].sort()).toEqual(['d.example', 'e.example']);
      expect((await second.listStsPolicies('', 9)).map(({ domain }) => domain)).toEqual(['b.example', 'c.example']);
    });

    test('what is valid is counted by mode, and what cannot be refreshed for long', async () => {
      const [first] = await policies();
      const age = 3 * DAY;
      const failing = { failures: 1, fetchedAt: NOW - 4 * DAY, expiresAt: NOW + 26 * DAY };
      await first.putStsPolicy(policy({ domain: 'a.example' }), 'relay');
      await first.putStsPolicy(policy({ domain: 'b.example', mode: 'testing', ...failing }), 'relay');
      await first.putStsPolicy(policy({ domain: 'c.example', mode: 'none', ...failing }), 'relay');
      await first.putStsPolicy(policy({ domain: 'd.example', ...failing, fetchedAt: NOW - 2 * DAY }), 'relay');
      await first.putStsPolicy(
        policy({ domain: 'e.example', ...failing, fetchedAt: NOW - 2 * DAY, expiresAt: NOW + DAY }),
        'relay',
      );
      await first.putStsPolicy(policy({ domain: 'f.example', ...failing, expiresAt: NOW }), 'relay');
      expect(await first.countStsPolicies({ now: NOW, age })).toEqual({
        modes: { enforce: 3, testing: 1, none: 1 },
        overdue: 2,
      });
    });

    test('a policy that an operator fetched or forgot is told to all that remember one, what a relay fetches to nobody', async () => {
      const { one, two } = await opened();
      const there = new Set<Change>();
      two.onChange((changes) => {
        for (const change of changes) there.add(change);
      });
      await one.tlsPolicies.putStsPolicy(policy(), 'operator');
      await until(() => there.size > 0);
      expect([...there]).toEqual(['policies']);
      there.clear();
      await one.tlsPolicies.putStsPolicy(policy({ fetchedAt: NOW + DAY, expiresAt: NOW + 8 * DAY }), 'relay');
      await one.operation.setValue('after', 'it');
      await until(() => there.size > 0);
      expect([...there]).toEqual(['value:after']);
      there.clear();
      await one.tlsPolicies.forgetStsPolicy('x.example');
      await until(() => there.size > 0);
      expect([...there]).toEqual(['policies']);
    });
  });

  test(`${name}: what a message asks of TLS stays with it, and what an attempt's connection was worth with the attempt`, async () => {
    const { first, second } = await opened();
    const flags = { requireTls: true, tlsOptional: true, tlsReport: true } as const;
    for (const flag of ['requireTls', 'tlsOptional', 'tlsReport'] as const) {
      const id = await waiting(first, { [flag]: true });
      const { recipients: _, ...facts } = (await second.get(id))!;
      expect(Object.keys(facts).filter((name) => name in flags)).toEqual([flag]);
    }
    const id = await waiting(first, flags);
    const claims = await second.claim(claimBy('two#1'));
    expect(claims.find(({ message }) => message.id === id)?.message).toMatchObject(flags);
    const judged = { class: 'greylist', action: 'retry', provider: 'gmx', phase: 'rcpt', rules: '7' };
    const worth = { assurance: 'sts', proof: 'issued by CN=root', policyId: '20261128', judged };
    const change = { n: 0, state: 'delayed', nextAttemptAt: NOW, attempt: { ...delayedAttempt, ...worth } } as const;
    await second.settle(settlement(id, 'two#1', 'delayed', { changes: [change] }));
    expect((await first.get(id))?.recipients[0]?.trace[0]).toMatchObject(worth);
  });

  describe(`${name}: values and leases of work`, () => {
    test('a value that is kept once is the same for all', async () => {
      const { one, two } = await opened();
      const all = await Promise.all(
        Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? one : two).operation.keepValue('secret', `draw ${i}`)),
      );
      expect(new Set(all).size).toBe(1);
      expect(await two.operation.value('secret')).toBe(all[0]);
    });

    test('a lease of work goes to one, until it is over or given back', async () => {
      const { one, two } = await opened();
      const a = one.operation;
      const b = two.operation;
      const asked = await Promise.all(
        Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? a : b).takeLease('work', `worker ${i}`, 1000, 0)),
      );
      expect(asked.filter(Boolean)).toHaveLength(1);
      expect(await b.takeLease('work', 'late', 3000, 1000)).toBe(true);
      expect(await a.takeLease('work', 'late', 0, 2000)).toBe(true);
      expect(await a.takeLease('work', 'other', 3000, 2000)).toBe(true);
    });

    test('a process that stood still while another took its lease changes nothing any more', async () => {
      const { one, two } = await opened();
      const message = newMessage();
      await one.messages.accept({ message });
      await one.messages.remove({ ids: [message.id] }, NOW);
      const names = { domain: 'led.example', selector: 's', algorithm: 'rsa-sha256', privateKey: '' } as const;
      const key = { ...names, state: 'retiring', createdAt: NOW } as const;
      await one.operation.addDkimKeys([key]);
      const led = one.underLease({ name: 'work', owner: 'first' });
      await expect(led.operation.setValue('done', 'early')).rejects.toMatchObject({ code: 'ELEASE' });
      expect(await one.operation.takeLease('work', 'first', NOW + MINUTE, NOW)).toBe(true);
      await led.operation.setValue('done', 'first');
      expect(await two.operation.takeLease('work', 'second', NOW + 3 * MINUTE, NOW + 2 * MINUTE)).toBe(true);
      await two.underLease({ name: 'work', owner: 'second' }).operation.setValue('done', 'second');
      const certificate = { keyType: 'rsa', certificate: 'late', key: 'late', source: 'acme', createdAt: NOW } as const;
      const late: readonly (() => Promise<unknown>)[] = [
        () => led.operation.setValue('done', 'late'),
        () => one.operation.underLease({ name: 'work', owner: 'first' }).setValue('done', 'late'),
        () => led.operation.removeDkimKey(key),
        () => led.operation.putCertificate(certificate),
        () => led.messages.trimTrace(NOW + DAY, 0),
        () => led.messages.reroute({ all: true }, NOW, () => 'elsewhere'),
      ];
      const waiting = newMessage();
      await one.messages.accept({ message: waiting });
      for (const change of late) await expect(change()).rejects.toMatchObject({ code: 'ELEASE' });
      expect(await led.operation.value('done')).toBe('second');
      expect(await two.operation.dkimKeys('led.example')).toHaveLength(1);
      expect((await two.operation.certificates()).map((stored) => stored.certificate)).not.toContain('late');
      expect(await two.messages.get(message.id)).toBeDefined();
      expect((await two.messages.due(NOW, 9)).due).toMatchObject([{ destination: 'example.net' }]);
      await one.operation.setValue('done', 'by anybody');
      expect(await two.operation.value('done')).toBe('by anybody');
    });
  });
}
