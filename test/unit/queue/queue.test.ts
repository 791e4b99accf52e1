import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Report } from '../../../src/queue/queue.ts';
import type { Outcome } from '../../../src/smtp/outcome.ts';
import type { Claim } from '../../../src/store/store.ts';
import { DAY, HOUR, MINUTE } from '../../../src/system/clock.ts';
import { createMemoryStore, type MemoryStore } from '../../support/memory-store.ts';
import {
  delayed,
  failed,
  gate,
  message,
  type Rig,
  recipient,
  relayed,
  SCHEDULE,
  startRig,
  uncertain,
} from '../../support/queue-rig.ts';

let rig: Rig<MemoryStore>;
afterEach(() => rig.queue.close(0));

const stateOf = async (id: string) => (await rig.store.get(id))!.recipients.map(({ state }) => state);

describe('direct delivery', () => {
  test('reads nothing back: one accept, one settle, no claim', async () => {
    rig = startRig();
    const mail = message([recipient('b@example.org')]);
    expect(await rig.queue.add({ message: mail })).toEqual({ accepted: true, id: mail.id, held: false, use: [] });
    await rig.logged('relayed');
    expect(rig.store.calls).toMatchObject({ accept: 1, settle: 1, claim: 0 });
    expect(await stateOf(mail.id)).toEqual(['relayed']);
    expect(rig.events.at(-1)).toMatchObject({
      event: 'relayed',
      fields: { queueId: mail.id, recipient: 'b@example.org', mx: 'mx.example.org', code: 250, status: '2.0.0', attempt: 1 },
    });
  });

  test('add resolves when the message is synced, while delivery goes on', async () => {
    const { promise, open } = gate<readonly Outcome[]>();
    rig = startRig({ deliver: () => promise });
    await rig.queue.add({ message: message([recipient('b@example.org')]) });
    expect(rig.store.calls.settle).toBe(0);
    open([relayed]);
    await rig.logged('relayed');
  });

  test('bytes count as being stored until the store has answered, whatever it says', async () => {
    rig = startRig();
    const mail = message([recipient('b@example.org')]);
    const adding = rig.queue.add({ message: mail });
    expect(rig.queue.storing()).toBeGreaterThan(mail.size);
    await adding;
    expect(rig.queue.storing()).toBe(0);
    rig.store.failWith('accept', () => new Error('disk'));
    await expect(rig.queue.add({ message: message([recipient('b@example.org')]) })).rejects.toThrow('disk');
    expect(rig.queue.storing()).toBe(0);
  });

  test('gives each destination its own claim with the content that came back, 50 recipients at most', async () => {
    rig = startRig();
    const many = Array.from({ length: 120 }, (_, i) => recipient(`u${i}@example.org`));
    await rig.queue.add({ message: message([recipient('x@example.com'), ...many]) });
    await rig.logged('relayed', 121);
    const sizes = rig.claims.map(({ recipients }) => `${recipients[0]!.destination} ${recipients.length}`);
    expect(sizes).toEqual(['example.com 1', 'example.org 50', 'example.org 50', 'example.org 20']);
    const bytes = rig.claims.map(({ content }) => (content.kind === 'inline' ? content.bytes.length : 0));
    expect(bytes.every((length) => length > 0)).toBe(true);
    expect(rig.claims.flatMap(({ recipients }) => recipients.map(({ n }) => n)).sort((a, b) => a - b)).toEqual([
      ...Array(121).keys(),
    ]);
  });

  test('a held message is not delivered, and each recipient is logged', async () => {
    rig = startRig();
    rig.store.holdNext = true;
    const mail = message([recipient('b@example.org')]);
    expect(await rig.queue.add({ message: mail })).toMatchObject({ accepted: true, held: true });
    expect(await stateOf(mail.id)).toEqual(['held']);
    expect(rig.of('held')).toHaveLength(1);
    expect(rig.claims).toHaveLength(0);
  });

  test('rejects when the store fails, and keeps no room for it', async () => {
    rig = startRig({ limit: 1 });
    let broken = true;
    rig.store.failWith('accept', () => (broken ? new Error('disk') : undefined));
    await expect(rig.queue.add({ message: message([recipient('b@example.org')]) })).rejects.toThrow('disk');
    broken = false;
    await rig.queue.add({ message: message([recipient('b@example.org')]) });
    await rig.logged('relayed');
    expect(rig.store.calls.claim).toBe(0);
  });

  test('promises no more attempts than a destination takes while the store answers', async () => {
    rig = startRig({ limit: 2 });
    const all = Array.from({ length: 10 }, () => rig.queue.add({ message: message([recipient('b@example.org')]) }));
    await Promise.all(all);
    const active = (await rig.store.list({})).flatMap(({ recipients }) => recipients.filter(({ state }) => state === 'active'));
    expect(active.length).toBeLessThanOrEqual(2);
    await rig.logged('relayed', 10); // the others come from the store
  });

  test('a body that does not fit in memory waits in the store, and is delivered from there', async () => {
    const { promise, open } = gate();
    rig = startRig({
      memory: 10 * 1024 * 1024,
      deliver: async ({ recipients }) => {
        await promise;
        return recipients.map(() => relayed);
      },
    });
    const big = () => ({ kind: 'inline', bytes: new Uint8Array(600 * 1024) }) as const;
    for (let i = 0; i < 4; i++) await rig.queue.add({ message: message([recipient('b@example.org')], { content: big() }) });
    expect(rig.store.claimedAtOnce).toEqual([1, 1, 0, 0]); // an eighth of what is free
    open();
    await rig.logged('relayed', 4);
  });

  test('a spooled body counts by the part of it that its transfer holds in memory', async () => {
    const { promise, open } = gate();
    rig = startRig({
      memory: 2 * 1024 * 1024,
      deliver: async ({ recipients }) => {
        await promise;
        return recipients.map(() => relayed);
      },
    });
    const spool = { name: 's', size: 150e6, read: async function* () {} };
    const content = { kind: 'spooled', prefix: new Uint8Array(100), spool } as const;
    const everywhere = Array.from({ length: 30 }, (_, i) => recipient(`b@dest${i}.example`));
    await rig.queue.add({ message: message(everywhere, { content, size: 150e6 }) });
    expect(rig.store.claimedAtOnce).toEqual([7]); // two chunks each: one that is read, one on its way out
    open();
    await rig.logged('relayed', 30);
  });
});

