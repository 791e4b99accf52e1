/**
 * Every reply and every failure becomes a verdict here, and nowhere else: RFC 5321 §4.2.1 and §4.2.4, RFC 3463.
 * Unknown means temporary: only a clear 5yz to MAIL, RCPT, DATA or the final dot, or a clear answer of the DNS, is final.
 *
 * A verdict is about us or about the message, and these are two types. About us is what holds because of our session, our TLS,
 * our login, our look-ups, our limits or our clock: it delays mail, and has no way to end it. Only AboutMessage can be `failed`.
 */
import type { AttemptEnd, FinalReply } from '../smtp/outcome.ts';
import type { Reply } from '../smtp/reply.ts';
import { cleanReply, type RemoteReply, toReply } from './reply-reader.ts';
import { judgeReply, type ReplyQuestion } from './shaping/judgement.ts';
import type { ReplyClass, ReplyJudgement, ReplyPhase, ReplyVerb } from './shaping/reply-class.ts';

/** The step whose reply is awaited: RFC 5321 §4.3.2. `content` is the sending after 354, `dot` the wait that follows. */
export type Stage =
  | 'connect'
  | 'greeting'
  | 'EHLO'
  | 'STARTTLS'
  | 'handshake'
  | 'AUTH'
  | 'RSET'
  | 'MAIL'
  | 'RCPT'
  | 'DATA'
  | 'content'
  | 'dot'
  | 'QUIT';

/**
 * unreachable: no connection; lost: cut by the other side or the network; malformed: what came is no SMTP reply, or one too many;
 * tls: no encryption where the policy demands it; login: an upstream does not let us in; aborted: we stop;
 * local: our own store or code failed; shortage: this machine has no file or memory left for a connection; offline: its network is
 * down, or has no way there; barred: its firewall, or a `delivery.source` that it does not have, forbids the connection.
 */
export type FailureKind =
  | 'shortage'
  | 'unreachable'
  | 'timeout'
  | 'lost'
  | 'malformed'
  | 'tls'
  | 'login'
  | 'aborted'
  | 'local'
  | 'offline'
  | 'barred';

export type SessionFailure = { readonly kind: FailureKind; readonly stage: Stage; readonly detail: string };

/**
 * What an attempt says about the host set: clean: it takes mail; alive: it answers, and the answer concerns this message or
 * recipient only; sender: it wants nothing from this sender for a while; slow: less at a time; block: stop for a while; none: nothing,
 * it was not asked.
 */
export type PaceEffect = 'clean' | 'alive' | 'sender' | 'slow' | 'block' | 'none';

type Consequences = {
  /** Another host of the same destination may know better, at once. */
  readonly tryNext: boolean;
  readonly pace: PaceEffect;
  /** What the refusal is about. Absent where no host has refused anything. */
  readonly judgement?: ReplyJudgement;
};

/** Says nothing about the message: it waits. */
export type AboutUs = Consequences & {
  readonly about: 'us';
  readonly kind: 'delayed' | 'returned';
  readonly reply: Reply;
  /** The host has refused a transaction, and would refuse others. */
  readonly refusal?: true;
  /** Only the operator can end it, so the lifetime of a message does not. */
  readonly waitsForUs?: true;
};

/** What a host, or the DNS, says about this message or recipient. */
type AboutMessage = Consequences & { readonly about: 'message' } & (
    | { readonly kind: Exclude<AttemptEnd, 'failed'>; readonly reply: Reply }
    | { readonly kind: 'failed'; readonly reply: FinalReply }
  );

export type Verdict = AboutUs | AboutMessage;

/** Steps before the first MAIL: what is said there is about us, not about a message. */
export type SessionStage = 'greeting' | 'EHLO' | 'STARTTLS' | 'AUTH' | 'RSET';
/** Steps of a transaction. */
export type MessageStage = 'MAIL' | 'RCPT' | 'DATA' | 'content' | 'dot';

