/** The events of TLS with destinations: policies, sessions, and the resolver that validates. */
import { FIELDS } from './fields.ts';

const { count, define, maybe, optional, text, texts, time } = FIELDS;

export const TLS_EVENTS = {
  stsPolicy: define(
    'info',
    'A policy of MTA-STS was fetched, has changed, has expired or was forgotten: `action` says which. A failed fetch is a warning.',
    {
      action: text,
      domain: text,
      id: optional(text),
      result: optional(text),
      mode: optional(text),
      mx: optional(texts),
      oldMode: optional(text),
      oldMx: optional(texts),
      expiresAt: optional(time),
      detail: optional(text),
      failures: optional(count),
    },
  ),
  tlsPolicy: define('debug', 'What is demanded of the TLS of a host, and why. `would` is what is only evaluated.', {
    domain: text,
    mx: text,
    dane: text,
    sts: optional(text),
    demand: text,
    would: optional(text),
  }),
  tlsException: define('warn', 'Each day: an entry of `destinations` weakens TLS.', {
    subject: text,
    what: text,
    until: optional(time),
  }),
  tlsSession: define('debug', 'A session with a host is open. `assurance` says what it is worth.', {
    mx: text,
    ip: text,
    assurance: text,
    version: maybe,
    dane: optional(text),
  }),
  tlsPolicyFailed: define(
    'warn',
    'A host does not meet the TLS policy that holds for it. The next host is tried, or the mail waits. With `would` the policy is only evaluated, and the mail is sent.',
    {
      domain: text,
      mx: text,
      ip: optional(text),
      policy: text,
      check: optional(text),
      id: optional(text),
      type: text,
      reason: text,
      detail: text,
      would: optional(text),
    },
  ),
  tlsRootUnknown: define(
    'warn',
    'An enforced policy needs a certificate of an authority that this machine does not know. Are its root certificates old?',
    { domain: text, mx: text, ip: optional(text), reason: text },
  ),
  dnssecLost: define('warn', 'The resolver does not validate DNSSEC: DANE is off, and mail with REQUIRETLS may wait.', {}),
  dnssecBack: define('info', 'The resolver validates DNSSEC again, and DANE is on.', {}),
} as const;
