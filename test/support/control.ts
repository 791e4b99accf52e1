/** Control on a real store, with the settings that a test names and a count of the changes that it tells. */
import { type Control, type ControlOptions, type ControlSettings, createControl } from '../../src/control/control.ts';
import type { Store } from '../../src/store/store.ts';
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
    limits: { messages: [{ kind: 'messages', count: 1000, per: 'day' }], recipients: [], newRecipients: [] },
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
