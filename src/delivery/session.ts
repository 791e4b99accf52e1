/**
 * One conversation with one host, up to where mail can be sent: RFC 5321 §3.1 and §3.2, RFC 3207, RFC 4954.
 *
 * The client is our own, not nodemailer's: that one has one NOTIFY and ORCPT for all recipients, one inactivity timer for
 * all phases, sends SMTPUTF8 addresses raw to hosts without the extension, is out of step after an early 5yz in DATA, and
 * passes every body through a stream transform. test/bench/delivery-bench.ts shows what the last one costs.
 */
import type { EventLog } from '../events/events.ts';
import type { Assurance } from '../tls-policy/tls-policy.ts';
import { Connection, type Milliseconds } from './connection.ts';
import { type Extensions, NO_EXTENSIONS, parseExtensions } from './extensions.ts';
import { anonymous, type Handshake, judgeHandshake } from './handshake.ts';
import type { RemoteReply } from './reply-reader.ts';
import { type CountedFailure, countSession, nameInGreeting, type SessionResults } from './session-results.ts';
import type { ReplyTable } from './shaping/reply-table.ts';
import { type Encryption, hasChecks, type TlsPolicy } from './tls.ts';
import { type Basis, EHLO_REFUSED, NO_REQUIRETLS, NO_STARTTLS, passedOver, tellFault, type Unmet, unmetBy } from './unmet.ts';
import { logInUpstream, type UpstreamLogin } from './upstream-login.ts';
import {
  type AboutUs,
  judgeFailure,
  judgeSession,
  type Parties,
  type SessionFailure,
  type SessionStage,
  type Standing,
} from './verdict.ts';

/** One address of one host, and the way to talk to it. */
export type Target = {
  /** Host name. */
  readonly mx: string;
  readonly ip: string;
  readonly family: 4 | 6;
  readonly port: number;
  /** Local address to send from. */
  readonly source?: string | undefined;
  readonly tls: TlsPolicy;
  readonly basis: Basis;
  /**
   * The same host after another look at what it does not meet, or why it is passed over by now; undefined: nothing has changed. Never
   * rejects.
   */
  readonly again?: ((unmet: Unmet) => Promise<Target | Unmet | undefined>) | undefined;
  /** Hears what the host does not meet. */
  readonly onUnmet?: ((unmet: Unmet) => void) | undefined;
  readonly login?: UpstreamLogin | undefined;
  /** A host of the operator's route. `isLimited`: its account has a limit of connections. */
  readonly upstream?: boolean | undefined;
  readonly isLimited?: boolean | undefined;
  /** The key of the provider that runs the host, as far as it is known. */
  readonly provider?: string | undefined;
  /** Messages in one connection. Default: behaviour rule 17. */
  readonly perConnection?: number | undefined;
};

export type SessionContext = {
  readonly hostname: string;
  readonly timeouts: Milliseconds;
  readonly encryption: Encryption;
  readonly log: Pick<EventLog, 'emit'>;
  readonly results?: SessionResults | undefined;
  /** What refusals mean. Default: what the release knows. */
  readonly replies?: ReplyTable;
};

export type DeliverySession = {
  readonly target: Target;
  readonly connection: Connection;
  readonly extensions: Extensions;
  readonly tls: string | undefined;
  /** What it is worth, whoever's mail goes through it. */
  readonly assurance: Assurance;
  /** What the host's certificate was accepted by. Absent if it was not verified. */
  readonly proof?: string | undefined;
  /** `proof` is, or has, a TLSA record. */
  readonly isDane: boolean;
  /** The host offers REQUIRETLS, whoever it is. */
  readonly offersRequireTls: boolean;
  /** What is evaluated beside says that it would not have been opened. */
  readonly wouldFail?: CountedFailure | undefined;
  /** What would judge a demand that is only evaluated. */
  readonly unjudged?: Handshake | undefined;
  /** What a refusal in it is worth. */
  readonly standing: Standing;
  /** Transactions so far. */
  transactions: number;
  /** Transactions at most. */
  most: number;
  /** It wanted no further message after so many. */
  cap?: number;
  /** The last transaction ended before its content: RSET before the next. */
  needsReset: boolean;
  /** Good for nothing but QUIT. */
  worn: boolean;
  /** The final dot is on its way: only its reply tells what became of the message. */
  committed: boolean;
};

