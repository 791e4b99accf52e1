/** How much of a sweep a run of the tests takes: all of it where `CI=true`, as the gate sets, else a sample that keeps the promise proven. */

export const FULL = process.env['CI'] === 'true';

/** @returns `full` in the gate, `sample` elsewhere. */
export const sized = <T>(full: T, sample: T): T => (FULL ? full : sample);
