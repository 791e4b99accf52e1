/**
 * Everything that can happen, once: the lines of the log, the metrics and the page deploy/events.md come from this list. Names and fields are an
 * interface: tools and alerts rely on them, so they are added and never renamed. Never a secret, never content.
 */
import { type Reply, replyLine } from '../smtp/reply.ts';
import type { Log } from '../system/log.ts';

/** What a field holds: the type for the code, the word for the page. */
type Field<T, Optional extends boolean = false> = { readonly holds: string; readonly isOptional: Optional; readonly type?: T };
const field = <T>(holds: string): Field<T> => ({ holds, isOptional: false });
const optional = <T>({ holds }: Field<T>): Field<T, true> => ({ holds, isOptional: true });

const text = field<string>('text');
const count = field<number>('number');
const seconds = field<number>('seconds');
const time = field<string>('ISO 8601, UTC');
const texts = field<readonly string[]>('list of texts');
const error = field<unknown>('message, code, stack, cause');
const maybe = field<string | null>('text or null');
const flag = field<boolean>('true or false');
const listening =
  field<readonly { readonly name: string; readonly address: string; readonly port: number }[]>('list of name, address, port');

const session = { session: text, ip: text, user: optional(text) };
const attempt = {
  queueId: text,
  recipient: text,
  mx: maybe,
  ip: maybe,
  tls: maybe,
  code: count,
  status: text,
  reply: text,
  attempt: count,
  seconds,
};
const refusal = { queueId: text, mx: text, ip: text, tls: maybe, code: count, status: text, reply: text };
const recipient = { queueId: text, recipient: text };

type Level = 'debug' | 'info' | 'warn' | 'error';
type Definition = {
  readonly level: Level;
  readonly about: string;
  readonly fields: Readonly<Record<string, Field<any, boolean>>>;
};

const define = <F extends Definition['fields']>(level: Level, about: string, fields: F) => ({ level, about, fields });