/** A connection carries at most so many: behaviour rule 17. */
const MAX_TRANSACTIONS = 100;

/** Another transaction may be tried on it. */
export function isUsable({ connection, transactions, most, worn }: DeliverySession): boolean {
  return connection.failure === undefined && !worn && transactions < most && !connection.outOfStep;
}

/** No session came of it. `reached`: the host has said something, so this counts as one of the sessions of the attempt. */
export type NoSession = {
  readonly verdict: AboutUs;
  readonly reached: boolean;
  readonly tls?: string | undefined;
  /** It is what is demanded of the host's TLS that stands in the way. */
  readonly unmet?: Unmet | undefined;
  /** What the reports to domains say of it; absent: nothing. */
  readonly fault?: CountedFailure | undefined;
  /** Our own address in the connection. */
  readonly from?: string | undefined;
  /** What the host calls itself. */
  readonly helo?: string | undefined;
};

/** `later`: the message has been tried before. `begun` is handed each connection before it is open, so that it can be ended from outside. */
type Opening = { readonly later: boolean; readonly begun?: (connection: Connection) => void };

export async function openSession(
  target: Target,
  context: SessionContext,
  opening: Opening,
): Promise<DeliverySession | NoSession> {
  const first = await openOnce(target, context, opening);
  if (!('verdict' in first) || first.unmet === undefined) return tell(first, target, context);
  // Records and policies change together with certificates: what is kept of them may be the older of the two.
  const changed = await target.again?.(first.unmet);
  if (changed === undefined) return tell(first, target, context);
  if ('verdict' in changed) return tell({ ...first, verdict: changed.verdict, unmet: changed }, target, context);
  return tell(await openOnce(changed, context, opening), changed, context);
}

/** One line for each session, and for each host that does not meet what is demanded. */
function tell(
  opened: DeliverySession | NoSession,
  target: Target,
  { log, results }: SessionContext,
): DeliverySession | NoSession {
  const { mx, ip, basis } = target;
  if ('verdict' in opened && opened.unmet !== undefined) target.onUnmet?.(opened.unmet);
  if (results !== undefined) countSession(results, opened, target);
  if (!('verdict' in opened))
    log.emit('tlsSession', {
      ...{ mx, ip, assurance: opened.assurance, version: opened.tls ?? null },
      dane: opened.isDane ? opened.proof : undefined,
    });
  else if (opened.unmet !== undefined) tellFault(log, opened.unmet, { basis, mx, ip });
  // Each host has to be asked before a message with REQUIRETLS comes back, so those that cannot take it are no sessions of the attempt.
  if ('verdict' in opened && opened.unmet !== undefined && target.tls.keyword && opened.verdict.pace === 'none')
    return { ...opened, reached: false };
  return opened;
}

async function openOnce(target: Target, context: SessionContext, opening: Opening): Promise<DeliverySession | NoSession> {
  const { tls: policy, ip, mx } = target;
  const { encryption, log } = context;
  const { later, begun } = opening;
  if (encryption.isBroken(policy, ip)) return openInClear(target, context, begun);
  const first = await openVerified(target, context, begun);
  if (!('tlsFailed' in first)) {
    if (first.tls !== undefined && !('verdict' in first)) encryption.forgetFailure(policy, ip);
    return first;
  }
  if (first.verdict.kind === 'returned') return first;
  const next = encryption.noteFailure(policy, ip, later);
  log.emit('tlsFailed', { mx, ip, reply: first.verdict.reply.text, next });
  if (next === 'clear') return openInClear(target, context, begun);
  // Where nobody demands TLS: the host lives, and the others' mail may have more luck.
  const failed = { ...first, fault: faultOf(first) };
  return policy.source === undefined ? { ...failed, verdict: { ...first.verdict, pace: 'none' } } : unmet(target, failed);
}

function faultOf({ refused }: TlsFailed) {
  return refused === true
    ? ({ type: 'starttls-not-supported', reason: 'starttls-refused' } as const)
    : ({ type: 'validation-failure', reason: 'handshake-failed' } as const);
}

/** TLS itself fails where it is demanded. */
function unmet({ tls: policy, basis, mx, ip }: Target, failed: TlsFailed): NoSession {
  const detail = failed.verdict.reply.text;
  const found = unmetBy({ ...faultOf(failed), detail }, policy.source ?? 'operator', basis, { mx, ip });
  return { ...failed, verdict: found.verdict, unmet: found };
}

