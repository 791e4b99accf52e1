import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Dns } from '../../../src/dns/dns.ts';
import { createEventLog } from '../../../src/events/events.ts';
import { createDkimKeys, dkimRecord, startRotation } from '../../../src/signing/signing.ts';
import type { DkimKey } from '../../../src/store/store.ts';
import { createLog } from '../../../src/system/log.ts';

const INTERVAL = 1000;
const log = createEventLog(createLog({ level: 'silent', format: 'json' }));

/** Keys, a DNS and a queue in memory, and the rotation that works on them. */
function rig(start: readonly DkimKey[]) {
  let keys = [...start];
  const records = new Map<string, string>();
  const inUse = new Set<string>();
  const state = { dnsWorks: true, storeWorks: true, changes: 0 };
  const operation = {
    async dkimKeys() {
      if (!state.storeWorks) throw new Error('disk full');
      return keys;
    },
    async setDkimKeyState(domain: string, selector: string, next: DkimKey['state']) {
      keys = keys.map((key) => (key.domain === domain && key.selector === selector ? { ...key, state: next } : key));
    },
    async removeDkimKey(domain: string, selector: string) {
      keys = keys.filter((key) => key.domain !== domain || key.selector !== selector);
      return true;
    },
  };
  const dns: Pick<Dns, 'txt'> = {
    async txt(name) {
      if (!state.dnsWorks) return { kind: 'temporary', cause: 'timeout' };
      const value = records.get(name);
      return value === undefined ? { kind: 'nxdomain' } : { kind: 'found', values: [value] };
    },
  };
  const messages = { signatureInUse: async (name: string) => inUse.has(name) };
  const rotation = startRotation({ operation, messages, dns, log, interval: INTERVAL, changed: () => state.changes++ });
  return {
    state,
    inUse,
    rotation,
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
});
