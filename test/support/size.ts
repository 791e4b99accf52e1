/** How much of a sweep a test run does: all of it if `CI=true`, as in the gate, else a sample that still proves the promise. */

export const FULL = process.env['CI'] === 'true';

/** @returns `full` in the gate, `sample` elsewhere. */
export const sized = <T>(full: T, sample: T): T => (FULL ? full : sample);