/** What our side of a session is like when something is said in it. */
export type Standing = {
  /**
   * on: encrypted; off: in clear, because the host does not offer TLS or the operator wants none; failed: in clear, because the
   * TLS that the host offers had failed. A host that demands TLS refuses everything then, in whatever words.
   */
  readonly tls: 'on' | 'off' | 'failed';
  /** The operator's route led here: the host relays for us, so it judges what we may, besides the message. */
  readonly upstream: boolean;
  readonly parties?: Parties;
};

/** Who talks to whom. A refusal that names us is about us, and each provider has words of its own. */
export type Parties = Pick<ReplyQuestion, 'provider' | 'ownAddresses' | 'ownNames' | 'replies'>;

/** A reply that ends a session before its first transaction: any but 2yz. It never says anything about a message. */
export function judgeSession(stage: SessionStage, remote: RemoteReply, parties?: Parties): AboutUs {
  const { code } = remote;
  if (stage === 'AUTH' && code !== 421) return judgeLogin(remote);
  if (code < 400) return judgeFailure(outOfPlace(stage, remote));
  const judgement = judgementOf(stage, remote, parties);
  // A host that takes no mail, or none of ours, does not speak for the recipient: RFC 5321 §3.1 names 554 at the greeting.
  return aboutUs(toReply(remote, 4), { tryNext: true, pace: 'block', judgement });
}

const PHASES: { readonly [stage in SessionStage | MessageStage]: ReplyPhase } = {
  greeting: 'greeting',
  EHLO: 'ehlo',
  STARTTLS: 'tls',
  AUTH: 'auth',
  RSET: 'mail',
  MAIL: 'mail',
  RCPT: 'rcpt',
  DATA: 'data',
  content: 'data',
  dot: 'data',
};

function judgementOf(stage: SessionStage | MessageStage, remote: RemoteReply, parties?: Parties): ReplyJudgement {
  return judgeReply({ phase: PHASES[stage], reply: toReply(remote), ...parties });
}

/** Our own wrong password never returns a sender's mail. */
function judgeLogin(remote: RemoteReply): AboutUs {
  const reply = { ...toReply(remote, 4), status: '4.7.8', words: cleanReply(remote.lines.join('\n')) };
  return { ...aboutUs(reply, { tryNext: true, pace: 'block' }), waitsForUs: true };
}

/** A reply that ends something for a recipient: any but 2yz to MAIL or RCPT and 354 to DATA. */
export function judgeTransaction(stage: MessageStage, remote: RemoteReply, standing: Standing): Verdict {
  if (remote.code >= 400) {
    const judgement = judgementOf(stage, remote, standing.parties);
    return { ...judgeNegative(stage, remote, standing, judgement), judgement };
  }
  if (stage !== 'dot') return judgeFailure(outOfPlace(stage, remote));
  if (remote.code < 300) return aboutMessage('relayed', toReply(remote), { tryNext: false, pace: 'clean' });
  return judgeAfterDot(outOfPlace(stage, remote));
}

function judgeNegative(stage: MessageStage, remote: RemoteReply, standing: Standing, judgement: ReplyJudgement): Verdict {
  const { code } = remote;
  if (code === 421) {
    if (isAboutThisMail(judgement)) return aboutMessage('delayed', toReply(remote), { tryNext: false, pace: 'alive' });
    return aboutUs(toReply(remote), { tryNext: true, pace: 'block' });
  }
  if (isTlsPolicy(remote)) return aboutMessage('delayed', toReply(remote, 4), { tryNext: false, pace: 'alive' });
  if (stage === 'RCPT' && code === 552 && (judgement.class === 'rcpt-cap' || judgement.class === 'unknown')) {
    // Too many recipients, said in the words of RFC 821: RFC 5321 §4.5.3.1.10.
    return aboutMessage('delayed', toReply(remote, 4), { tryNext: false, pace: 'alive' });
  }
  const isTheirAccount = judgement.scope === 'upstream' && !standing.upstream && isAccountState(remote, judgement);
  const isOurs = code >= 500 && (judgement.scope === 'us' || (judgement.action.verb === 'rest' && !isTheirAccount));
  if (isOurs || isAboutSession(stage, remote, standing)) {
    const { verb } = judgement.action;
    const pace = isOurs && ASK_FOR_LESS.has(verb) ? 'slow' : 'alive';
    // The other address family of this host is asked after all others.
    const verdict: AboutUs = { ...aboutUs(toReply(remote, 4), { tryNext: !isOurs || verb !== 'family', pace }), refusal: true };
    return standing.upstream && code >= 500 ? { ...verdict, waitsForUs: true } : verdict;
  }
  if (code < 500) return aboutMessage('delayed', toReply(remote), { tryNext: false, pace: paceOf(stage, remote, judgement) });
  // The receiver says that it is its own trouble, or that it passes.
  if (judgement.action.verb === 'retry') return aboutMessage('delayed', toReply(remote, 4), { tryNext: false, pace: 'alive' });
  return failed(toReply(remote), { tryNext: false, pace: 'alive' });
}

