/**
 * What a refusal is about, and what follows from it. There are three subjects: the recipient, this message or its domain, and us. Only the
 * first two can end a message.
 */

/** When the reply came. `data` is DATA, the content and the final dot. */
export type ReplyPhase = 'greeting' | 'ehlo' | 'tls' | 'auth' | 'mail' | 'rcpt' | 'data';

/** In the order of a session. */
export const PHASES: readonly ReplyPhase[] = ['greeting', 'ehlo', 'tls', 'auth', 'mail', 'rcpt', 'data'];

/**
 * Whom a reply is about. recipient: this mailbox; message: this text; domain: the domain of the sender; us: our address, our pace, our TLS;
 * credential: who handed the message in; upstream: our account at a host that relays for us; receiver: the other side's own trouble.
 */
export type ReplyScope = 'recipient' | 'message' | 'domain' | 'us' | 'credential' | 'upstream' | 'receiver';

/**
 * retry: the usual schedule; fail: the recipient fails; slow: fewer sessions, then a rest; rest: no session for `seconds`; hold: no session
 * but probes; reconnect: at once in a new session; limit: fewer sessions; family: the other IP family; tls: again with TLS; as-today: the first
 * digit decides.
 */
export type ReplyVerb = 'retry' | 'fail' | 'slow' | 'rest' | 'hold' | 'reconnect' | 'limit' | 'family' | 'tls' | 'as-today';

/** suppress: the address may be one that does not exist; strike: counts against the credential; domain, operator: who is told. */
export type ReplyAlso = 'suppress' | 'strike' | 'domain' | 'operator';

export type ReplyAction = {
  readonly verb: ReplyVerb;
  /** Of `rest`. */
  readonly seconds?: number;
  readonly also: readonly ReplyAlso[];
};

/** Written as in the file of replies: `fail+suppress`, `rest:2h`, `retry+operator`. */
type Actions = { readonly scope: ReplyScope; readonly on4: string; readonly on5: string };

/** What each class is about, and what follows from a reply 4yz and 5yz of it where no row says otherwise. */
const CLASSES = {
  'no-such-user': { scope: 'recipient', on4: 'retry', on5: 'fail+suppress' },
  'mailbox-disabled': { scope: 'recipient', on4: 'retry', on5: 'fail+suppress' },
  'mailbox-full': { scope: 'recipient', on4: 'retry', on5: 'fail' },
  'recipient-rate': { scope: 'recipient', on4: 'retry', on5: 'retry' },
  'recipient-policy': { scope: 'recipient', on4: 'retry', on5: 'fail' },
  'recipient-temp': { scope: 'recipient', on4: 'retry', on5: 'fail' },
  greylist: { scope: 'recipient', on4: 'retry', on5: 'retry' },
  'content-spam': { scope: 'message', on4: 'retry+strike', on5: 'fail+strike' },
  'content-forbidden': { scope: 'message', on4: 'retry', on5: 'fail' },
  'domain-listed': { scope: 'domain', on4: 'retry+domain', on5: 'fail+domain' },
  'too-big': { scope: 'message', on4: 'retry', on5: 'fail' },
  malformed: { scope: 'message', on4: 'retry', on5: 'fail' },
  loop: { scope: 'message', on4: 'retry', on5: 'fail' },
  'auth-fail': { scope: 'domain', on4: 'retry+domain', on5: 'fail+domain' },
  'sender-bad': { scope: 'domain', on4: 'retry+domain', on5: 'fail+domain' },
  'domain-reputation': { scope: 'domain', on4: 'slow+domain', on5: 'fail+domain' },
  rate: { scope: 'us', on4: 'slow', on5: 'slow' },
  concurrency: { scope: 'us', on4: 'limit', on5: 'limit' },
  'session-cap': { scope: 'us', on4: 'reconnect', on5: 'reconnect' },
  'rcpt-cap': { scope: 'us', on4: 'reconnect', on5: 'reconnect' },
  'address-throttled': { scope: 'us', on4: 'slow+operator', on5: 'rest:2h+operator' },
  'address-blocked': { scope: 'us', on4: 'hold', on5: 'hold' },
  'ptr-helo': { scope: 'us', on4: 'retry+operator', on5: 'hold' },
  'ipv6-refused': { scope: 'us', on4: 'family', on5: 'family' },
  'tls-required': { scope: 'us', on4: 'tls', on5: 'tls' },
  busy: { scope: 'receiver', on4: 'retry', on5: 'retry' },
  'relay-denied': { scope: 'recipient', on4: 'retry', on5: 'fail' },
  'upstream-quota': { scope: 'upstream', on4: 'rest:1h+operator', on5: 'rest:1h+operator' },
  'auth-required': { scope: 'upstream', on4: 'rest:1h+operator', on5: 'fail+operator' },
  unknown: { scope: 'message', on4: 'as-today', on5: 'as-today' },
} as const satisfies Readonly<Record<string, Actions>>;