/** Anchors that TLSA records name are known when a host has sent them: the second connection proves them. RFC 7672 §3.1.2 */
async function openVerified(
  target: Target,
  context: SessionContext,
  begun: Opening['begun'],
): Promise<DeliverySession | NoSession | TlsFailed> {
  const { tls: policy } = target;
  let handshake: Handshake = { trust: context.encryption.trustFor(policy), isLast: false };
  for (;;) {
    const result = await converse(target, context, { tls: policy.use, begun, handshake });
    if ('next' in result) handshake = result.next;
    else return 'verdict' in result || result.unjudged === undefined ? result : openWatched(result, target, context, begun);
  }
}

/** What is only evaluated needs the second connection too. The mail must not depend on it: where it fails, the first one is taken. */
async function openWatched(
  first: DeliverySession,
  target: Target,
  context: SessionContext,
  begun: Opening['begun'],
): Promise<DeliverySession> {
  const second = await converse(target, context, { tls: true, begun, handshake: first.unjudged! });
  if ('verdict' in second || 'next' in second) return first;
  void first.connection.quit();
  return second;
}

/** Where clear text is refused too, the host wants the TLS that failed: the next attempt begins with it. */
async function openInClear(
  target: Target,
  context: SessionContext,
  begun: Opening['begun'],
): Promise<DeliverySession | NoSession> {
  const opened = await converse(target, context, { tls: false, begun, handshake: anonymous });
  if ('next' in opened) throw new Error('a connection in clear has no handshake');
  if ('verdict' in opened && opened.reached) context.encryption.forgetFailure(target.tls, target.ip);
  return opened;
}

type Way = { readonly tls: boolean; readonly begun: Opening['begun']; readonly handshake: Handshake };
/** `refused`: by a reply to STARTTLS. */
type TlsFailed = NoSession & { readonly tlsFailed: true; readonly refused?: boolean };
type AnotherHandshake = { readonly next: Handshake };
type NoConversation = NoSession | TlsFailed | AnotherHandshake;

async function converse(target: Target, context: SessionContext, way: Way): Promise<DeliverySession | NoConversation> {
  const { tls: policy, ip } = target;
  const { handshake } = way;
  const tls = policy.implicit ? context.encryption.startFor(policy, ip, handshake.trust) : undefined;
  const connection = await Connection.open(target, context.timeouts, { tls, begun: way.begun });
  if ('kind' in connection) return failed(connection, connection.stage !== 'connect');
  const early = policy.implicit ? judged(connection, target, context, handshake) : undefined;
  if (early !== undefined) return early;
  const parties = partiesOf(connection, target, context);
  const greeting = await ask(connection, { command: '', stage: 'greeting', parties });
  if (!('lines' in greeting)) return refused(connection, greeting);
  connection.greetedAs = nameInGreeting(greeting);
  let extensions = await hello(connection, context.hostname, parties);
  if ('verdict' in extensions) return refused(connection, extensions);
  const { startTls: offered, known } = extensions;
  if (!policy.implicit && way.tls && (offered || policy.required)) {
    const problem = await startTls(connection, target, context, { offered, known, handshake, parties });
    if (problem !== undefined) return 'verdict' in problem ? refused(connection, problem) : problem;
    extensions = await hello(connection, context.hostname, parties);
    if ('verdict' in extensions) return refused(connection, lostUnderTls(connection) ?? extensions);
  }
  if (policy.keyword && !extensions.requireTls) return refused(connection, withoutRequireTls(connection, target, extensions));
  if (target.login !== undefined) {
    const problem = await enter(connection, target, context, extensions);
    if (problem !== undefined) return refused(connection, problem);
  }
  const worth = worthOf(connection, target, context, handshake);
  return {
    target,
    connection,
    extensions: isPromised(connection, policy, worth.assurance, handshake) ? extensions : { ...extensions, requireTls: false },
    offersRequireTls: connection.tls !== undefined && extensions.requireTls,
    tls: connection.tls,
    ...worth,
    standing: {
      tls: connection.tls !== undefined ? 'on' : offered && policy.use ? 'failed' : 'off',
      upstream: target.upstream === true,
      parties,
    },
    transactions: 0,
    most: target.perConnection ?? MAX_TRANSACTIONS,
    needsReset: false,
    worn: false,
    committed: false,
  };
}