/**
 * An account is not paid, not verified or closed, in words of no known reply. At a host of the recipient that is an account of the
 * recipient's domain. A limit may be for us.
 */
function isAccountState(remote: RemoteReply, { origin }: ReplyJudgement): boolean {
  return origin.startsWith('rule') && !/limit|quota|exceed|activity|you have|your account/i.test(toReply(remote).text);
}

/** Other mail of ours gets in. */
function isAboutThisMail({ class: found, scope }: ReplyJudgement): boolean {
  return found !== 'unknown' && (scope === 'recipient' || scope === 'message' || scope === 'domain');
}

const ASK_FOR_LESS: ReadonlySet<ReplyVerb> = new Set<ReplyVerb>(['hold', 'slow', 'rest', 'limit', 'family']);

/** How many attempts a refusal 5yz is worth that says "later": it is the receiver's, so it does not last for the lifetime of the mail. */
const PATIENCE: { readonly [found in ReplyClass]?: number } = { busy: 1, 'recipient-rate': 7 };

/** The verdict on a recipient with so many attempts before this one, without those that failed because of us. */
export function endPatience(verdict: Verdict, attempts: number): Verdict {
  const { judgement, reply } = verdict;
  const most = judgement === undefined ? undefined : PATIENCE[judgement.class];
  if (verdict.kind !== 'delayed' || verdict.about === 'us' || reply.code < 500 || most === undefined || attempts < most)
    return verdict;
  return failed(
    { ...reply, status: `5${reply.status.slice(1)}` },
    { tryNext: false, pace: verdict.pace, ...(judgement !== undefined && { judgement }) },
  );
}

/** Encryption or a login is missing, or the login does not do: RFC 3207 §4, RFC 4954 §6. */
const ENTRY_CODES: ReadonlySet<number> = new Set([530, 534, 535, 538]);
/** A command is unknown, or comes at the wrong time: RFC 5321 §4.2.2. What we sent is right, so we are out of step. */
const COMMAND_CODES: ReadonlySet<number> = new Set([500, 502, 503]);
/**
 * The same by status: the host is full, stopped or misconfigured (RFC 3463 §3.4), congested or its quota for us is used up (§3.5);
 * a login or encryption is missing or does not do (RFC 4954 §6, RFC 5248 §2.4).
 */
const SESSION_STATUSES: ReadonlySet<string> = new Set(
  ['3.1', '3.2', '3.5', '4.5', '7.8', '7.9', '7.10', '7.11', '7.13', '7.14'].map((rest) => `5.${rest}`),
);
/** "Host does not accept mail", said with 5.3.2: RFC 7504 §3. */
const NEVER_ACCEPTS = 521;
const TLS_WORDS = /\b(?:start)?tls\b|encrypt/i;

/** The refusal would not have come, or may not have come, in a session without our shortcoming. */
function isAboutSession(stage: MessageStage, remote: RemoteReply, { tls, upstream }: Standing): boolean {
  const { code } = remote;
  const { status, text } = toReply(remote);
  const isEnvelope = stage === 'MAIL' || stage === 'RCPT' || stage === 'DATA';
  if (code < 500) return tls === 'failed' && status.startsWith('4.7.') && !isGreylisting(remote);
  if (tls === 'failed' || ENTRY_CODES.has(code)) return true;
  if (SESSION_STATUSES.has(status) && code !== NEVER_ACCEPTS) return true;
  if (isEnvelope && (COMMAND_CODES.has(code) || (tls === 'off' && TLS_WORDS.test(text)))) return true;
  return upstream && (isQuota(code, status, text) || (isEnvelope && isRelayingDenied(status, text)));
}