/** In the order of the page. The level is the usual one; where a thing needs somebody, the same event comes as a warning or an error. */
export const EVENTS = {
  started: define('info', 'Every port is open.', { version: text, pid: count, listen: listening }),
  stopped: define('info', 'The relay has ended in order.', { reason: text }),
  reloaded: define('info', 'The configuration was read again and counts.', {}),
  reloadRefused: define('error', 'The configuration has mistakes: nothing was changed.', { problems: texts }),
  reloadFailed: define('error', 'Reading the configuration again failed for a reason of ours.', { error }),
  restartNeeded: define('warn', 'Settings that only a restart changes were changed.', { settings: texts }),
  crashed: define('error', 'A fault of ours ends the process. A restart loses nothing.', { error }),
  notClosed: define('error', 'A part did not close in order while the relay stopped.', { error }),

  connected: define('info', 'A client has a session.', { session: text, listener: text, ip: text }),
  authenticated: define('info', 'A login was right.', { ...session, mechanism: text }),
  authFailed: define('warn', 'A login was wrong.', { ...session, mechanism: text, reason: optional(text) }),
  refused: define('info', 'A client was told no; an error where the fault is ours.', {
    ...session,
    verb: text,
    code: count,
    status: text,
    reply: text,
    reversePath: optional(text),
    recipient: optional(text),
    error: optional(error),
  }),
  failureNotKept: define('error', 'A failed login counts until the next start only: the store could not keep it.', { error }),
  bareNewline: define('info', 'A message had bare CR or LF, which became CRLF.', { session: text, queueId: text }),
  tlsFailed: define('warn', 'A handshake failed: with a destination, or (debug) with a client.', {
    listener: optional(text),
    mx: optional(text),
    ip: text,
    reply: optional(text),
    next: optional(text),
    reason: optional(text),
  }),

  accepted: define('info', 'A message is safe on disk.', {
    queueId: text,
    session: optional(text),
    ip: optional(text),
    user: maybe,
    reversePath: text,
    recipients: texts,
    size: count,
    messageId: text,
    signatures: texts,
  }),
  acceptedButFailed: define('error', 'A message was accepted; what follows acceptance failed for a reason of ours.', {
    queueId: text,
    error,
  }),
  eightBitHeader: define('warn', 'A header has octets beyond ASCII, and SMTPUTF8 was not asked for.', { queueId: text }),
  malformedHeader: define('warn', 'A header has a mistake that the operator chose to let pass.', {
    queueId: text,
    problem: text,
  }),
  spoolNotRemoved: define('warn', 'The file of a message that was not accepted could not be removed; the next start does it.', {
    queueId: text,
    error,
  }),
  unsigned: define('warn', 'A message leaves without a signature of its domain.', { domain: text, reason: text }),
  weakDkimKey: define('warn', 'A DKIM key is short.', { domain: text, selector: text, bits: count, recommended: count }),

  relayed: define('info', 'The destination took it for this recipient.', attempt),
  delayed: define('info', 'It is tried again; `uncertain` where the reply to the final dot was lost.', {
    ...attempt,
    nextAttemptAt: time,
    uncertain: optional(flag),
  }),
  failed: define(
    'info',
    'It ends for this recipient: the destination said so, or the recipient cannot be reached by anybody.',
    attempt,
  ),
  expired: define('info', 'Its time is over for this recipient.', recipient),
  removed: define('info', 'An operator removed it for this recipient.', recipient),
  held: define('info', 'It waits for an operator, or for the limits to allow it.', recipient),
  released: define('info', 'An operator, or a limit with room again, let it go on.', recipient),
  reported: define('info', 'A delivery report was written.', { queueId: text, about: text, action: text }),
  notReported: define('info', 'No delivery report was written, and why.', { queueId: text, action: text, reason: text }),
  reportFailed: define('error', 'A delivery report could not be written; it is tried again unless `givenUp`.', {
    queueId: text,
    kind: text,
    givenUp: flag,
    error,
  }),
  originalUnreadable: define('error', 'A delivery report goes without the original, which could not be read.', {
    queueId: text,
    error,
  }),
  rerouted: define('info', 'Mail that waits takes the way that the routes say now.', { recipients: count }),

  resting: define('warn', 'A destination asks for less, or does not answer: it is left alone for a while.', {
    hosts: text,
    until: time,
    failures: optional(count),
    sender: optional(text),
    reason: text,
  }),
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
    'A host takes no mail from us in a session, whatever the mail. It is tried again, there and at the next host.',
    refusal,
  ),
  upstreamRefused: define(
    'error',
    'The upstream of a route takes no mail from us. Its mail waits; look at the route and its login.',
    refusal,
  ),
  upstreamLoginFailed: define('error', 'The upstream of a route refused our login. Its mail waits.', {
    mx: text,
    ip: text,
    user: text,
    code: count,
    status: text,
    reply: text,
  }),
  outbound25: define('warn', 'At the start no mail server could be reached on port 25: what was tried, and what to do.', {
    family: text,
    found: text,
    advice: text,
  }),
  outboundNotLookedAt: define('error', 'That look failed for a reason of ours.', { error }),
  limit: define('warn', 'A credential is at 80 % or 100 % of a limit.', {
    user: text,
    percent: count,
    kind: text,
    count,
    per: text,
    used: count,
    resetsAt: time,
  }),
  noticeFailed: define('error', 'A notice to the operator could not be sent.', { user: text, percent: count, error }),

  certificate: define('info', 'A certificate was loaded, renewed, kept, or ends; a warning where it needs you.', {
    action: text,
    keyType: text,
    notAfter: optional(time),
    error: optional(text),
    nextAttemptAt: optional(time),
  }),
  certificateTrouble: define('error', 'Looking after certificates failed for a reason of ours; it is tried again.', {
    keyType: optional(text),
    error,
  }),
  acmeAccount: define('info', 'An account with the certificate authority was made.', {
    directory: text,
    account: text,
    acceptedTerms: optional(text),
  }),
  renewalInformation: define('debug', 'The authority did not say when to renew.', { keyType: text, error: text }),
  dkimKey: define('info', 'A DKIM key changed its state.', { action: text, domain: text, selector: text, algorithm: text }),
  dkimKeyCreated: define('info', 'The host name’s own domain has a key.', { domain: text }),
  dkimRotation: define('error', 'A rotation of DKIM keys failed for a reason of ours; it is tried again.', { error }),
  reportsNotSigned: define(
    'warn',
    '`signing.noKey: refuse`, and no key for the domain of `reports.from`: no report can be sent.',
    {
      from: text,
      reason: text,
    },
  ),

  damaged: define('error', 'An entry of the queue is damaged: it was set aside.', { queueId: text, reason: text }),
  storeTrouble: define('error', 'The store could not do what was asked; clients hear 4xx meanwhile.', { error }),
  storeFailed: define('error', 'A step of the queue failed; it is tried again.', { operation: text, error }),
  settleFailed: define('error', 'An outcome could not be stored; it is tried until it is.', { queueId: text, error }),
  settleAbandoned: define('error', 'An outcome could not be stored before the relay ended: the attempt counts as uncertain.', {
    queueId: text,
    error,
  }),
  deliveryFailed: define('error', 'An attempt failed for a reason of ours: the mail is delayed.', { queueId: text, error }),
  deliveryBroken: define('error', 'An attempt ended without an outcome for a reason of ours: the mail is delayed.', {
    queueId: text,
    error,
  }),
  pacingNotStored: define('error', 'How long destinations rest could not be stored.', { error }),
  givenBack: define('warn', 'Mail whose acceptance had no answer was taken back.', { recipients: count }),
  takenBack: define('warn', 'Mail that another process of this relay held is due again.', { recipients: count }),
  claimLost: define(
    'warn',
    'Mail that this process tried had been given to another, because it stood still for too long; its outcome does not count.',
    {
      ...{ queueId: text, recipients: count },
    },
  ),
  clockJumped: define('warn', 'The clock was set.', { seconds: count }),
  clockCorrected: define('warn', 'Times that lay too far ahead were brought back.', { recipients: count }),
  routesNotFollowed: define('error', 'Mail that waits could not be given its new way.', { error }),
  retriesNotRead: define('error', 'Whether an operator asked for a retry could not be read.', { error }),
  traceNotTrimmed: define('error', 'Old traces could not be removed.', { error }),
  noticesNotRead: define('error', 'What commands changed could not be told in the log.', { error }),
  fileSystem: define('warn', 'The data lie where a sync may be a lie.', { dataDir: text, reason: text }),
  logLinesLost: define('warn', 'Who reads the log was away: so many lines were dropped. No mail waited for them.', {
    lines: count,
  }),
} as const satisfies Record<string, Definition>;