function partiesOf({ localAddress }: Connection, { provider }: Target, { hostname, replies }: SessionContext): Parties {
  const ownAddresses = localAddress === undefined ? [] : [localAddress];
  return { provider, ownAddresses, ownNames: [hostname], replies };
}

/** EHLO, and HELO once where a host does not know EHLO: RFC 5321 §3.2. */
async function hello(connection: Connection, hostname: string, parties: Parties): Promise<Extensions | NoSession> {
  const ehlo = await ask(connection, { command: `EHLO ${hostname}\r\n`, stage: 'EHLO', parties });
  if ('lines' in ehlo) return parseExtensions(ehlo);
  if (connection.failure !== undefined || ehlo.code === undefined || ehlo.code < 500) return ehlo;
  const helo = await ask(connection, { command: `HELO ${hostname}\r\n`, stage: 'EHLO', parties });
  return 'lines' in helo ? { ...NO_EXTENSIONS, known: ehlo.code === 500 || ehlo.code === 502 } : helo;
}

type StartTls = Pick<Extensions, 'known'> & {
  readonly offered: boolean;
  readonly handshake: Handshake;
  readonly parties: Parties;
};

async function startTls(
  connection: Connection,
  target: Target,
  context: SessionContext,
  { offered, known, handshake, parties }: StartTls,
): Promise<NoConversation | undefined> {
  const { tls: policy, ip, mx, basis } = target;
  if (!offered) {
    const fault = known ? NO_STARTTLS : EHLO_REFUSED;
    const found = unmetBy(fault, policy.source ?? 'operator', basis, { mx, ip });
    return { verdict: found.verdict, reached: true, unmet: found, fault: { type: found.type, reason: found.reason } };
  }
  const reply = await ask(connection, { command: 'STARTTLS\r\n', stage: 'STARTTLS', parties });
  if (!('lines' in reply)) return { ...reply, tlsFailed: true, refused: reply.code !== undefined };
  const injected = connection.outOfStep;
  const failure = await connection.startTls(context.encryption.startFor(policy, ip, handshake.trust));
  if (failure === undefined) return judged(connection, target, context, handshake);
  // An injection is an attack on this very session, no sign of broken TLS: RFC 3207 §6.
  return injected ? failed(failure, true) : { ...failed(failure, true), tlsFailed: true };
}

/** Before anything is said under TLS: who the host is, where that is demanded. */
function judged(
  connection: Connection,
  target: Target,
  { encryption }: SessionContext,
  handshake: Handshake,
): NoSession | AnotherHandshake | undefined {
  const { tls: policy, basis, mx, ip } = target;
  if (!hasChecks(policy.checks)) return undefined;
  const judgement = judgeHandshake(policy.checks, connection, handshake);
  if (judgement.kind === 'fits') {
    if (typeof handshake.trust !== 'string') encryption.remember(policy.checks, handshake.trust);
    connection.proof = judgement.proof;
    connection.transcript?.note(judgement.proof);
    return undefined;
  }
  const { tls } = connection;
  const detail = judgement.kind === 'unfit' ? judgement.detail : 'the next connection trusts the authority that was sent';
  connection.transcript?.note(detail);
  connection.destroy({ kind: 'tls', stage: 'handshake', detail });
  if (judgement.kind === 'again') return { next: judgement.next };
  const found = unmetBy(judgement, policy.source ?? 'operator', basis, { mx, ip });
  const { type, reason } = found;
  return { verdict: found.verdict, reached: true, tls, unmet: found, fault: { type, reason }, from: connection.localAddress };
}

/** It counts as a refusal of this mail alone: the host was verified, and takes other mail. */
function withoutRequireTls(connection: Connection, { basis, mx, ip }: Target, { known }: Extensions): NoSession {
  const found = unmetBy(known ? NO_REQUIRETLS : EHLO_REFUSED, 'requiretls', basis, { mx, ip });
  return { verdict: found.verdict, reached: true, tls: connection.tls, unmet: found };
}

/** A promise by a host that nobody has verified is none, unless the operator says so. Never in clear: RFC 8689 §2. */
function isPromised(
  connection: Connection,
  { keyword, promise }: TlsPolicy,
  assurance: Assurance,
  handshake: Handshake,
): boolean {
  if (connection.tls === undefined || promise === 'never') return false;
  if (keyword || promise === 'offered' || assurance === 'dane' || assurance === 'sts') return true;
  return typeof promise === 'object' && judgeHandshake(promise, connection, handshake).kind === 'fits';
}

