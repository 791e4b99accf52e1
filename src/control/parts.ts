/** What each part of control is given. */
import type { Store } from '../store/store.ts';
import type { Clock } from '../system/clock.ts';

export type Parts<Settings> = {
  readonly store: Store;
  /** Returns the current settings: a running relay can reload its configuration. */
  readonly settings: () => Settings;
  /** Called after each change, when it is synced. */
  readonly changed: () => void;
  readonly now: Clock;
};
