/** Events of the console: who came in, who did not, and what failed there. */
import { FIELDS } from './fields.ts';

const { define, error, text } = FIELDS;

const who = { ip: text, account: text };

export const CONSOLE_EVENTS = {
  consoleLogin: define('info', 'An account has logged in to the console.', who),
  consoleLoginFailed: define('warn', 'A login to the console has failed.', { ...who, reason: text }),
  consoleSetup: define('info', 'A one-time link was used: it has set the password of an account.', who),
  consoleRefused: define(
    'warn',
    'A request to the console was refused, because it looks like an attack or comes too often. At most ten a minute.',
    {
      ip: text,
      method: text,
      path: text,
      reason: text,
    },
  ),
  consolePolicy: define(
    'warn',
    'A browser has kept a page of the console from something that it must not do. At most ten a minute.',
    {
      ip: text,
      directive: text,
      blocked: text,
      document: text,
    },
  ),
  consoleFailed: define('error', 'A request to the console failed for a reason of ours.', { method: text, path: text, error }),
};
