/** Which policy holds for a domain, whatever its DNS, its host, our clock and our store do. RFC 8461 §3.3, §5, §10 */
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import type { StoredStsPolicy, TlsPolicyStore } from '../../../src/store/store.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../../src/system/clock.ts';
import { data, inEnglish } from '../../../src/system/phrase.ts';
import { createMemoryTlsPolicies } from '../../support/memory-tls-policies.ts';
import { createStsRig, policyText, START } from '../../support/sts-rig.ts';

const ENFORCE = policyText('enforce');
const TESTING = policyText('testing');
const FAILED = { type: 'sts-policy-fetch-error', why: data('mta-sts.x.example answers with status 404') } as const;
const WEEK = 7 * DAY;

/** A rig that holds an enforced policy of x.example with the id `a1`. */
async function held(given: Parameters<typeof createStsRig>[0] = {}) {
  const rig = createStsRig(given);
  rig.announce('x.example', 'a1', ENFORCE);
  await rig.keeper.policyFor('x.example');
  rig.events.length = 0;
  rig.fetched.length = 0;
  return rig;
}

describe('the first mail to a domain', () => {
  test('finds the policy that the domain announces, keeps it, and tells of it', async () => {
    const rig = createStsRig();
    rig.announce('x.example', 'a1', ENFORCE);
    const policy = { domain: 'x.example', id: 'a1', mode: 'enforce', maxAge: 604_800, mx: ['mx.x.example'], text: ENFORCE };
    expect(await rig.keeper.policyFor('x.example')).toMatchObject({
      policy: { ...policy, fetchedAt: START, expiresAt: START + WEEK },
    });
    expect(await rig.store.stsPolicy('x.example')).toMatchObject({
      ...policy,
      usedAt: START,
      refreshAt: START + DAY,
      failures: 0,
    });
    expect(rig.events).toMatchObject([
      { event: 'stsPolicy', fields: { action: 'fetched', domain: 'x.example', mode: 'enforce' } },
    ]);
  });

  test.each([
    ['no record', undefined, {}],
    ['two records', { kind: 'found', values: ['v=STSv1; id=1;', 'v=STSv1; id=2;'] }, {}],
    ['a malformed record', 'v=STSv1; id=2026-01-01;', {}],
    ['a look-up that fails', { kind: 'temporary', why: data('SERVFAIL') }, { isUnknown: true }],
  ] as const)('goes without a policy where there is %s, and nobody is asked for one', async (_, record, known) => {
    const rig = createStsRig();
    rig.files.set('x.example', ENFORCE);
    if (record !== undefined) rig.records.set('x.example', record);
    expect(await rig.keeper.policyFor('x.example')).toEqual(known);
    expect(rig.fetched).toEqual([]);
  });

  test('goes without a policy where its host fails, and says why', async () => {
    const rig = createStsRig();
    rig.announce('x.example', 'a1', FAILED);
    expect(await rig.keeper.policyFor('x.example')).toEqual({ problem: FAILED });
    expect(rig.events).toMatchObject([
      { level: 'warn', fields: { action: 'failed', result: FAILED.type, detail: inEnglish(FAILED.why) } },
    ]);
  });

  test('waits ten seconds at most; the fetch goes on, and the next mail has the policy', async () => {
    vi.useFakeTimers();
    try {
      const rig = createStsRig();
      rig.announce('x.example', 'a1', ENFORCE);
      let open = () => {};
      rig.gate = new Promise((resolve) => (open = resolve));
      const first = rig.keeper.policyFor('x.example');
      await vi.advanceTimersByTimeAsync(9 * SECOND);
      rig.pass(9 * SECOND);
      const second = rig.keeper.policyFor('x.example');
      await vi.advanceTimersByTimeAsync(SECOND);
      expect(await Promise.all([first, second])).toEqual([{ isUnknown: true }, { isUnknown: true }]); // the second waited one second
      rig.pass(SECOND);
      expect(await rig.keeper.policyFor('x.example')).toEqual({ isUnknown: true });
      open();
      await vi.advanceTimersByTimeAsync(0);
      expect(await rig.keeper.policyFor('x.example')).toMatchObject({ policy: { id: 'a1' } });
      expect(rig.fetched).toEqual(['x.example']);
    } finally {
      vi.useRealTimers();
    }
  });

  test('of many that come at once begins one fetch', async () => {
    const rig = createStsRig();
    rig.announce('x.example', 'a1', ENFORCE);
    const all = await Promise.all(Array.from({ length: 50 }, () => rig.keeper.policyFor('x.example')));
    expect(all.every(({ policy }) => policy?.id === 'a1')).toBe(true);
    expect(rig.fetched).toEqual(['x.example']);
  });

  test('is written as it may be: capitals, a final dot and Unicode are the same domain, a literal has no policy', async () => {
    const rig = createStsRig();
    rig.announce('xn--bcher-kva.example', 'a1', ENFORCE);
    for (const name of ['Bücher.example', 'XN--BCHER-KVA.Example.', 'xn--bcher-kva.example'])
      expect(await rig.keeper.policyFor(name)).toMatchObject({ policy: { domain: 'xn--bcher-kva.example' } });
    expect(rig.fetched).toEqual(['xn--bcher-kva.example']);
    expect(await rig.keeper.policyFor('[192.0.2.1]')).toEqual({});
  });

  test('never learns a policy from a parent domain', async () => {
    const rig = createStsRig();
    rig.announce('x.example', 'a1', ENFORCE);
    expect(await rig.keeper.policyFor('sub.x.example')).toEqual({});
  });

  test('to more domains at once than are fetched at once is served in turn, and mail beyond goes without', async () => {
    const rig = createStsRig();
    let open = () => {};
    rig.gate = new Promise((resolve) => (open = resolve));
    const domains = Array.from({ length: 600 }, (_, i) => `d${i}.example`);
    for (const domain of domains) rig.announce(domain, 'a1', ENFORCE);
    const all = domains.map((domain) => rig.keeper.policyFor(domain));
    expect(await all.at(-1)).toEqual({ isUnknown: true });
    expect(rig.fetched).toHaveLength(32);
    open();
    const known = await Promise.all(all);
    expect(known.filter(({ policy }) => policy !== undefined)).toHaveLength(532);
    expect(await rig.keeper.policyFor('d599.example')).toMatchObject({ policy: { id: 'a1' } });
  });

  test('to many domains of one owner whose hosts are slow keeps no other domain from its policy', async () => {
    const rig = createStsRig();
    let open = () => {};
    rig.gate = new Promise((resolve) => (open = resolve));
    const slow = Array.from({ length: 600 }, (_, i) => `d${i}.slow.example`);
    for (const domain of [...slow, 'other.example']) rig.announce(domain, 'a1', ENFORCE);
    const all = slow.map((domain) => rig.keeper.policyFor(domain));
    await new Promise(setImmediate);
    const other = rig.keeper.policyFor('other.example');
    await vi.waitFor(() => expect(rig.fetched).toContain('other.example'));
    expect(rig.fetched).toHaveLength(17);
    open();
    expect(await other).toMatchObject({ policy: { id: 'a1' } });
    await Promise.all(all);
  });
});

