/**
 * One conversation with one host, up to where mail can be sent: RFC 5321 §3.1 and §3.2, RFC 3207, RFC 4954.
 *
 * The client is our own, not nodemailer's: that one has one NOTIFY and ORCPT for all recipients, one inactivity timer for
 * all phases, sends SMTPUTF8 addresses raw to hosts without the extension, is out of step after an early 5yz in DATA, and
 * passes every body through a stream transform. test/bench/delivery-bench.ts shows what the last one costs.
 */
import type { EventLog } from '../events/events.ts';
import { Connection, type Milliseconds } from './connection.ts';
import { type Extensions, NO_EXTENSIONS, parseExtensions } from './extensions.ts';
import type { RemoteReply } from './reply-reader.ts';
import type { Encryption, TlsPolicy } from './tls.ts';
import { logInUpstream, type UpstreamLogin } from './upstream-login.ts';
import { type AboutUs, judgeFailure, judgeSession, type SessionFailure, type SessionStage, type Standing } from './verdict.ts';

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
  readonly login?: UpstreamLogin | undefined;
  /** A host of the operator's route. */
  readonly upstream?: boolean;
};

export type SessionContext = {
  readonly hostname: string;
  readonly timeouts: Milliseconds;
  readonly encryption: Encryption;
  readonly log: EventLog;
};

export type DeliverySession = {
  readonly target: Target;
  readonly connection: Connection;
  readonly extensions: Extensions;
  readonly tls: string | undefined;
  /** What a refusal in it is worth. */
  readonly standing: Standing;
  /** Transactions so far. */
  transactions: number;
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
export function isUsable({ connection, transactions, worn }: DeliverySession): boolean {
  return connection.failure === undefined && !worn && transactions < MAX_TRANSACTIONS && !connection.outOfStep;
}

/** No session came of it. `reached`: the host has said something, so this counts as one of the sessions of the attempt. */
type NoSession = { readonly verdict: AboutUs; readonly reached: boolean; readonly tls?: string | undefined };

/** `later`: the message has been tried before. `begun` is handed each connection before it is open, so that it can be ended from outside. */
type Opening = { readonly later: boolean; readonly begun?: (connection: Connection) => void };

export async function openSession(
  target: Target,
  context: SessionContext,
  { later, begun }: Opening,
): Promise<DeliverySession | NoSession> {
  const { tls: policy, ip, mx } = target;
  const { encryption, log } = context;
  if (encryption.isBroken(policy, ip)) return openInClear(target, context, begun);
  const first = await converse(target, context, { tls: policy.use, begun });
  if (!('tlsFailed' in first)) {
    if (first.tls !== undefined && !('verdict' in first)) encryption.forgetFailure(policy, ip);
    return first;
  }
  if (first.verdict.kind === 'returned') return first;
  const next = encryption.noteFailure(policy, ip, later);
  log.emit('tlsFailed', { mx, ip, reply: first.verdict.reply.text, next });
  if (next === 'clear') return openInClear(target, context, begun);
  // The host lives, and the others' mail may have more luck.
  return policy.required ? first : { ...first, verdict: { ...first.verdict, pace: 'none' } };
}

/** Where clear text is refused too, the host wants the TLS that failed: the next attempt begins with it. */
async function openInClear(
  target: Target,
  context: SessionContext,
  begun: Opening['begun'],
): Promise<DeliverySession | NoSession> {
  const opened = await converse(target, context, { tls: false, begun });
  if ('verdict' in opened && opened.reached) context.encryption.forgetFailure(target.tls, target.ip);
  return opened;
}

type Way = { readonly tls: boolean; readonly begun: Opening['begun'] };
type TlsFailed = NoSession & { readonly tlsFailed: true };

async function converse(target: Target, context: SessionContext, way: Way): Promise<DeliverySession | NoSession | TlsFailed> {
  const { tls: policy, ip } = target;
  const tls = policy.implicit ? context.encryption.startFor(policy, ip) : undefined;
  const connection = await Connection.open(target, context.timeouts, { tls, begun: way.begun });
  if ('kind' in connection) return failed(connection, connection.stage !== 'connect');
  const greeting = await ask(connection, '', 'greeting');
  if (!('lines' in greeting)) return refused(connection, greeting);
  let extensions = await hello(connection, context.hostname);
  if ('verdict' in extensions) return refused(connection, extensions);
  const { startTls: offered } = extensions;
  if (!policy.implicit && way.tls && (offered || policy.required)) {
    const problem = await startTls(connection, target, context, offered);
    if (problem !== undefined) return refused(connection, problem);
    extensions = await hello(connection, context.hostname);
    if ('verdict' in extensions) return refused(connection, lostUnderTls(connection) ?? extensions);
  }
  if (target.login !== undefined) {
    const problem = await enter(connection, target, context, extensions);
    if (problem !== undefined) return refused(connection, problem);
  }
  return {
    target,
    connection,
    extensions,
    tls: connection.tls,
    standing: {
      tls: connection.tls !== undefined ? 'on' : offered && policy.use ? 'failed' : 'off',
      upstream: target.upstream === true,
    },
    transactions: 0,
    needsReset: false,
    worn: false,
    committed: false,
  };
}

/** EHLO, and HELO once where a host does not know EHLO: RFC 5321 §3.2. */
async function hello(connection: Connection, hostname: string): Promise<Extensions | NoSession> {
  const ehlo = await ask(connection, `EHLO ${hostname}\r\n`, 'EHLO');
  if ('lines' in ehlo) return parseExtensions(ehlo);
  if (connection.failure !== undefined || ehlo.code === undefined || ehlo.code < 500) return ehlo;
  const helo = await ask(connection, `HELO ${hostname}\r\n`, 'EHLO');
  return 'lines' in helo ? { ...NO_EXTENSIONS, known: ehlo.code === 500 || ehlo.code === 502 } : helo;
}

async function startTls(
  connection: Connection,
  { tls: policy, ip }: Target,
  context: SessionContext,
  offered: boolean,
): Promise<NoSession | TlsFailed | undefined> {
  if (!offered)
    return failed({ kind: 'tls', stage: 'STARTTLS', detail: 'it is required here, and the host does not offer STARTTLS' }, true);
  const reply = await ask(connection, 'STARTTLS\r\n', 'STARTTLS');
  if (!('lines' in reply)) return { ...reply, tlsFailed: true };
  const injected = connection.outOfStep;
  const failure = await connection.startTls(context.encryption.startFor(policy, ip));
  if (failure === undefined) return undefined;
  // An injection is an attack on this very session, no sign of broken TLS: RFC 3207 §6.
  return injected ? failed(failure, true) : { ...failed(failure, true), tlsFailed: true };
}

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
  command: string,
  stage: SessionStage,
): Promise<RemoteReply | (NoSession & { readonly code?: number })> {
  const { replies, failure } = await connection.exchange(command, [stage]);
  const [reply] = replies;
  if (reply === undefined) return failed(failure!, true);
  return reply.code < 300 ? reply : { verdict: judgeSession(stage, reply), reached: true, code: reply.code };
}

function failed(failure: SessionFailure, reached: boolean): NoSession {
  return { verdict: judgeFailure(failure), reached };
}

/** The host is left politely where it still listens; nobody waits for that. */
function refused<N extends NoSession>(connection: Connection, problem: N): N {
  const { tls } = connection;
  void connection.quit();
  return tls === undefined ? problem : { ...problem, tls };
}
