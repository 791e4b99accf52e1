/**
 * The list of all events. The lines of the log, the metrics and the page deploy/events.md come from it. Tools and alerts rely on names and
 * fields: add new ones, never rename one. No field contains a secret or the content of a message.
 */
import type { JudgedReply } from '../smtp/outcome.ts';
import { type Reply, replyLine } from '../smtp/reply.ts';
import type { Log } from '../system/log.ts';
import { CONSOLE_EVENTS } from './console-events.ts';
import { type EventDefinition, FIELDS, type FieldValues, type Level } from './fields.ts';
import { LOGIN_EVENTS } from './login-events.ts';
import { renderEventsPage } from './page.ts';
import { PROVIDER_EVENTS } from './provider-events.ts';
import { TLS_EVENTS } from './tls-events.ts';
import { TROUBLE } from './trouble.ts';

const { count, define, error, field, flag, listening, maybe, optional, seconds, text, texts, time } = FIELDS;

const session = { session: text, ip: text, user: optional(text) };
const replied = { code: count, status: text, reply: text };
const recipient = { queueId: text, recipient: text };
const host = {
  ...{ mx: maybe, ip: maybe, tls: maybe, assurance: optional(text), proof: optional(text), policyId: optional(text) },
  via: optional(field<'fallback'>('the fallback upstream')),
};
const judgedAs = { class: optional(text), action: optional(text), provider: optional(text), rules: optional(text) };
/** The login of the message; absent for our own mail. */
const sent = { ...recipient, user: optional(text) };
const attempt = { ...sent, ...host, ...replied, ...judgedAs, attempt: count, seconds };
const refusal = { queueId: text, mx: text, ip: text, tls: maybe, ...replied };

