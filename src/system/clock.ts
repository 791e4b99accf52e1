/** Units of time in milliseconds, and the clock. Decisions get the time as an argument. */
export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** Milliseconds since the epoch. */
export type Clock = () => number;
export const systemClock: Clock = Date.now;

/** The threads of a process begin to count at different moments. */
const origin = Number(process.hrtime.bigint()) / 1e6 - performance.now();
/** Milliseconds that no change of a clock affects. All threads of a process have the same. */
export const sharedMonotonic: Clock = () => performance.now() + origin;
