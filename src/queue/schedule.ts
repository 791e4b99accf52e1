/** When to try a delayed recipient again: RFC 5321 §4.5.4.1. */
import { HOUR, SECOND } from '../system/clock.ts';

/** All in ms. `lifetime` and `reportLifetime` are applied where `expiresAt` of a new message is set. */
export type Schedule = {
  /** Pauses after the first, second, … attempt; the last one repeats. */
  readonly retry: readonly number[];
  readonly lifetime: number;
  readonly reportLifetime: number;
  /** Age at which the sender is told once that the message waits. */
  readonly delayWarning: number;
};

/** Around each pause, so that messages which failed together do not come back together. */
const JITTER = 0.1;

/**
 * @param attempts made so far, the one just ended included. @param random in [0, 1).
 * @param notBefore of the outcome, e.g. the end of a destination's back-off.
 */
export function nextAttempt(
  { retry }: Schedule,
  { attempts, now, random, notBefore = now }: { attempts: number; now: number; random: number; notBefore?: number | undefined },
): number {
  const pause = retry[Math.min(attempts, retry.length) - 1] ?? retry.at(-1) ?? HOUR;
  return Math.max(Math.round(now + pause * (1 - JITTER + 2 * JITTER * random)), notBefore);
}

/**
 * The farthest a next attempt lies ahead by this schedule. What lies farther was set by a clock that stood wrong,
 * or stands wrong now, and is tried at once.
 */
export function horizon({ retry }: Schedule): number {
  return Math.max(HOUR, ...retry) * (1 + JITTER);
}

/** So many attempts are a fair trial: they are longer apart than any greylisting lasts. */
const FAIR = 5;

/** The first attempts of a message, at most FAIR, that the schedule makes within `lifetime` (ms): how many, and how long they take. */
export function fairAttempts({ retry }: Schedule, lifetime: number): { readonly count: number; readonly duration: number } {
  let count = 1;
  let duration = 0;
  while (count < FAIR) {
    const pause = (retry[count - 1] ?? retry.at(-1) ?? HOUR) * (1 + JITTER);
    if (duration + pause > lifetime) break;
    duration += pause;
    count++;
  }
  return { count, duration };
}

/** How long overdue mail waits for room before it is looked at, ms. */
export function patience({ delayWarning, lifetime }: Schedule): number {
  return Math.max(SECOND, Math.min(HOUR, delayWarning / 4, lifetime / 8));
}