type EventName = keyof typeof EVENTS;
type Values<F> = {
  readonly [K in keyof F as F[K] extends Field<any, true> ? never : K]: F[K] extends Field<infer T, boolean> ? T : never;
} & {
  readonly [K in keyof F as F[K] extends Field<any, true> ? K : never]?:
    | (F[K] extends Field<infer T, boolean> ? T : never)
    | undefined;
};
/** The fields of one event. */
type EventFields<K extends EventName> = Values<(typeof EVENTS)[K]['fields']>;
/** The union of what can happen. */
export type RelayEvent = { [K in EventName]: { readonly event: K; readonly fields: EventFields<K> } }[EventName];

/** Tells one event. @param level instead of the usual one. */
export type Emit = <K extends EventName>(event: K, fields: EventFields<K>, level?: Level) => void;

/** What a session is known by. */
type SessionFacts = { readonly session: string; readonly ip: string; readonly user?: string | undefined };

type AttemptFacts = {
  readonly queueId: string;
  readonly recipient: string;
  readonly mx?: string | null | undefined;
  readonly ip?: string | null | undefined;
  readonly tls?: string | null | undefined;
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

/** @param observe is told each event that is told, so that metrics count what the log says. */
export function createEventLog(log: Log, observe: (event: RelayEvent) => void = () => {}) {
  const emit: Emit = (event, fields, level = EVENTS[event].level) => {
    if (level !== 'debug') observe({ event, fields } as RelayEvent);
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
    delayed: ({ nextAttemptAt, ...facts }: AttemptFacts & { nextAttemptAt: number; uncertain?: boolean }) =>
      emit('delayed', { ...judged(facts), nextAttemptAt: new Date(nextAttemptAt).toISOString() }),
    failed: (facts: AttemptFacts) => emit('failed', judged(facts)),
    certificate: (facts: EventFields<'certificate'>) => emit('certificate', facts, facts.error === undefined ? 'info' : 'warn'),
  };
}

/** Host, address and TLS are always named: null where it came not so far, or in clear. */
function judged<F extends AttemptFacts>({ reply, mx = null, ip = null, tls = null, ...facts }: F) {
  return { ...facts, mx, ip, tls, ...spoken(reply) };
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
export function renderEventsReference(): string {
  const rows = Object.entries<Definition>(EVENTS).map(([name, { level, about, fields }]) => {
    const named = Object.entries(fields).map(([key, { isOptional }]) => `\`${key}${isOptional ? '?' : ''}\``);
    return `| \`${name}\` | ${level} | ${about} | ${named.join(' ')} |`;
  });
  return `# Events

<!-- Generated from src/events/events.ts by npm run reference. Change it there. -->

Each line of the log is one JSON object with \`time\` (ISO 8601, UTC), \`level\`, \`event\`, and the fields of that event; those with \`?\` are left out where there is
nothing to say. Names and fields stay as they are from one version to the next; new ones may come. What to do about an event: [README.md](README.md).

| event | level | tells | fields |
| --- | --- | --- | --- |
${rows.join('\n')}
`;
}