export type ReplyClass = keyof typeof CLASSES;

/** What a reply means. */
export type ReplyJudgement = {
  readonly class: ReplyClass;
  readonly action: ReplyAction;
  /** The text is a receiver's own code for this case, or names our own address. Other judgements about us need a second sign. */
  readonly sure: boolean;
  /** The text is this provider's own code for the case. Absent: a domain that it hosts may have written it. */
  readonly own?: true;
  readonly scope: ReplyScope;
  /** What decided: the line of a file, or the name of a rule. */
  readonly origin: string;
  readonly phase: ReplyPhase;
  /** The version of the known replies. */
  readonly rules: string;
};

export function isReplyClass(word: string): word is ReplyClass {
  return Object.hasOwn(CLASSES, word);
}

export function scopeOf(of: ReplyClass): ReplyScope {
  return CLASSES[of].scope;
}

/** The action of a class where no row says otherwise. @param digit the first one of the code. */
export function classAction(of: ReplyClass, digit: number): ReplyAction {
  const { on4, on5 } = CLASSES[of];
  return ACTIONS.get(digit === 5 ? on5 : on4)!;
}

const VERBS: ReadonlySet<string> = new Set<ReplyVerb>([
  'retry',
  'fail',
  'slow',
  'rest',
  'hold',
  'reconnect',
  'limit',
  'family',
  'tls',
  'as-today',
]);
const ALSO: ReadonlySet<string> = new Set<ReplyAlso>(['suppress', 'strike', 'domain', 'operator']);
const UNITS = { s: 1, m: 60, h: 3600 } as const;

/** `rest:2h+operator` and the like; undefined if it is none. */
export function parseAction(text: string): ReplyAction | undefined {
  const match = /^([a-z-]+)(?::(\d{1,5})([smh]))?((?:\+[a-z]+)*)$/.exec(text);
  if (match === null || !VERBS.has(match[1]!)) return undefined;
  const also = match[4]!.split('+').slice(1);
  if (also.some((word) => !ALSO.has(word)) || (match[2] === undefined) === (match[1] === 'rest')) return undefined;
  return {
    verb: match[1] as ReplyVerb,
    ...(match[2] !== undefined && { seconds: Number(match[2]) * UNITS[match[3] as keyof typeof UNITS] }),
    also: also as ReplyAlso[],
  };
}

/** As `parseAction` reads it. */
export function formatAction({ verb, seconds, also }: ReplyAction): string {
  const rest =
    seconds === undefined
      ? ''
      : seconds % 3600 === 0
        ? `:${seconds / 3600}h`
        : seconds % 60 === 0
          ? `:${seconds / 60}m`
          : `:${seconds}s`;
  return [`${verb}${rest}`, ...also].join('+');
}

const ACTIONS: ReadonlyMap<string, ReplyAction> = new Map(
  Object.values(CLASSES)
    .flatMap(({ on4, on5 }) => [on4, on5])
    .map((text) => [text, parseAction(text)!]),
);
