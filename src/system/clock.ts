/** Units of time in milliseconds. Time comes into a decision as an argument, read here at the edges. */
export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** Milliseconds since the epoch. */
export type Clock = () => number;
export const systemClock: Clock = Date.now;
