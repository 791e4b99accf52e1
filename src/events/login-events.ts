/** Events about the behaviour of logins. */
import { FIELDS } from './fields.ts';

const { count, define, flag, optional, text, texts } = FIELDS;

export const LOGIN_EVENTS = {
  loginUnusual: define(
    'warn',
    'A login, or a sender of a mail server, does something unusual. It is not stopped. At most once a week each.',
    { user: text, sender: optional(text), score: count, signals: texts },
  ),
  loginHeld: define(
    'warn',
    'A login, or a sender of a mail server, was stopped: its mail is accepted and kept back until the operator releases it. `disabled`: it cannot log in any more.',
    { user: text, sender: optional(text), score: count, signals: texts, disabled: flag },
  ),
  loginReleased: define('info', 'All mail of a released login, or sender of a mail server, has left or was discarded.', {
    user: text,
    sender: optional(text),
  }),
};