describe('outcomes per recipient', () => {
  test('each gets its own line, and all of one claim are one settlement', async () => {
    rig = startRig({ deliver: async () => [relayed, delayed, failed, uncertain] });
    const mail = message(['a', 'b', 'c', 'd'].map((name) => recipient(`${name}@example.org`)));
    await rig.queue.add({ message: mail });
    await rig.logged('delayed', 2);
    expect(rig.events.map(({ event, fields }) => [event, fields['recipient'], fields['uncertain']])).toEqual([
      ['relayed', 'a@example.org', undefined],
      ['delayed', 'b@example.org', undefined],
      ['failed', 'c@example.org', undefined],
      ['delayed', 'd@example.org', true],
    ]);
    expect(rig.store.calls.settle).toBe(1);
    expect(await stateOf(mail.id)).toEqual(['relayed', 'delayed', 'failed', 'uncertain']);
  });

  test('the duty to report is stored with the change that causes it; the report is logged and delivered', async () => {
    const report = {
      ...message([recipient('a@example.net')], { reversePath: '', user: null, about: 'x' }),
      action: 'failed',
    } as Report;
    rig = startRig({
      deliver: async ({ message: { reversePath } }) => [reversePath === '' ? relayed : failed],
      report: async () => [report],
    });
    await rig.queue.add({ message: message([recipient('b@example.org')]) });
    await rig.logged('relayed');
    expect(rig.store.settlements[0]).toMatchObject({ changes: [{ state: 'failed' }], untold: [{ n: 0, action: 'failed' }] });
    expect(rig.store.toldReports.map(({ id }) => id)).toEqual([report.id]);
    expect(rig.store.untold).toEqual([]);
    expect(rig.events.map(({ event }) => event)).toEqual(['failed', 'reported', 'relayed']);
    expect(rig.of('reported')[0]!.fields).toEqual({ queueId: report.id, about: rig.claims[0]!.message.id, action: 'failed' });
  });

  test('the reporter gets the message with its content', async () => {
    const seen: unknown[] = [];
    rig = startRig({
      deliver: async () => [failed],
      report: async (about, changes) => {
        seen.push(
          about.content?.kind,
          about.reversePath,
          changes.map(({ action }) => action),
        );
        return [];
      },
    });
    await rig.queue.add({ message: message([recipient('b@example.org')]) });
    await vi.waitFor(() => expect(rig.store.calls.told).toBe(1));
    expect(seen).toEqual(['inline', 'a@example.net', ['failed']]);
  });

  test('the report of a delay says until when delivery is tried', async () => {
    const told: unknown[] = [];
    rig = startRig({
      deliver: async () => [delayed],
      report: async (_, changes) => {
        told.push(...changes.map(({ action, willRetryUntil }) => [action, willRetryUntil]));
        return [];
      },
    });
    const mail = message([recipient('b@example.org')], { acceptedAt: Date.now() - 5 * HOUR });
    await rig.queue.add({ message: mail });
    await vi.waitFor(() => expect(told).toEqual([['delayed', mail.expiresAt]]));
  });

  test('a report that cannot be written now is written later, and the recipient is not tried again for it', async () => {
    let broken = true;
    let at = Date.now();
    const report = { ...message([recipient('a@example.net')], { reversePath: '', user: null }), action: 'failed' } as Report;
    rig = startRig({
      deliver: async ({ message: { reversePath } }) => [reversePath === '' ? relayed : failed],
      now: () => at,
      report: async () => {
        if (broken) throw new Error('no key');
        return [report];
      },
    });
    const mail = message([recipient('b@example.org')]);
    await rig.queue.add({ message: mail });
    await rig.logged('reportFailed');
    expect(await stateOf(mail.id)).toEqual(['failed']);
    expect(rig.store.untold).toHaveLength(1);
    broken = false;
    at += 5 * MINUTE;
    rig.queue.wake();
    await rig.logged('reported');
    expect(rig.claims.filter(({ message: { id } }) => id === mail.id)).toHaveLength(1);
    expect(rig.of('reportFailed')).toHaveLength(1);
  });

  test('a report that could not be written is given up, with a line in the log, a day after the end of its message', async () => {
    let at = Date.now();
    rig = startRig({
      deliver: async () => [failed],
      now: () => at,
      report: async () => {
        throw new Error('no key');
      },
    });
    await rig.queue.add({ message: message([recipient('b@example.org')]) });
    await rig.logged('reportFailed');
    at += SCHEDULE.lifetime + SCHEDULE.reportLifetime + MINUTE;
    rig.queue.wake();
    await rig.logged('reportFailed', 2);
    expect(rig.of('reportFailed').map(({ fields }) => fields['givenUp'])).toEqual([false, true]);
    await vi.waitFor(() => expect(rig.store.untold).toEqual([]));
  });

  test('there is no report to the null reverse-path, and the log says so; nor one that the sender did not ask for', async () => {
    rig = startRig({ deliver: async ({ recipients }) => recipients.map(() => failed) });
    await rig.queue.add({ message: message([recipient('b@example.org')], { reversePath: '' }) });
    await rig.queue.add({ message: message([recipient('c@example.org', { notify: ['NEVER'] })]) });
    await rig.logged('failed', 2);
    expect(rig.of('notReported')).toHaveLength(1);
    expect(rig.store.settlements.flatMap(({ untold = [] }) => untold)).toEqual([]);
  });

  test('a delivery function that rejects loses no mail, and its attempts do not end mail', async () => {
    rig = startRig({
      deliver: async () => {
        throw new Error('bug');
      },
    });
    const mail = message([recipient('b@example.org')]);
    await rig.queue.add({ message: mail });
    await rig.logged('delayed');
    expect(rig.of('deliveryBroken')).toHaveLength(1);
    expect(rig.of('delayed')[0]!.fields).toMatchObject({ code: 451, status: '4.3.0' });
    expect(rig.store.settlements.flatMap(({ changes }) => changes)).toMatchObject([{ state: 'delayed', excused: true }]);
  });
});