describe('a policy that was fetched', () => {
  test.each([
    ['no record', undefined],
    ['two records', { kind: 'found', values: ['v=STSv1; id=1;', 'v=STSv1; id=2;'] }],
    ['a look-up that fails', { kind: 'temporary', why: data('SERVFAIL') }],
    ['a new id, and a host that fails', 'v=STSv1; id=a2;'],
  ] as const)('holds until it expires where there is %s', async (_, record) => {
    const rig = await held();
    rig.files.set('x.example', FAILED);
    if (record === undefined) rig.records.delete('x.example');
    else rig.records.set('x.example', record);
    for (const pause of [0, HOUR, WEEK - HOUR - 1]) {
      rig.pass(pause);
      expect((await rig.keeper.policyFor('x.example')).policy).toMatchObject({ id: 'a1', mode: 'enforce' });
    }
    rig.pass(1);
    expect((await rig.keeper.policyFor('x.example')).policy).toBeUndefined();
  });

  test('holds over a restart, and costs no fetch', async () => {
    const rig = await held();
    rig.restart();
    expect(await rig.keeper.policyFor('x.example')).toMatchObject({ policy: { id: 'a1', text: ENFORCE } });
    expect(rig.fetched).toEqual([]);
  });

  test('is replaced when the id changes, and the log has both', async () => {
    const rig = await held();
    rig.announce('x.example', 'a2', policyText('testing', { mx: ['mx2.x.example'] }));
    expect(await rig.keeper.policyFor('x.example')).toMatchObject({ policy: { id: 'a2', mode: 'testing' } });
    const changed = { action: 'changed', oldMode: 'enforce', oldMx: ['mx.x.example'], mode: 'testing', mx: ['mx2.x.example'] };
    expect(rig.events).toMatchObject([{ fields: changed }]);
    expect(await rig.store.stsPolicy('x.example')).toMatchObject({ id: 'a2', mode: 'testing' });
  });

  test('is never prolonged by its id alone', async () => {
    const rig = await held();
    rig.pass(6 * DAY);
    expect(await rig.keeper.policyFor('x.example')).toMatchObject({ policy: { expiresAt: START + WEEK } });
    rig.pass(DAY);
    expect(await rig.keeper.policyFor('x.example')).toMatchObject({ policy: { expiresAt: START + 2 * WEEK } });
    expect(rig.fetched).toEqual(['x.example']);
  });

  test('with no age at all holds for a minute, so that it serves this delivery', async () => {
    const rig = createStsRig();
    rig.announce('x.example', 'a1', policyText('enforce', { maxAge: 0 }));
    expect(await rig.keeper.policyFor('x.example')).toMatchObject({ policy: { expiresAt: START + MINUTE } });
    expect(await rig.store.stsPolicy('x.example')).toMatchObject({ refreshAt: null });
  });

  test('that another process of the relay has fetched is forgotten here when an operator changes it', async () => {
    const rig = await held();
    await rig.store.forgetStsPolicy('x.example');
    rig.records.delete('x.example');
    expect((await rig.keeper.policyFor('x.example')).policy).toBeDefined();
    rig.keeper.forget();
    expect(await rig.keeper.policyFor('x.example')).toEqual({});
  });

  test('is noted as used once an hour, behind the mail', async () => {
    const rig = await held();
    const noted: unknown[] = [];
    const store = rig.store as { -readonly [K in keyof TlsPolicyStore]: TlsPolicyStore[K] };
    store.noteStsUse = async (uses) => void noted.push(...uses);
    for (let i = 0; i < 10; i++) await rig.keeper.policyFor('x.example');
    expect(noted).toEqual([]);
    await rig.keeper.save();
    await rig.keeper.policyFor('x.example');
    await rig.keeper.save();
    expect(noted).toEqual([{ domain: 'x.example', at: START }]);
    rig.pass(HOUR);
    await rig.keeper.policyFor('x.example');
    await rig.keeper.save();
    expect(noted).toHaveLength(2);
  });
});

