/** Units of time in milliseconds, and the clock. Decisions get the time as an argument. */
export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** Milliseconds since the epoch. */
export type Clock = () => number;
export const systemClock: Clock = Date.now;