describe('a store that fails', () => {
  test('a settlement is repeated until it holds; nothing is delivered twice and the log waits for it', async () => {
    rig = startRig();
    let failures = 3;
    rig.store.failWith('settle', () => (failures-- > 0 ? new Error('disk full') : undefined));
    const mail = message([recipient('b@example.org')]);
    await rig.queue.add({ message: mail });
    await rig.logged('settleFailed');
    expect(rig.of('relayed')).toHaveLength(0);
    await rig.logged('relayed');
    expect(rig.store.calls.settle).toBe(4);
    expect(rig.of('settleFailed')).toHaveLength(1); // a full disk does not fill the log
    expect(rig.claims).toHaveLength(1);
    expect(await stateOf(mail.id)).toEqual(['relayed']);
  });

  test('at shutdown it is given up with a line in the log, and the next start tries again', async () => {
    const store = createMemoryStore();
    rig = startRig({ store });
    let broken = true;
    store.failWith('settle', () => (broken ? new Error('disk full') : undefined));
    const mail = message([recipient('b@example.org')]);
    await rig.queue.add({ message: mail });
    await rig.logged('settleFailed');
    await rig.queue.close(50);
    expect(rig.of('settleAbandoned')[0]!.fields).toMatchObject({ queueId: mail.id });
    expect(await stateOf(mail.id)).toEqual(['active']);
    broken = false;
    store.bury();
    rig = startRig({ store, owner: 'next' });
    await rig.logged('relayed');
    expect(rig.of('takenBack')[0]!.fields).toEqual({ recipients: 1 });
  });

  test('a failing claim is logged and asked again', async () => {
    rig = startRig();
    let failures = 1;
    rig.store.failWith('claim', () => (failures-- > 0 ? new Error('busy') : undefined));
    rig.blocked.set('example.org', undefined);
    await rig.queue.add({ message: message([recipient('b@example.org')]) });
    rig.free('example.org');
    await rig.logged('storeFailed');
    await rig.logged('relayed');
  });

  test('leases are taken back once the store answers', async () => {
    const store = createMemoryStore();
    await store.accept({ message: message([recipient('b@example.org')]), claim: { indexes: [0], lease: 'dead#1' } });
    store.bury();
    let failures = 1;
    store.failWith('takeBack', () => (failures-- > 0 ? new Error('busy') : undefined));
    rig = startRig({ store });
    await rig.logged('relayed');
    expect(rig.of('takenBack')).toHaveLength(1);
  });
});