describe('a fetch that failed', () => {
  test('is not repeated for five minutes, then for twice as long each time, to an hour', async () => {
    const rig = createStsRig();
    rig.announce('x.example', 'a1', FAILED);
    const pauses: number[] = [];
    let last = START;
    for (let at = START; at < START + 4 * HOUR; at += MINUTE) {
      rig.now = at;
      const before = rig.fetched.length;
      expect(await rig.keeper.policyFor('x.example')).toEqual({ problem: FAILED });
      if (rig.fetched.length === before) continue;
      pauses.push((at - last) / MINUTE);
      last = at;
    }
    expect(pauses).toEqual([0, 5, 10, 20, 40, 60, 60]);
    expect(rig.told()[0]).toBe('failed warn');
    expect(
      rig
        .told()
        .slice(1)
        .every((told) => told === 'failed info'),
    ).toBe(true);
  });

  test('is repeated at once for another id', async () => {
    const rig = createStsRig();
    rig.announce('x.example', 'a1', FAILED);
    await rig.keeper.policyFor('x.example');
    rig.announce('x.example', 'a2', TESTING);
    expect(await rig.keeper.policyFor('x.example')).toMatchObject({ policy: { id: 'a2', mode: 'testing' } });
  });

  test('is remembered over a restart if there is a policy, and is shown with it', async () => {
    const rig = await held();
    rig.announce('x.example', 'a2', FAILED);
    expect(await rig.keeper.policyFor('x.example')).toMatchObject({ policy: { id: 'a1' }, problem: FAILED });
    expect(await rig.store.stsPolicy('x.example')).toMatchObject({
      failures: 1,
      lastError: inEnglish(FAILED.why),
      retryId: 'a2',
    });
    rig.restart();
    expect(await rig.keeper.policyFor('x.example')).toMatchObject({
      policy: { id: 'a1' },
      problem: { why: FAILED.why },
    });
    expect(rig.fetched).toHaveLength(1);
    rig.pass(5 * MINUTE);
    await rig.keeper.policyFor('x.example');
    expect(rig.fetched).toHaveLength(2);
  });

  test('counts for nothing any more once one succeeds', async () => {
    const rig = await held();
    rig.announce('x.example', 'a2', FAILED);
    await rig.keeper.policyFor('x.example');
    rig.announce('x.example', 'a2', TESTING);
    rig.pass(5 * MINUTE);
    await rig.keeper.policyFor('x.example');
    expect(await rig.store.stsPolicy('x.example')).toMatchObject({ failures: 0, lastError: null, retryAt: null, retryId: null });
  });
});

