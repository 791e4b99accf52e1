/** Events of the console: who came in, who did not, and what failed there. */
import { FIELDS } from './fields.ts';

const { define, error, text } = FIELDS;

export const CONSOLE_EVENTS = {
  consoleFailed: define('error', 'A request to the console failed for a reason of ours.', { method: text, path: text, error }),
};
