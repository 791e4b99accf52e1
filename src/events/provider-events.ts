/** The events of providers that refuse our address, and of the fallback upstream that takes their mail meanwhile. */
import { FIELDS } from './fields.ts';

const { count, define, optional, text, time } = FIELDS;

export const PROVIDER_EVENTS = {
  providerBlocked: define(
    'warn',
    'A provider refuses our address, or an operator has asked to hold its mail. Its mail is held, and one message is sent now and then to find out whether that has ended.',
    { provider: text, address: text, class: text, reply: text },
  ),
  providerProbe: define('info', 'A held message goes as a probe.', { provider: text, address: text, queueId: optional(text) }),
  providerStillBlocked: define('warn', 'A further day has passed in which a provider refuses our address.', {
    provider: text,
    address: text,
    class: text,
    reply: text,
    held: count,
  }),
  providerOpened: define('info', 'A provider takes mail again. What was held follows.', { provider: text, address: text }),
  fallbackFull: define('warn', 'The fallback upstream has taken as many recipients as it may in a day. Further mail is held.', {
    upstream: text,
    provider: text,
    cap: count,
  }),
  fallbackFailed: define(
    'error',
    'The fallback upstream does not let us in, its quota is used up, or it refuses us. Mail is held, and it is tried again at `until`.',
    { upstream: text, provider: text, reply: text, until: time },
  ),
  fallbackWorks: define('info', 'The fallback upstream takes mail again.', { upstream: text, provider: text }),
  fallbackNotAllowed: define(
    'warn',
    'Mail of this From domain waits and does not take the fallback upstream: neither DKIM nor SPF would pass from there (`alignment`), or the domain is not in its list (`domains`).',
    { upstream: text, provider: text, domain: text, reason: text },
  ),
} as const;