describe('healing', () => {
  test('fetches the file also if the id is the same, asks the DNS past its cache, and says that the policy changed', async () => {
    const rig = await held();
    rig.files.set('x.example', policyText('enforce', { mx: ['mx2.x.example'] }));
    expect(await rig.keeper.heal('x.example')).toMatchObject({ changed: true, policy: { id: 'a1', mx: ['mx2.x.example'] } });
    expect(rig.afresh).toBe(1);
    expect(await rig.keeper.policyFor('x.example')).toMatchObject({ policy: { mx: ['mx2.x.example'] } });
  });

  test('happens once in five minutes for all mail of a domain, and all of it hears of the change', async () => {
    const rig = await held();
    const { policy } = await rig.keeper.policyFor('x.example');
    expect((await rig.keeper.heal('x.example', policy)).changed).toBe(false);
    rig.files.set('x.example', TESTING);
    rig.pass(5 * MINUTE - 1);
    expect((await rig.keeper.heal('x.example', policy)).changed).toBe(false);
    rig.pass(1);
    expect((await rig.keeper.heal('x.example', policy)).changed).toBe(true);
    expect(await rig.keeper.heal('x.example', policy)).toMatchObject({ changed: true, policy: { mode: 'testing' } });
    expect(rig.fetched).toHaveLength(2);
  });

  test('leaves the policy as it is where its host fails', async () => {
    const rig = await held();
    rig.files.set('x.example', FAILED);
    const unchanged = { changed: false, policy: { id: 'a1', mode: 'enforce' } };
    expect(await rig.keeper.heal('x.example')).toMatchObject({ ...unchanged, isCurrent: false });
    rig.files.set('x.example', ENFORCE);
    rig.pass(5 * MINUTE);
    expect(await rig.keeper.heal('x.example')).toMatchObject({ ...unchanged, isCurrent: true });
    rig.pass(5 * MINUTE - 1);
    expect(await rig.keeper.heal('x.example'), 'not asked again').toMatchObject({ ...unchanged, isCurrent: true });
    expect(rig.fetched).toHaveLength(2);
  });

  test('is needed for a policy that is only tested, where the DNS does not say whether it holds on', async () => {
    const rig = createStsRig();
    rig.announce('x.example', 'a1', TESTING);
    expect(await rig.keeper.policyFor('x.example')).toEqual({ policy: expect.objectContaining({ mode: 'testing' }) });
    rig.records.set('x.example', { kind: 'temporary', why: data('SERVFAIL') });
    expect(await rig.keeper.policyFor('x.example')).toMatchObject({ policy: { mode: 'testing' }, isUnknown: true });
  });

  test('works also if the record is gone', async () => {
    const rig = await held();
    rig.records.delete('x.example');
    rig.files.set('x.example', policyText('none'));
    expect(await rig.keeper.heal('x.example')).toMatchObject({ changed: true, policy: { mode: 'none' } });
  });
});