describe('close', () => {
  test('an attempt before its final dot is given back, due at once, and not counted', async () => {
    rig = startRig({
      deliver: (claim: Claim, signal) =>
        new Promise((resolve) => {
          const reply = { code: 451, status: '4.3.2', text: 'closing' };
          signal.addEventListener('abort', () => resolve(claim.recipients.map(() => ({ kind: 'returned', reply, seconds: 0 }))));
        }),
    });
    const mail = message([recipient('b@example.org')]);
    await rig.queue.add({ message: mail });
    await rig.queue.close(10_000);
    expect((await rig.store.get(mail.id))!.recipients[0]).toMatchObject({ state: 'queued', attempts: 0 });
    expect(rig.events).toEqual([]);
  });

  test('a reply to the final dot is waited for', async () => {
    const { promise, open } = gate<readonly Outcome[]>();
    rig = startRig({ deliver: () => promise });
    const mail = message([recipient('b@example.org')]);
    await rig.queue.add({ message: mail });
    const closed = rig.queue.close(10_000);
    open([relayed]);
    await closed;
    expect(await stateOf(mail.id)).toEqual(['relayed']);
  });

  test('a reply that does not come in time means uncertain', async () => {
    rig = startRig({ deliver: () => new Promise(() => {}) });
    const mail = message([recipient('b@example.org')]);
    await rig.queue.add({ message: mail });
    await rig.queue.close(20);
    expect((await rig.store.get(mail.id))!.recipients[0]).toMatchObject({ state: 'uncertain', attempts: 1 });
    expect(rig.of('delayed')[0]!.fields['uncertain']).toBe(true);
  });

  test('a message that is being stored is given back, not delivered', async () => {
    rig = startRig();
    const mail = message([recipient('b@example.org')]);
    const added = rig.queue.add({ message: mail });
    await rig.queue.close(10_000);
    expect((await added).accepted).toBe(true);
    expect(rig.claims).toHaveLength(0);
    expect(await stateOf(mail.id)).toEqual(['queued']);
  });

  test('a message added afterwards is stored and left to the next start', async () => {
    rig = startRig();
    await rig.queue.close(10);
    const mail = message([recipient('b@example.org')]);
    await rig.queue.add({ message: mail });
    expect(await stateOf(mail.id)).toEqual(['queued']);
    expect(rig.claims).toHaveLength(0);
  });
});

