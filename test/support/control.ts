/** Control on a real store, with the settings that a test names and a count of the changes that it tells. */
import { type Control, type ControlOptions, type ControlSettings, createControl } from '../../src/control/control.ts';
import type { Store } from '../../src/store/store.ts';
import { DAY } from '../../src/system/clock.ts';
import { NOW, testStore } from './store-rig.ts';

export type TestControl = {
  readonly control: Control;
  readonly store: Store;
  /** How often a change was told. */
  readonly changes: () => number;
  /** As a reload does. */
  set(settings: Partial<ControlSettings>): void;
};

const NO_DNS: ControlOptions['dns'] = { txt: () => Promise.reject(new Error('Nobody asks the DNS here')) };

/** Closed when the test ends. Its clock stands at `NOW`. */
export async function testControl(dns: ControlOptions['dns'] = NO_DNS): Promise<TestControl> {
  const store = await testStore();
  let current: ControlSettings = {
    hostname: 'relay.example.net',
    limits: { messages: [{ kind: 'messages', count: 1000, per: 'day' }], recipients: [], newRecipients: [] },
    reports: { from: 'postmaster@relay.example.net' },
    queue: { lifetime: DAY },
    signing: { noKey: 'refuse' },
    submission: { maxMessageSize: 1_000_000, maxHeaderSize: 100_000, bareNewlines: 'normalize' },
    tls: { mode: 'acme', acme: { acceptTerms: false } },
    routes: [],
  };
  let changes = 0;
  const changed = () => {
    changes++;
  };
  const control = createControl({ store, settings: () => current, dns, changed, now: () => NOW });
  return {
    ...{ control, store, changes: () => changes },
    set(settings) {
      current = { ...current, ...settings };
    },
  };
}