describe('a refresh', () => {
  test('prolongs a policy whose id is the same, quietly, and one whose record is gone', async () => {
    const rig = await held();
    rig.pass(DAY);
    expect(await rig.keeper.refresh('x.example')).toBeUndefined();
    rig.records.delete('x.example');
    rig.pass(DAY);
    expect(await rig.keeper.refresh('x.example')).toBeUndefined();
    expect(await rig.store.stsPolicy('x.example')).toMatchObject({ expiresAt: START + 2 * DAY + WEEK, usedAt: START });
    expect(rig.told()).toEqual(['refreshed debug', 'refreshed debug']);
  });

  test('that fails for three days, or for half of a life, is a warning each time; of a policy of mode none it is none', async () => {
    const rig = await held();
    rig.files.set('x.example', FAILED);
    await rig.keeper.refresh('x.example');
    rig.pass(3 * DAY);
    await rig.keeper.refresh('x.example');
    rig.pass(1);
    await rig.keeper.refresh('x.example');
    expect(rig.told()).toEqual(['failed warn', 'failed info', 'failed warn']);
    const quiet = createStsRig();
    quiet.announce('x.example', 'a1', policyText('none', { mx: [] }));
    await quiet.keeper.policyFor('x.example');
    quiet.files.set('x.example', FAILED);
    await quiet.keeper.refresh('x.example');
    expect(quiet.told()[1]).toBe('failed debug');
  });

  test('of a domain that announces nothing, and of a policy that has ended without a record, asks no host', async () => {
    const rig = await held();
    expect(await rig.keeper.refresh('other.example')).toBe('absent');
    rig.records.delete('x.example');
    rig.pass(WEEK);
    expect(await rig.keeper.refresh('x.example')).toBe('absent');
    expect(rig.fetched).toEqual([]);
  });
});

describe('clocks', () => {
  test('that leap ahead end no policy before its host could be asked', async () => {
    const rig = await held();
    rig.records.set('x.example', { kind: 'temporary', why: data('no network yet') });
    rig.now += 30 * DAY;
    expect(await rig.keeper.policyFor('x.example')).toMatchObject({ policy: { id: 'a1' } });
    rig.announce('x.example', 'a1', FAILED);
    rig.pass(HOUR);
    expect((await rig.keeper.refresh('x.example')) as object).toEqual(FAILED);
    expect((await rig.keeper.policyFor('x.example')).policy).toBeUndefined();
  });

  test('that leap ahead give a policy a day and no more', async () => {
    const rig = await held();
    rig.records.delete('x.example');
    rig.now += 30 * DAY;
    await rig.keeper.policyFor('x.example');
    rig.pass(DAY);
    expect((await rig.keeper.policyFor('x.example')).policy).toBeUndefined();
  });

  test('that only go on end a policy in its time', async () => {
    const rig = await held();
    rig.records.delete('x.example');
    rig.pass(30 * DAY);
    expect((await rig.keeper.policyFor('x.example')).policy).toBeUndefined();
  });

  test('that were ahead and are set back make no policy hold for longer than it says', async () => {
    const rig = await held();
    rig.now -= 400 * DAY;
    const { policy } = await rig.keeper.policyFor('x.example');
    expect(policy).toMatchObject({ fetchedAt: rig.now, expiresAt: rig.now + WEEK });
    rig.restart();
    expect((await rig.keeper.policyFor('x.example')).policy?.expiresAt).toBe(rig.now + WEEK);
  });

  test('that are set back stop no fetch for years', async () => {
    const rig = createStsRig();
    rig.announce('x.example', 'a1', FAILED);
    await rig.keeper.policyFor('x.example');
    rig.now -= 400 * DAY;
    rig.files.set('x.example', ENFORCE);
    expect(await rig.keeper.policyFor('x.example')).toMatchObject({ policy: { id: 'a1' } });
  });
});