describe('the clock', () => {
  test('mail that a wrong clock put far ahead is tried at once', async () => {
    const store = createMemoryStore();
    const now = Date.now();
    await store.accept({ message: message([recipient('b@example.org')], { acceptedAt: now + 365 * DAY }) });
    rig = startRig({ store });
    await rig.logged('relayed');
    expect(rig.of('clockCorrected')[0]!.fields).toEqual({ recipients: 1 });
  });

  test('a jump back while running is noticed at the next look', async () => {
    let now = Date.now();
    let outcome: Outcome = delayed;
    rig = startRig({ now: () => now, deliver: async () => [outcome] });
    await rig.queue.add({ message: message([recipient('b@example.org')], { acceptedAt: now }) });
    await rig.logged('delayed');
    outcome = relayed;
    now -= 365 * DAY;
    rig.queue.wake();
    await rig.logged('relayed');
    expect(rig.of('clockJumped')[0]!.fields).toEqual({ seconds: (-365 * DAY) / 1000 });
  });

  test('a jump of a month ahead costs no message its chances: it expires after several attempts, or hours in which its destination failed', async () => {
    let now = Date.now();
    let outcome: Outcome = delayed;
    rig = startRig({ now: () => now, deliver: async () => [outcome] });
    const last = message([recipient('b@example.org')], { acceptedAt: now });
    const lucky = message([recipient('c@example.com')], { acceptedAt: now });
    await rig.queue.add({ message: last });
    await rig.queue.add({ message: lucky });
    await rig.logged('delayed', 2);
    now += 30 * DAY;
    outcome = delayed;
    rig.queue.wake();
    await rig.logged('delayed', 4);
    for (let i = 0; i < 3; i++) {
      now += 2 * HOUR;
      rig.queue.wake();
      await rig.logged(i < 2 ? 'delayed' : 'expired', i < 2 ? 6 + 2 * i : 2);
    }
    expect(rig.claims).toHaveLength(10);
  });

  test('nextAttemptAt of the log is what the schedule says', async () => {
    const now = Date.UTC(2026, 10, 21);
    rig = startRig({ now: () => now, deliver: async () => [delayed] });
    await rig.queue.add({ message: message([recipient('b@example.org')], { acceptedAt: now }) });
    await rig.logged('delayed');
    expect(rig.of('delayed')[0]!.fields['nextAttemptAt']).toBe(new Date(now + 5 * MINUTE).toISOString());
    expect(HOUR).toBe(60 * MINUTE);
  });
});
