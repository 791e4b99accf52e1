/** How much of a sweep a test run does. Each size proves the promise. */

/** `npm run test:whole`. */
export const WHOLE = process.env['WHOLE'] === '1';
const GATE = process.env['CI'] === 'true';

/** @returns `full` before a release, `gate` where it must end in time, `sample` elsewhere. */
export const sized = <T>(full: T, sample: T, gate = sample): T => (WHOLE ? full : GATE ? gate : sample);