/** In the order of the page. The level is the usual one. If the case needs a person, the event comes as a warning or an error. */
export const EVENTS = {
  started: define('info', 'Every port is open.', { version: text, pid: count, listen: listening }),
  stopped: define('info', 'The relay has stopped normally.', { reason: text }),
  reloaded: define('info', 'The configuration was read again and is in effect.', {}),
  reloadRefused: define('error', 'The new configuration has errors. Nothing was changed.', { problems: texts }),
  reloadFailed: define('error', 'Reading the configuration again failed for a reason of ours.', { error }),
  restartNeeded: define('warn', 'Some changed settings need a restart to take effect.', { settings: texts }),
  threadEnded: define('error', 'A thread of sessions ended, and the next one starts. Its mail is due again.', {
    thread: count,
    error,
  }),
  threadSilent: define(
    'warn',
    'A thread of sessions answers nothing. It gets no new clients while others answer, and is replaced after 30 s.',
    { thread: count, seconds },
  ),
  threadTrouble: define('error', 'A thread of sessions could not do what it was told.', { thread: count, error }),
  crashed: define('error', 'A fault of the relay ends the process. A restart loses nothing.', { error }),
  notClosed: define('error', 'A part of the relay did not close correctly during the stop.', { error }),

  connected: define('info', 'A client has opened a session.', { session: text, listener: text, ip: text }),
  authenticated: define('info', 'A client has logged in.', { ...session, mechanism: text, tls: maybe }),
  authFailed: define('warn', 'A login has failed.', { ...session, mechanism: text, reason: optional(text) }),
  refused: define('info', 'A command or message of a client was refused. An error if the fault is ours.', {
    ...session,
    verb: text,
    ...replied,
    reversePath: optional(text),
    recipient: optional(text),
    error: optional(error),
  }),
  failureNotKept: define('error', 'The store could not keep a failed login: it counts only until the next start.', { error }),
  bareNewline: define('info', 'A message had bare CR or LF, which became CRLF.', { session: text, queueId: text }),
  left: define('debug', 'A client has closed its session without a login.', {
    session: text,
    listener: text,
    ip: text,
    tls: maybe,
    greeted: flag,
  }),
  tlsFailed: define('warn', 'A TLS handshake failed with a destination, or (level debug) with a client.', {
    session: optional(text),
    listener: optional(text),
    mx: optional(text),
    ip: text,
    reply: optional(text),
    next: optional(text),
    reason: optional(text),
  }),

  ...TLS_EVENTS,

  accepted: define('info', 'A message was accepted and is synced to disk.', {
    queueId: text,
    session: optional(text),
    ip: optional(text),
    user: maybe,
    reversePath: text,
    recipients: texts,
    size: count,
    messageId: text,
    signatures: texts,
    asks: optional(field<'REQUIRETLS' | 'TLS-Required: No'>('RFC 8689')),
  }),
  acceptedButFailed: define('error', 'A message was accepted, but a later step failed for a reason of ours.', {
    queueId: text,
    error,
  }),
  eightBitHeader: define('warn', 'A header has octets that are not ASCII, and the client did not ask for SMTPUTF8.', {
    queueId: text,
  }),
  tlsRequiredIgnored: define('warn', 'A TLS-Required field that RFC 8689 does not know was ignored.', {
    queueId: text,
    value: text,
  }),
  requireTlsFailed: define('warn', 'No host of the destination keeps REQUIRETLS: the message returns.', {
    queueId: text,
    ...replied,
  }),
  spoolNotRemoved: define(
    'warn',
    'The file of a message that was not accepted could not be removed. The next start removes it.',
    { queueId: text, error },
  ),
  unsigned: define('warn', 'A message was accepted without a DKIM signature of its domain.', { domain: text, reason: text }),
  senderVerdict: define(
    'info',
    'What receivers think of mail with this domain in From has changed, or was evaluated for the first time and is not `ok`.',
    { domain: text, envelope: text, verdict: text, before: optional(text) },
  ),
  misaligned: define('warn', 'Mail of this domain fails DMARC and was sent all the same. Logged once a day for each domain.', {
    domain: text,
    envelope: text,
    verdict: text,
    user: text,
    reason: text,
  }),
  alignmentFailed: define('error', 'A sender could not be evaluated for a reason of ours. It is tried again.', {
    domain: text,
    error,
  }),
  weakDkimKey: define('warn', 'A DKIM key is shorter than recommended.', {
    domain: text,
    selector: text,
    bits: count,
    recommended: count,
  }),

  relayed: define('info', 'The destination accepted the message for this recipient.', attempt),
  delayed: define('info', 'Delivery to this recipient is tried again. `uncertain`: the reply to the final dot was lost.', {
    ...attempt,
    nextAttemptAt: time,
    uncertain: optional(flag),
  }),
  failed: define(
    'info',
    'Delivery to this recipient has failed: the destination refused it, or no mail server can reach it.',
    attempt,
  ),
  expired: define('info', 'The lifetime of the message is over for this recipient.', sent),
  removed: define('info', 'An operator has removed the message for this recipient.', recipient),
  held: define('info', 'The message waits until an operator releases it or the limits allow it.', recipient),
  released: define('info', 'Held mail continues: an operator has released it, or the limits allow it now.', recipient),
  reported: define('info', 'A delivery report was written.', { queueId: text, about: text, action: text }),
  notReported: define('info', 'No delivery report was written. `reason` says why.', {
    queueId: text,
    action: text,
    reason: text,
  }),
  reportFailed: define('error', 'A delivery report could not be written. It is tried again unless `givenUp` is true.', {
    queueId: text,
    kind: text,
    givenUp: flag,
    error,
  }),
  originalUnreadable: define('error', 'The original message could not be read, so a delivery report was written without it.', {
    queueId: text,
    error,
  }),
  tlsReport: define(
    'info',
    'A report about TLS to a domain: `queued`, `sent`, `failed`, or `suppressed` because its address took none for days.',
    { action: text, day: text, domain: text, rua: text, reportId: text, transport: text, queueId: maybe, reason: optional(text) },
  ),
  tlsReportNotWritten: define('error', 'A report about TLS could not be written; it is tried again.', {
    day: text,
    domain: text,
    error,
  }),
  tlsResultsLost: define('warn', 'Sessions that TLS reports should count could not be stored.', { sessions: count, error }),
  rerouted: define('info', 'The current routes were applied to waiting mail.', { recipients: count }),

  resting: define('warn', 'A destination asks for less mail, or does not answer. It gets no mail for a while.', {
    hosts: text,
    until: time,
    failures: optional(count),
    sender: optional(text),
    reason: text,
  }),
  suppression: define(
    'info',
    'What is known of an address has changed: `suspected` or `suppressed` because it seems not to exist, `none` because mail arrived, `over bound` if so many of its provider were suppressed in an hour that this one stays suspected.',
    { recipient: text, provider: text, state: text, reply: text },
  ),
  suppressionForgotten: define(
    'info',
    'A provider refuses our address, so what it said of addresses in the day before is forgotten, but for its known texts.',
    { provider: text, recipients: count },
  ),
  ...PROVIDER_EVENTS,
  ...LOGIN_EVENTS,
  sessionsCrowded: define(
    'warn',
    'As many sessions as `delivery.maxSessions` allows are under way, and mail waits for its turn.',
    {
      sessions: count,
      most: count,
    },
  ),
  sessionRefused: define(
    'warn',
    'A host refuses our session, whatever the message is. The mail is tried again, at this and at the next host.',
    refusal,
  ),
  upstreamRefused: define(
    'error',
    'The upstream of a route refuses all our mail. The mail waits. Check the route and its login.',
    refusal,
  ),
  upstreamLoginFailed: define('error', 'The upstream of a route refused our login. The mail waits.', {
    mx: text,
    ip: text,
    user: text,
    ...replied,
  }),
  outbound25: define(
    'warn',
    'At the start no mail server could be reached on port 25. The event says what was tried and what to do.',
    {
      family: text,
      found: text,
      advice: text,
    },
  ),
  outboundNotLookedAt: define('error', 'The check of port 25 at the start failed for a reason of ours.', { error }),
  limit: define('warn', 'A credential has used 80 % or 100 % of a limit.', {
    user: text,
    percent: count,
    kind: text,
    count,
    per: text,
    used: count,
    resetsAt: time,
  }),
  noticeFailed: define('error', 'A notice to the operator could not be sent.', {
    user: optional(text),
    percent: optional(count),
    provider: optional(text),
    error,
  }),

  certificate: define('info', 'A certificate was loaded, renewed or kept, or it expires soon. A warning if it needs you.', {
    action: text,
    keyType: text,
    notAfter: optional(time),
    error: optional(text),
    nextAttemptAt: optional(time),
  }),
  certificateTrouble: define('error', 'The check of certificates failed for a reason of ours. It is tried again.', {
    keyType: optional(text),
    error,
  }),
  acmeAccount: define('info', 'An account was made at the certificate authority.', {
    directory: text,
    account: text,
    acceptedTerms: optional(text),
  }),
  renewalInformation: define('debug', 'The authority did not say when to renew.', { keyType: text, error: text }),
  dkimKey: define('info', 'A DKIM key changed its state.', { action: text, domain: text, selector: text, algorithm: text }),
  dkimKeyCreated: define('info', 'A DKIM key was made for the domain of the host name.', { domain: text }),
  dkimRotation: define('error', 'A rotation of DKIM keys failed for a reason of ours. It is tried again.', { error }),
  reportsNotSigned: define(
    'warn',
    'No report can be sent: `signing.noKey` is `refuse`, and the domain of `reports.from` has no key.',
    { from: text, reason: text },
  ),

  ...CONSOLE_EVENTS,
  ...TROUBLE,
} as const satisfies Record<string, EventDefinition>;