describe('a store that fails', () => {
  /** Every call of these rejects while `isBroken`. */
  function fragile() {
    const memory = createMemoryTlsPolicies();
    const state = { isBroken: false };
    const guarded = Object.fromEntries(
      Object.entries(memory).map(([name, method]) => [
        name,
        async (...args: never[]) => {
          if (state.isBroken) throw new Error('disk full');
          return (method as (...args: never[]) => unknown)(...args);
        },
      ]),
    ) as unknown as TlsPolicyStore;
    return { store: guarded, memory, state };
  }

  test('keeps no mail from a policy, and gets it later', async () => {
    const { store, memory, state } = fragile();
    state.isBroken = true;
    const rig = createStsRig({ store });
    rig.announce('x.example', 'a1', ENFORCE);
    expect(await rig.keeper.policyFor('x.example')).toMatchObject({ policy: { id: 'a1' } });
    expect(await rig.keeper.policyFor('x.example')).toMatchObject({ policy: { id: 'a1' } });
    await expect(rig.keeper.save()).rejects.toThrow('disk full');
    expect(rig.events.filter(({ event }) => event === 'storeFailed').length).toBeGreaterThan(0);
    state.isBroken = false;
    await rig.keeper.save();
    expect((await memory.stsPolicy('x.example')) as StoredStsPolicy).toMatchObject({ id: 'a1', mode: 'enforce' });
  });

  test('is asked once in five seconds, not for each message', async () => {
    const { store, state } = fragile();
    const rig = createStsRig({ store });
    state.isBroken = true;
    const asked = () => rig.events.filter(({ event }) => event === 'storeFailed').length;
    for (let i = 0; i < 100; i++) await rig.keeper.policyFor(`d${i}.example`);
    expect(asked()).toBe(1);
    rig.pass(5 * SECOND);
    await rig.keeper.policyFor('x.example');
    expect(asked()).toBe(2);
  });
});

describe('whatever happens in whatever order', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 3 * DAY }) }),
    fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 10 * MINUTE }) }),
    fc.record({ do: fc.constant('announce' as const), id: fc.constantFrom('a1', 'a2', undefined, 'no answer') }),
    fc.record({
      do: fc.constant('serve' as const),
      file: fc.constantFrom<string | typeof FAILED>(ENFORCE, TESTING, policyText('enforce', { maxAge: 3600 }), FAILED),
    }),
    fc.constantFrom(...(['mail', 'mail', 'heal', 'refresh', 'restart', 'forget', 'save'] as const).map((word) => ({ do: word }))),
  );

  test('a policy that was fetched holds until it ends, and its host is asked no more often than is right', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const rig = createStsRig();
        let endsAt = 0;
        let heldBefore = false;
        /** Of fetches for mail, by id: an id is asked for again only after five minutes. */
        const asked = new Map<string, number>();
        let announced: string | undefined;
        const note = async () => {
          const row = await rig.store.stsPolicy('x.example');
          endsAt = row?.expiresAt ?? 0;
        };
        for (const one of steps) {
          heldBefore = rig.now < endsAt;
          if (one.do === 'pass') rig.pass(one.ms);
          else if (one.do === 'announce') {
            announced = one.id === 'no answer' ? undefined : one.id;
            if (one.id === 'no answer') rig.records.set('x.example', { kind: 'temporary', why: data('timeout') });
            else if (one.id === undefined) rig.records.delete('x.example');
            else rig.records.set('x.example', `v=STSv1; id=${one.id};`);
          } else if (one.do === 'serve') rig.files.set('x.example', one.file);
          else if (one.do === 'heal') await rig.keeper.heal('x.example');
          else if (one.do === 'refresh') await rig.keeper.refresh('x.example');
          else if (one.do === 'restart') {
            rig.restart();
            asked.clear(); // what failed without a policy is known to this process alone
          } else if (one.do === 'forget') rig.keeper.forget();
          else if (one.do === 'save') await rig.keeper.save();
          else {
            const before = rig.fetched.length;
            const { policy } = await rig.keeper.policyFor('x.example');
            if (heldBefore) expect(policy, 'it holds').toBeDefined();
            if (policy !== undefined) expect(policy.expiresAt).toBeGreaterThan(rig.now);
            if (rig.fetched.length > before && announced !== undefined) {
              expect(policy?.id === announced || rig.now - (asked.get(announced) ?? -DAY) >= 5 * MINUTE).toBe(true);
              asked.set(announced, rig.now);
            }
          }
          await note();
        }
      }),
      { numRuns: 300 },
    );
  });
});
