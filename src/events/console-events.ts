/** Events of the console: who came in, who did not, and what failed there. */
import { FIELDS } from './fields.ts';

const { count, define, error, optional, text } = FIELDS;

const who = { ip: text, account: text };

export const CONSOLE_EVENTS = {
  changed: define(
    'info',
    'Somebody has changed something: an account (`session`), `account/token` (`token`), a user of the system (`command`) or the relay by itself. `smarthost changes` shows what it was.',
    { actor: text, way: text, action: text, target: text, ip: optional(text), recipients: optional(count) },
  ),
  changesNotRead: define('error', 'What was changed could not be read, so that the log lacks it. `smarthost changes` has it.', {
    error,
  }),
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