type Worth = Pick<DeliverySession, 'assurance' | 'wouldFail' | 'unjudged' | 'proof' | 'isDane'>;

/** What is evaluated beside is told, and its result is what the session is worth where nothing more is demanded. */
function worthOf(connection: Connection, target: Target, { encryption, log }: SessionContext, handshake: Handshake): Worth {
  const { tls: policy, basis, mx, ip } = target;
  const { shadow, assurance: wanted } = policy;
  const isClear = connection.tls === undefined;
  const assurance = isClear ? 'clear' : wanted;
  const proven = { proof: connection.proof, isDane: policy.checks.dane !== undefined };
  if (shadow === undefined) return { assurance, ...proven };
  if (shadow.demand.kind === 'skip') {
    const { type, reason } = passedOver(shadow.demand, basis, mx);
    return { assurance, ...proven, wouldFail: { type, reason } };
  }
  const judgement = isClear ? NO_TLS : judgeHandshake(shadow.demand, connection, handshake);
  if (judgement.kind === 'again') {
    encryption.remember(shadow.demand, judgement.next.trust);
    return { assurance, ...proven, unjudged: judgement.next };
  }
  if (judgement.kind === 'unfit') {
    const { type, reason } = judgement;
    const found = unmetBy(judgement, shadow.demand.source ?? 'operator', basis, { mx, ip });
    tellFault(log, found, { basis, mx, ip, would: shadow.would });
    return { assurance, ...proven, wouldFail: { type, reason } };
  }
  const isWeak = assurance === 'tls' || assurance === 'encrypt';
  if (shadow.would !== 'testing' || judgement.kind !== 'fits' || !isWeak) return { assurance, ...proven };
  return { assurance: 'sts-testing', ...proven, proof: judgement.proof };
}

const NO_TLS = { kind: 'unfit', type: 'starttls-not-supported', reason: 'no-tls', detail: 'the session is in clear' } as const;

/**
 * A TLS 1.3 host judges the handshake when it is over for us, so its refusal (of a client without a certificate, say) looks like
 * a loss of the session: RFC 8446 §4.4.2.4. Before anything was heard under TLS such a loss is a failure of TLS.
 */
function lostUnderTls({ failure }: Connection): TlsFailed | undefined {
  if (failure?.kind !== 'lost') return undefined;
  const detail = `lost before the first reply under TLS: ${failure.detail}`;
  return { ...failed({ kind: 'tls', stage: 'handshake', detail }, true), tlsFailed: true };
}

async function enter(
  connection: Connection,
  { mx, ip, login }: Target,
  { log }: SessionContext,
  { auth }: Extensions,
): Promise<NoSession | undefined> {
  const result =
    connection.tls === undefined
      ? { failure: { kind: 'login', stage: 'AUTH', detail: 'a password is sent over TLS only' } as const }
      : await logInUpstream(connection, auth, login!);
  if (result === 'ok') return undefined;
  const verdict = 'reply' in result ? judgeSession('AUTH', result.reply) : judgeFailure(result.failure);
  const { code, status, text } = verdict.reply;
  log.emit('upstreamLoginFailed', { mx, ip, user: login!.user, code, status, reply: text });
  return { verdict, reached: true };
}

/** The reply where it is 2yz, else the verdict about the session. */
async function ask(
  connection: Connection,
  { command, stage, parties }: { readonly command: string; readonly stage: SessionStage; readonly parties: Parties },
): Promise<RemoteReply | (NoSession & { readonly code?: number })> {
  const { replies, failure } = await connection.exchange(command, [stage]);
  const [reply] = replies;
  if (reply === undefined) return failed(failure!, true);
  return reply.code < 300 ? reply : { verdict: judgeSession(stage, reply, parties), reached: true, code: reply.code };
}

function failed(failure: SessionFailure, reached: boolean): NoSession {
  return { verdict: judgeFailure(failure), reached };
}

/** The host is left politely where it still listens; nobody waits for that. */
function refused<N extends NoSession>(connection: Connection, problem: N): N {
  const { tls, localAddress: from, greetedAs: helo } = connection;
  void connection.quit();
  return tls === undefined ? { ...problem, from, helo } : { ...problem, tls, from, helo };
}