const RIGHTS: ReadonlySet<string> = new Set(['5.0.0', '5.7.0', '5.7.1', '5.7.54', '5.7.57', '5.7.64']);

/** An upstream that does not know us (any more): no status of its own says so, thus its words decide. */
function isRelayingDenied(status: string, text: string): boolean {
  return RIGHTS.has(status) && /\brelay|authenticat|\blog(?:ged)? ?in\b/i.test(text);
}

/** An upstream's limit for our account, in the words of its documentation. Limits of a mailbox and of sizes are not ours. */
function isQuota(code: number, status: string, text: string): boolean {
  if (code === 552 || status.startsWith('5.2.') || status === '5.3.4') return false;
  return /\b(?:limit|quota|exceeded)\b/i.test(text) && !/size|large|\bbig|mailbox|inbox|storage|header|line/i.test(text);
}

/** Characters that are searched for words. */
const MAX_READ = 600;
/** Exchange Online has them for MTA-STS, for certificates, and for DANE by the result types of RFC 8460 §4.3. Others give X.7.5 other meanings. */
const TLS_POLICY_STATUS = /^[45]\.(?:4\.8|7\.5|7\.32[1-5])$/;
const TLS_POLICY_WORDS = /\b(?:mta-sts|dane|tlsa|dnssec|tls|starttls\S*|certificate\S*)\b/i;

/**
 * A host that relays for us, or receives us, says that a TLS policy was not met. Neither the message nor its sender can change that, and the
 * domain that publishes the policy can. So it delays, as where we find it out ourselves: RFC 7672 §2.2, RFC 8461 §5.
 */
function isTlsPolicy(remote: RemoteReply): boolean {
  const { status, text } = toReply(remote);
  return TLS_POLICY_STATUS.test(status) && TLS_POLICY_WORDS.test(text.slice(0, MAX_READ));
}

/** "The sender is not authorized" (RFC 3463 §3.8), and what SPF says of its domain. Other X.7.z at MAIL speak of our address, mostly. */
const ABOUT_SENDER: readonly string[] = ['4.7.1', '4.7.23', '4.7.24'];

/** What is about this mail passes by itself or not at all; other policy refusals (X.7.x) and X.4.2 ask for less. */
function paceOf(stage: MessageStage, remote: RemoteReply, judgement: ReplyJudgement): PaceEffect {
  const { status } = toReply(remote);
  if (judgement.scope === 'us' && ASK_FOR_LESS.has(judgement.action.verb) && stage !== 'MAIL') return 'slow';
  if (!status.startsWith('4.7.') && status !== '4.4.2') return 'alive';
  if (stage === 'MAIL') return ABOUT_SENDER.includes(status) ? 'sender' : 'block';
  return isAboutThisMail(judgement) ? 'alive' : 'slow';
}

function isGreylisting(remote: RemoteReply): boolean {
  return /gr[ae]y/i.test(toReply(remote).text);
}

function outOfPlace(stage: Stage, { code, lines }: RemoteReply): SessionFailure {
  return { kind: 'malformed', stage, detail: `an answer out of place: ${code} ${lines[0] ?? ''}` };
}

/** A parameter is unknown, or its value does not please: RFC 5321 §4.1.1.11. A host that announces more than it knows says so. */
export function isAboutParameters({ code }: RemoteReply): boolean {
  return code === 501 || code === 504 || code === 555;
}

/** The transaction has no room for one more recipient: RFC 5321 §4.5.3.1.10. Statuses of a mailbox, a system or a size say something else. */
export function isTransactionFull({ code, lines }: RemoteReply): boolean {
  return (code === 452 || code === 552) && !/^[45]\.[23]\./.test(lines[0] ?? '');
}