type EventName = keyof typeof EVENTS;
/** The fields of one event. */
type EventFields<K extends EventName> = FieldValues<(typeof EVENTS)[K]['fields']>;
/** The union of all events. */
export type RelayEvent = { [K in EventName]: { readonly event: K; readonly fields: EventFields<K> } }[EventName];

/** Reports one event. @param level replaces the usual one. */
export type Emit = <K extends EventName>(event: K, fields: EventFields<K>, level?: Level) => void;

/** They come for each host, each session and each daily fetch, so the log has them for developers only, and observers hear them. */
const COUNTED: ReadonlySet<EventName> = new Set(['tlsPolicy', 'tlsSession', 'stsPolicy', 'left']);

/** The fields that identify a session. */
type SessionFacts = { readonly session: string; readonly ip: string; readonly user?: string | undefined };

type HostFacts = { readonly [field in 'mx' | 'ip' | 'tls']?: string | null | undefined } & {
  readonly [field in 'assurance' | 'proof' | 'policyId']?: string | undefined;
};

type AttemptFacts = HostFacts & {
  readonly queueId: string;
  readonly recipient: string;
  readonly user?: string | undefined;
  readonly judged?: JudgedReply | undefined;
  readonly via?: 'fallback' | undefined;
  readonly reply: Reply;
  readonly attempt: number;
  readonly seconds: number;
};

