import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Dns } from '../../../src/dns/dns.ts';
import { createEventLog } from '../../../src/events/events.ts';
import { createDkimKeys, dkimRecord, startRotation } from '../../../src/signing/signing.ts';
import type { DkimKey, Led, OperationStore, WhichDkimKey } from '../../../src/store/store.ts';
import { createLog } from '../../../src/system/log.ts';
import { data } from '../../../src/system/phrase.ts';

const INTERVAL = 1000;
const log = createEventLog(createLog({ level: 'silent', format: 'json' }));

const isSame = (key: DkimKey, { domain, selector, createdAt, state = key.state }: WhichDkimKey) =>
  key.domain === domain && key.selector === selector && key.createdAt === createdAt && key.state === state;

/** Keys, a DNS and a queue in memory, and the rotation that works on them. */
function rig(start: readonly DkimKey[]) {
  let keys = [...start];
  const records = new Map<string, string>();
  const inUse = new Set<string>();
  const state = { dnsWorks: true, storeWorks: true, changes: 0, meanwhile: () => {} };
  const keyStore = {
    async dkimKeys() {
      if (!state.storeWorks) throw new Error('disk full');
      return keys;
    },
    async setDkimKeyState(which: WhichDkimKey, next: DkimKey['state']) {
      const found = keys.find((key) => isSame(key, which));
      keys = keys.map((key) => (key === found ? { ...key, state: next } : key));
      return found !== undefined;
    },
    async removeDkimKey(which: WhichDkimKey) {
      const found = keys.find((key) => isSame(key, which));
      keys = keys.filter((key) => key !== found);
      return found !== undefined;
    },
  };
  const operation = { takeLease: async () => true, underLease: () => keyStore as unknown as Led<OperationStore> };
  const dns: Pick<Dns, 'txt'> = {
    async txt(name) {
      state.meanwhile();
      if (!state.dnsWorks) return { kind: 'temporary', why: data('timeout') };
      const value = records.get(name);
      return value === undefined ? { kind: 'nxdomain' } : { kind: 'found', values: [value] };
    },
  };
  const messages = {
    async signatureInUse(name: string) {
      state.meanwhile();
      return inUse.has(name);
    },
  };
  const rotation = startRotation({
    operation,
    owner: 'me',
    now: Date.now,
    messages,
    dns,
    log,
    interval: INTERVAL,
    changed: () => state.changes++,
  });
  return {
    state,
    inUse,
    rotation,
    replace: (...next: DkimKey[]) => {
      keys = next;
    },
    publish: (key: DkimKey) => records.set(dkimRecord(key).name, dkimRecord(key).value),
    states: () => Object.fromEntries(keys.map((key) => [key.selector, key.state])),
    look: () => vi.advanceTimersByTimeAsync(INTERVAL),
  };
}

describe('the life of a key', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('pending until its record is seen, then active, and the old one of the same kind retires', async () => {
    const old = (await createDkimKeys({ domain: 'a.test', selector: 'old', now: 1 })).map(
      (key): DkimKey => ({ ...key, state: 'active' }),
    );
    const [rsa, ed] = await createDkimKeys({ domain: 'a.test', selector: 'new', now: 2 });
    const { look, publish, states, state, rotation } = rig([...old, rsa!, ed!]);
    await look();
    expect(states()).toEqual({ old: 'active', 'old-ed': 'active', new: 'pending', 'new-ed': 'pending' });
    publish(rsa!);
    await look();
    expect(states()).toEqual({ old: 'retiring', 'old-ed': 'active', new: 'active', 'new-ed': 'pending' });
    expect(state.changes).toBe(2);
    await rotation.close();
  });

  test('a retiring key stays while a queued message carries its signature, and at least from one look to the next', async () => {
    const [key] = await createDkimKeys({ domain: 'a.test', selector: 'k', now: 1 });
    const { look, states, inUse, rotation } = rig([{ ...key!, state: 'retiring' }]);
    inUse.add('k._domainkey.a.test');
    await vi.advanceTimersByTimeAsync(0);
    await look();
    expect(states()).toEqual({ k: 'retiring' });
    inUse.clear();
    await look();
    expect(states()).toEqual({});
    await rotation.close();
  });

  test('two active keys of one kind, left by a crash, are put in order', async () => {
    const keys = await Promise.all(
      [1, 2, 3].map(async (now) => ({
        ...(await createDkimKeys({ domain: 'a.test', selector: `k${now}`, now }))[0]!,
        state: 'active' as const,
      })),
    );
    const { look, states, rotation } = rig(keys);
    await look();
    expect(states()).toEqual({ k3: 'active' });
    await rotation.close();
  });

  test('a DNS or a store that fails changes nothing, and is asked again', async () => {
    const [key] = await createDkimKeys({ domain: 'a.test', selector: 'k', now: 1 });
    const { look, states, state, publish, rotation } = rig([key!]);
    publish(key!);
    state.dnsWorks = false;
    await look();
    expect(states()).toEqual({ k: 'pending' });
    state.storeWorks = false;
    await look();
    state.dnsWorks = state.storeWorks = true;
    await look();
    expect(states()).toEqual({ k: 'active' });
    await rotation.close();
  });

  test('a domain that is removed and added again under one selector while the DNS is asked keeps its new key as it was added', async () => {
    const [old] = await createDkimKeys({ domain: 'a.test', selector: 'k', now: 1 });
    const [added] = await createDkimKeys({ domain: 'a.test', selector: 'k', now: 2 });
    const { states, state, publish, replace, rotation } = rig([old!]);
    publish(old!);
    state.meanwhile = () => replace(added!);
    await vi.advanceTimersByTimeAsync(0);
    expect([states(), state.changes]).toEqual([{ k: 'pending' }, 0]);
    await rotation.close();
  });

  test('a key that a command takes out of use while the DNS is asked does not sign again', async () => {
    const [key] = await createDkimKeys({ domain: 'a.test', selector: 'k', now: 1 });
    const { states, state, publish, replace, inUse, rotation } = rig([key!]);
    inUse.add('k._domainkey.a.test');
    publish(key!);
    state.meanwhile = () => replace({ ...key!, state: 'retiring' });
    await vi.advanceTimersByTimeAsync(0);
    expect([states(), state.changes]).toEqual([{ k: 'retiring' }, 0]);
    await rotation.close();
  });

  test('a key signs on where its successor is removed while the DNS is asked', async () => {
    const [old] = await createDkimKeys({ domain: 'a.test', selector: 'old', now: 1, state: 'active' });
    const [next] = await createDkimKeys({ domain: 'a.test', selector: 'new', now: 2, state: 'active' });
    const [other] = await createDkimKeys({ domain: 'b.test', selector: 'other', now: 3 });
    const { states, state, replace, rotation } = rig([old!, next!, other!]);
    state.meanwhile = () => replace(old!, other!);
    await vi.advanceTimersByTimeAsync(0);
    expect(states()).toEqual({ old: 'active', other: 'pending' });
    await rotation.close();
  });

  test('a key that is added again while its retired namesake is removed stays', async () => {
    const [old] = await createDkimKeys({ domain: 'a.test', selector: 'k', now: 1, state: 'retiring' });
    const [added] = await createDkimKeys({ domain: 'a.test', selector: 'k', now: 2, state: 'active' });
    const { look, states, state, replace, rotation } = rig([old!]);
    await vi.advanceTimersByTimeAsync(0);
    state.meanwhile = () => replace(added!);
    await look();
    await look();
    expect(states()).toEqual({ k: 'active' });
    await rotation.close();
  });
});
