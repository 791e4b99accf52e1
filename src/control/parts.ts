/** What the deeds on each noun are given. */
import type { Store } from '../store/store.ts';
import type { Clock } from '../system/clock.ts';

export type Parts<Settings> = {
  readonly store: Store;
  /** As they are now: a running relay reads its configuration again. */
  readonly settings: () => Settings;
  /** Called after each change, when it is synced. */
  readonly changed: () => void;
  readonly now: Clock;
};
