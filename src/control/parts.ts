/** What each part of control is given. */
import type { StoreData } from '../store/store.ts';
import type { Clock } from '../system/clock.ts';

export type Parts<Settings> = {
  readonly store: StoreData;
  /** Returns the current settings: a running relay can reload its configuration. */
  readonly settings: () => Settings;
  readonly now: Clock;
};
