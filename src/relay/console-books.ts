/** What the console shows and nobody else needs, kept in memory while the relay runs. Nothing is kept if there is no console. */
import type { RelayEvent } from '../events/events.ts';
import { type Clock, systemClock } from '../system/clock.ts';
import { createLogRing, type LogRing } from '../system/log-ring.ts';
import { createHeardBook, type HeardBook } from './heard.ts';
import { createHourBook, type HourBook } from './last-hour.ts';

export type ConsoleBooks = {
  /** Hears each event, also those of other threads. */
  observe(event: RelayEvent): void;
  /** Calls it for each event. @returns ends it. */
  watch(listener: (event: RelayEvent) => void): () => void;
  readonly log: LogRing;
  /** What the log needs to know. */
  readonly logging: { readonly keep?: LogRing['add'] };
  readonly hour: HourBook;
  readonly heard: HeardBook;
};

/** @param isOpen there is a console. */
export function createConsoleBooks(isOpen: boolean, now: Clock = systemClock): ConsoleBooks {
  const hour = createHourBook(now);
  const heard = createHeardBook(now);
  const log = createLogRing();
  const listeners = new Set<(event: RelayEvent) => void>();
  return {
    observe(event) {
      if (!isOpen) return;
      hour.observe(event);
      heard.observe(event);
      for (const listener of listeners) listener(event);
    },
    watch(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    log,
    logging: isOpen ? { keep: log.add } : {},
    hour,
    heard,
  };
}