const FAILURES: { readonly [kind in SessionFailure['kind']]: { readonly status: string; readonly say: string } } = {
  unreachable: { status: '4.4.1', say: 'Cannot connect' },
  timeout: { status: '4.4.2', say: 'No answer in time' },
  lost: { status: '4.4.2', say: 'Connection lost' },
  malformed: { status: '4.5.0', say: 'The host does not speak SMTP' },
  tls: { status: '4.7.5', say: 'Encryption failed' },
  login: { status: '4.7.8', say: 'Cannot log in to the upstream' },
  aborted: { status: '4.3.2', say: 'The relay is shutting down' },
  local: { status: '4.3.0', say: 'Internal error of the relay' },
  shortage: { status: '4.3.0', say: 'The relay has no room for a connection' },
  offline: { status: '4.4.1', say: 'This machine has no way there' },
  barred: { status: '4.4.1', say: 'This machine may not connect' },
};

/** A failure at any stage before the final dot has left. */
export function judgeFailure(failure: SessionFailure): AboutUs {
  const { kind, stage } = failure;
  const reply = replyOf(failure);
  if (kind === 'aborted') return returned(reply);
  if (kind === 'local' || kind === 'shortage') return { ...aboutUs(reply, { tryNext: false, pace: 'none' }), waitsForUs: true };
  // Another address family may have a way. The hosts have no part in it, and are not rested.
  if (kind === 'offline') return aboutUs(reply, { tryNext: true, pace: 'none' });
  if (kind === 'barred') return { ...aboutUs(reply, { tryNext: true, pace: 'none' }), waitsForUs: true };
  if (kind === 'login') return { ...aboutUs(reply, { tryNext: true, pace: 'block' }), waitsForUs: true };
  return aboutUs(reply, { tryNext: true, pace: stage === 'content' ? 'slow' : 'block' });
}

/**
 * After the final dot only the far side knows what became of the message: RFC 1047. That holds for an answer which makes no sense
 * as for one that does not come. A second copy at another host would be our doing. Log, trace and report quote the
 * reply, so it says that the message may have arrived.
 */
export function judgeAfterDot(failure: SessionFailure): AboutMessage {
  const pace = failure.kind === 'aborted' ? 'none' : 'slow';
  const reply = replyOf(failure);
  const text = `The message may have arrived, the host has not confirmed it. ${reply.text}`;
  return aboutMessage('uncertain', { ...reply, text }, { tryNext: false, pace });
}

function replyOf({ kind, stage, detail }: SessionFailure): Reply {
  const { status, say } = FAILURES[kind];
  const unreached = kind === 'timeout' && stage === 'connect';
  return { code: 451, status: unreached ? '4.4.1' : status, text: cleanReply(`${say} (${stage}): ${detail}`) };
}

/** What is found out before any connection, and holds whatever we do: the DNS, or the message, says so. */
const FINAL_PROBLEMS = {
  nullMx: { code: 556, status: '5.1.10' }, // RFC 7505 §4.1
  noDomain: { code: 550, status: '5.1.2' },
  noHost: { code: 550, status: '5.4.4' },
  literal: { code: 550, status: '5.1.2' },
  loop: { code: 554, status: '5.4.6' },
  reserved: { code: 550, status: '5.4.4' },
  onlyIpv6: { code: 550, status: '5.4.4' },
  onlyIpv4: { code: 550, status: '5.4.4' },
  noSmtpUtf8: { code: 550, status: '5.6.7' }, // RFC 6531 §3.5
  no8BitMime: { code: 554, status: '5.6.3' }, // RFC 6152 §3
  badAddress: { code: 553, status: '5.1.3' },
} as const;

/** What is found out before any connection, and may hold because of us. */
const OUR_PROBLEMS = {
  dns: { code: 451, status: '4.4.3' },
  /** Our resolver answers nothing. */
  blind: { code: 451, status: '4.4.3' },
  unrouted: { code: 451, status: '4.4.4' },
  /** Perhaps the operator's network, which is not allowed yet. */
  private: { code: 451, status: '4.4.4' },
  noSmtpUtf8: { code: 451, status: '4.6.7' },
  no8BitMime: { code: 451, status: '4.6.3' },
} as const;

export type FinalProblem = keyof typeof FINAL_PROBLEMS;
type OurProblem = keyof typeof OUR_PROBLEMS;