type RefusalFacts = SessionFacts & {
  readonly verb: string;
  readonly reply: Reply;
  readonly reversePath?: string | undefined;
  readonly recipient?: string | undefined;
  readonly cause?: unknown;
};

export type EventLog = ReturnType<typeof createEventLog>;

/** @param observe gets each event too, so that metrics count the same events as the log. */
export function createEventLog(log: Omit<Log, 'write'>, observe: (event: RelayEvent) => void = () => {}) {
  const emit: Emit = (event, fields, level = EVENTS[event].level) => {
    if (level !== 'debug' || COUNTED.has(event)) observe({ event, fields } as RelayEvent);
    log[level](event, fields);
  };
  return {
    emit,
    refused({ reply, cause, ...facts }: RefusalFacts): void {
      const fields = { ...facts, ...spoken(reply) };
      if (cause === undefined) emit('refused', fields);
      else emit('refused', { ...fields, error: cause }, 'error');
    },
    relayed: (facts: AttemptFacts) => emit('relayed', judged(facts)),
    delayed({ nextAttemptAt, uncertain, ...facts }: AttemptFacts & { nextAttemptAt: number; uncertain?: boolean }): void {
      const fields = { ...judged(facts), nextAttemptAt: new Date(nextAttemptAt).toISOString() };
      emit('delayed', uncertain === undefined ? fields : { ...fields, uncertain });
    },
    failed: (facts: AttemptFacts) => emit('failed', judged(facts)),
    certificate: (facts: EventFields<'certificate'>) => emit('certificate', facts, facts.error === undefined ? 'info' : 'warn'),
  };
}

/**
 * The fields `mx`, `ip` and `tls` are always present: null if there was no connection, or no TLS.
 * Each field has its name here, because to copy what is left of an object costs ten times as much.
 */
function judged({
  queueId,
  recipient,
  user,
  attempt,
  seconds,
  mx = null,
  ip = null,
  tls = null,
  assurance,
  proof,
  policyId,
  via,
  judged: as,
  reply: said,
}: AttemptFacts) {
  const { code, status, reply } = spoken(said);
  const fields = {
    queueId,
    recipient,
    user,
    attempt,
    seconds,
    mx,
    ip,
    tls,
    assurance,
    proof,
    policyId,
    via,
    code,
    status,
    reply,
  };
  if (as === undefined) return fields;
  return { ...fields, class: as.class, action: as.action, provider: as.provider, rules: as.rules };
}

const LONGEST_REPLY = 1000;

function spoken(reply: Reply) {
  const line = replyLine(reply);
  return {
    code: reply.code,
    status: reply.status,
    reply: line.length > LONGEST_REPLY ? `${line.slice(0, LONGEST_REPLY)}…` : line,
  };
}

/** The page deploy/events.md. */
export const renderEventsReference = (): string => renderEventsPage(EVENTS);
