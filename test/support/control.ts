/** Control on a real store, with the settings of a test and the changes that the store reports. */
import { type Actor, type Control, type ControlOptions, type ControlSettings, createControl } from '../../src/control/control.ts';
import type { Change, Store } from '../../src/store/store.ts';
import { DAY } from '../../src/system/clock.ts';
import { TIMEOUTS } from './delivery.ts';
import { NOW, testStore } from './store-rig.ts';

export type TestControl = {
  readonly control: Control;
  readonly controlAs: (by: Actor) => Control;
  readonly store: Store;
  /** The changes since the last call, in their order, without the rows about them. */
  told(): readonly Change[];
  /** As a reload does. */
  set(settings: Partial<ControlSettings>): void;
};

const nobody = () => Promise.reject(new Error('Nobody asks the DNS here'));
const NO_DNS: ControlOptions['dns'] = {
  ...{ txt: nobody, a: nobody, aaaa: nobody, mx: nobody },
  ...{ ptr: nobody, cname: nobody, tlsa: nobody, validates: nobody },
};

export const TEST_DELIVERY: ControlSettings['delivery'] = {
  port: 25,
  ip: 'v4-only',
  source: [],
  fallback: [],
  allowPrivate: [],
  tls: 'opportunistic',
  dane: 'on',
  mtaSts: 'on',
  timeouts: TIMEOUTS,
};

/** Closed when the test ends. Its clock stands at `NOW`. */
export async function testControl(dns: Partial<ControlOptions['dns']> = {}): Promise<TestControl> {
  const store = await testStore();
  let current: ControlSettings = {
    hostname: 'relay.example.net',
    limits: { messages: [{ kind: 'messages', count: 1000, per: 'day' }], recipients: [], newRecipients: [] },
    reports: { from: 'postmaster@relay.example.net', tlsFrom: 'postmaster@relay.example.net' },
    queue: { lifetime: DAY },
    signing: { noKey: 'refuse' },
    submission: { maxMessageSize: 1_000_000, maxHeaderSize: 100_000, bareNewlines: 'normalize' },
    listen: { submissions: [{ port: 465 }], submission: [{ port: 587 }] },
    tls: { mode: 'acme', acme: { acceptTerms: false } },
    dns: { servers: [], trustAd: false },
    routes: [],
    destinations: [],
    delivery: TEST_DELIVERY,
  };
  const changes: Change[] = [];
  store.onChange((more) => void changes.push(...[...more].sort()));
  const controlAs = (by: Actor) =>
    createControl({ store, settings: () => current, dns: { ...NO_DNS, ...dns }, now: () => NOW, by });
  const control = controlAs({ name: 'anna', way: 'command' });
  return {
    ...{ control, controlAs, store },
    told: () => changes.splice(0).filter((change) => change !== 'audit'),
    set(settings) {
      current = { ...current, ...settings };
    },
  };
}