/** @param text what the sender may read in a report. */
export function judgeProblem(problem: FinalProblem, text: string): AboutMessage {
  return failed({ ...FINAL_PROBLEMS[problem], text: cleanReply(text) }, { tryNext: false, pace: 'none' });
}

/**
 * The host does not offer what the message needs. Another one may, so it is asked before that is final. @param certain the host
 * has shown all that it offers. @param text what the sender may read in a report.
 */
export function judgeLack(problem: 'noSmtpUtf8' | 'no8BitMime', text: string, certain: boolean): Verdict {
  return { ...(certain ? judgeProblem(problem, text) : judgeOurProblem(problem, text)), tryNext: true };
}

/** @param text what the sender may read in a report. */
export function judgeOurProblem(problem: OurProblem, text: string): AboutUs {
  const verdict = aboutUs({ ...OUR_PROBLEMS[problem], text: cleanReply(text) }, { tryNext: false, pace: 'none' });
  return problem === 'blind' ? { ...verdict, waitsForUs: true } : verdict;
}

/**
 * A host does not meet what is demanded of its TLS, or whether it does could not be found out: RFC 7672 §2.2, RFC 8461 §5. @param type of
 * RFC 8460 §4.3. @param byOperator it is the operator's demand, so no mail would get in; others are no reason to rest hosts that other
 * domains share.
 */
export function judgeUnmet(type: string, text: string, byOperator: boolean): AboutUs {
  const status = type === 'starttls-not-supported' ? '4.7.4' : '4.7.5';
  const pace = type === 'dnssec-invalid' ? 'alive' : byOperator && type !== 'dane-required' ? 'block' : 'none';
  return aboutUs({ code: 451, status, text: cleanReply(text) }, { tryNext: true, pace });
}

/**
 * No host of the destination can be given mail that must not leave without verified TLS, and all have shown it: RFC 8689 §4.2.1.
 * @param keyword a host was verified, and does not offer REQUIRETLS. @param text what the sender may read in a report.
 */
export function judgeRequireTls(keyword: boolean, text: string): AboutMessage {
  return failed({ code: 550, status: keyword ? '5.7.30' : '5.7.10', text: cleanReply(text) }, { tryNext: false, pace: 'none' });
}

/** Nothing was tried: a host set is blocked, or too many wait for a session. @param text what the sender may read in a report. */
export function judgeReturned(text: string): AboutUs {
  return returned({ code: 451, status: '4.4.5', text });
}

function returned(reply: Reply): AboutUs {
  return { about: 'us', kind: 'returned', reply, tryNext: false, pace: 'none' };
}

/** Nothing was tried, because the relay stops. */
export const STOPPED: AboutUs = returned({ code: 451, status: '4.3.2', text: 'The relay is shutting down' });

function aboutUs(reply: Reply, consequences: Consequences): AboutUs {
  return { about: 'us', kind: 'delayed', reply, ...consequences };
}

function aboutMessage(kind: Exclude<AttemptEnd, 'failed'>, reply: Reply, consequences: Consequences): AboutMessage {
  return { about: 'message', kind, reply, ...consequences };
}

/** What only the mailbox can be meant by, whoever passes it on. */
const OF_MAILBOX: ReadonlySet<ReplyClass> = new Set<ReplyClass>(['no-such-user', 'mailbox-disabled', 'mailbox-full']);

/** The verdict of another relay, by which mail leaves that would only wait otherwise: it ends nothing but a mailbox that does not exist. */
export function judgeByFallback(verdict: Verdict): Verdict {
  const { kind, reply, judgement, pace } = verdict;
  if (kind !== 'failed' || OF_MAILBOX.has(judgement?.class ?? 'unknown')) return verdict;
  const waits = { ...reply, status: reply.status.replace(/^5/, '4') };
  return aboutUs(waits, { tryNext: false, pace, ...(judgement !== undefined && { judgement }) });
}

/** The only place that ends anything. */
function failed(reply: Reply, consequences: Consequences): AboutMessage {
  return { about: 'message', kind: 'failed', reply: reply as FinalReply, ...consequences };
}
