/**
 * One TCP or TLS connection to a server, seen as commands and replies. Nothing here rejects: what goes wrong is a Failure,
 * and the first one ends the connection. Every wait has a deadline for the whole of what is awaited, so that a server which
 * sends a byte now and then wins nothing by it.
 */
import type { X509Certificate } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { SECOND } from '../system/clock.ts';
import type { Peer as TlsPeer } from '../tls-policy/tls-policy.ts';
import type { Timeouts } from './delivery.ts';
import { type RemoteReply, ReplyReader } from './reply-reader.ts';
import type { Transcript } from './transcript.ts';
import type { FailureKind, SessionFailure, Stage } from './verdict.ts';

/** Replies in the order of the commands; with a failure there are fewer than were asked for. A 421 is always the last one. */
export type Replies = { readonly replies: readonly RemoteReply[]; readonly failure?: SessionFailure };

/** The deadline of each stage. */
export type Milliseconds = { readonly [stage in Stage]: number };

export function deadlines({ connect, greeting, command, data, block, dot }: Timeouts): Milliseconds {
  const commands = {
    EHLO: command,
    STARTTLS: command,
    handshake: command,
    AUTH: command,
    RSET: command,
    MAIL: command,
    RCPT: command,
  };
  return { connect, greeting, ...commands, DATA: data, content: block, dot, QUIT: Math.min(command, 5 * SECOND) };
}

/** Of this machine: the destination has no part in it, and must not be rested for it. */
const OUR_TROUBLES: { readonly [code in string]?: FailureKind } = {
  ...{ EMFILE: 'shortage', ENFILE: 'shortage', ENOBUFS: 'shortage', ENOMEM: 'shortage' },
  ...{ ENETUNREACH: 'offline', ENETDOWN: 'offline' },
  ...{ EADDRNOTAVAIL: 'barred', EACCES: 'barred', EPERM: 'barred' },
};

export type TlsStart = {
  readonly options: ConnectionOptions;
  readonly onSession?: ((session: Buffer) => void) | undefined;
  /** The certificates are looked at: it takes time, and a resumed session has none. */
  readonly showsPeer: boolean;
};

type Waiting = { readonly stages: readonly Stage[]; readonly replies: RemoteReply[]; readonly done: (result: Replies) => void };

type Peer = { readonly ip: string; readonly port: number; readonly source?: string | undefined };

export class Connection {
  #socket: Socket;
  readonly #timeouts: Milliseconds;
  #onClosed = () => {};
  #reader = new ReplyReader();
  #waiting: Waiting | undefined;
  /** Told when a write has left the process, a reply has come too early, or the connection has ended. */
  #drained: (() => void) | undefined;
  #connected: ((failure: SessionFailure | undefined) => void) | undefined;
  /** Of the reply, or of whatever else is awaited; monotonic. Undefined: nothing is. */
  #deadline: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires: at the deadline or before. */
  #watchedUntil = 0;
  #failure: SessionFailure | undefined;
  #stage: Stage = 'connect';
  #protocol: string | undefined;
  #peer: TlsPeer | undefined;
  #localAddress: string | undefined;
  /** By `performance.now()`. */
  readonly openedAt = performance.now();
  /** Resolves when its socket is closed. */
  readonly closed = new Promise<void>((resolve) => {
    this.#onClosed = resolve;
  });
  /** Called once, when the connection ends while nobody waits for anything: it lay idle. */
  onIdleEnd: (() => void) | undefined;
  /** What vouches for the host, where that was demanded. */
  proof: string | undefined;
  /** The name that the host gives itself in its greeting. */
  greetedAs: string | undefined;
  /** Takes down what is said, for the few messages that ask for it. */
  transcript: Transcript | undefined;

  private constructor(socket: Socket, timeouts: Milliseconds) {
    this.#socket = socket;
    this.#timeouts = timeouts;
    this.#listen();
  }

  /**
   * Resolves with an open connection, with its TLS where `tls` is given (RFC 8314 §3.3), or with what prevented it.
   * @param begun is handed the connection before it is open, so that it can be ended from outside.
   */
  static async open(
    { ip, port, source }: Peer,
    timeouts: Milliseconds,
    { tls, begun }: { tls?: TlsStart | undefined; begun?: ((connection: Connection) => void) | undefined } = {},
  ): Promise<Connection | SessionFailure> {
    const socket = connectTcp({ host: ip, port, noDelay: true, ...(source !== undefined && { localAddress: source }) });
    const connection = new Connection(socket, timeouts);
    begun?.(connection);
    const unconnected = await connection.#established('connect', 'connect');
    connection.#localAddress = socket.localAddress;
    const failure = unconnected ?? (tls === undefined ? undefined : await connection.startTls(tls));
    return failure ?? connection;
  }

  /** Something ended it; it will not carry another command. */
  get failure(): SessionFailure | undefined {
    return this.#failure;
  }

  /** A reply, or part of one, that nobody asked for: we are out of step. */
  get outOfStep(): boolean {
    return this.#reader.pending;
  }

  /** The TLS protocol, `TLSv1.3`; undefined in clear. */
  get tls(): string | undefined {
    return this.#protocol;
  }

  /** Where we came from; undefined before there was a connection. */
  get localAddress(): string | undefined {
    return this.#localAddress;
  }

  /** Who the host has shown to be; undefined in clear, and where nobody asked for it. */
  get peer(): TlsPeer | undefined {
    return this.#peer;
  }

  /** Puts our side of a conversation on TLS: RFC 3207. What came in clear behind the 220 is an injection, §6. */
  async startTls({ options, onSession, showsPeer }: TlsStart): Promise<SessionFailure | undefined> {
    if (this.#failure !== undefined) return this.#failure;
    if (this.#reader.pending) return this.#end('malformed', 'STARTTLS', 'bytes in clear behind the reply to STARTTLS');
    const plain = this.#socket;
    for (const event of ['data', 'error', 'close']) plain.removeAllListeners(event);
    plain.on('error', () => {}); // told by the TLS socket
    this.#reader = new ReplyReader();
    // A resumed session does not show the certificate.
    const whole = this.transcript === undefined ? {} : { session: undefined };
    const secure = connectTls({ ...options, ...whole, socket: plain });
    if (onSession !== undefined) secure.on('session', onSession);
    secure.once('secureConnect', () => this.#secured(secure, showsPeer));
    this.#socket = secure;
    this.#listen();
    return this.#established('handshake', 'secureConnect');
  }

  /** The one moment in which a TLS object is asked: a question to one that Node has freed ends the process. */
  #secured(secure: TLSSocket, showsPeer: boolean): void {
    if (this.#failure !== undefined) return;
    this.#protocol = secure.getProtocol() ?? undefined;
    if (showsPeer) this.#peer = peerOf(secure);
    this.transcript?.secured(secure);
  }

  /** Sends what is given and awaits one reply for each stage. */
  exchange(data: string, stages: readonly Stage[]): Promise<Replies> {
    if (this.#failure === undefined && this.#reader.pending) this.#end('malformed', stages[0]!, 'a reply that nobody asked for');
    if (this.#failure !== undefined) return this.replies(stages);
    this.transcript?.sent(data, stages[0] === 'AUTH');
    if (data !== '') this.#socket.write(data);
    return this.replies(stages);
  }

  /** Awaits replies to what was sent before. */
  replies(stages: readonly Stage[]): Promise<Replies> {
    if (this.#failure !== undefined) return Promise.resolve({ replies: [], failure: { ...this.#failure, stage: stages[0]! } });
    return new Promise((done) => {
      this.#waiting = { stages, replies: [], done };
      this.#arm(stages[0]!);
      if (this.#reader.pending) this.#read();
    });
  }

  /**
   * Writes, and resolves when all of it has left the process, or when it makes no sense to go on: true where all has left.
   * The deadline of `stage` is for this write.
   */
  write(pieces: readonly Uint8Array[], stage: Stage): Promise<boolean> {
    if (this.#failure !== undefined || this.#reader.pending) return Promise.resolve(false);
    if (pieces.length === 0) return Promise.resolve(true);
    this.#stage = stage;
    return new Promise((resolve) => {
      const settle = (left: boolean) => {
        this.#drained = undefined;
        this.#disarm();
        resolve(left);
      };
      this.#drained = () => settle(false);
      this.#arm(stage);
      if (pieces.length > 1) this.#socket.cork();
      for (const [i, piece] of pieces.entries()) {
        if (i < pieces.length - 1) this.#socket.write(piece);
        else this.#socket.write(piece, (error) => error == null && this.#drained !== undefined && settle(true));
      }
      if (pieces.length > 1) this.#socket.uncork();
    });
  }

  /** Says good-bye, waits for the answer for a short while, and ends it: a host that does not answer QUIT has lost nothing. */
  async quit(): Promise<void> {
    if (this.#failure === undefined) await this.exchange('QUIT\r\n', ['QUIT']);
    this.destroy();
  }

  /** Ends it now. */
  destroy(failure: SessionFailure = { kind: 'aborted', stage: this.#stage, detail: 'closed by us' }): void {
    this.#fail(failure);
  }

  #listen(): void {
    let cause = 'closed by the host';
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      cause = describe(error);
      if (this.#stage === 'connect') this.#end(OUR_TROUBLES[error.code ?? ''] ?? 'unreachable', 'connect', cause);
      else if (this.#stage === 'handshake') this.#end('tls', 'handshake', cause);
      else this.#end('lost', this.#stage, cause);
    });
    this.#socket.on('close', () => {
      this.#end(this.#stage === 'handshake' ? 'tls' : 'lost', this.#stage, cause);
      this.#onClosed();
    });
  }

  #take(chunk: Buffer): void {
    if (this.#failure !== undefined) return;
    this.#reader.push(chunk);
    if (this.#waiting !== undefined) this.#read();
    else if (this.#drained !== undefined) this.#drained();
    else if (this.onIdleEnd !== undefined) this.#end('malformed', 'MAIL', 'a reply that nobody asked for');
  }

  #read(): void {
    const waiting = this.#waiting!;
    const seen = waiting.replies.length;
    try {
      for (let reply = this.#reader.next(); reply !== undefined; reply = this.#reader.next()) {
        waiting.replies.push(reply);
        this.transcript?.received(reply);
        if (waiting.replies.length < waiting.stages.length && reply.code !== 421) continue;
        this.#settle(waiting);
        return;
      }
      const awaited = waiting.stages[waiting.replies.length]!;
      // A reply that has come whole starts the next one's deadline; a part of one does not.
      if (waiting.replies.length > seen) this.#arm(awaited);
    } catch (error) {
      this.#end('malformed', this.#stage, (error as Error).message);
    }
  }

  #settle({ replies, done }: Waiting, failure?: SessionFailure): void {
    this.#waiting = undefined;
    this.#disarm();
    done(failure === undefined ? { replies } : { replies, failure });
  }

  #established(stage: 'connect' | 'handshake', event: string): Promise<SessionFailure | undefined> {
    this.#stage = stage;
    return new Promise((done) => {
      this.#connected = done;
      this.#arm(stage);
      this.#socket.once(event, () => {
        if (this.#failure !== undefined) return;
        this.#connected = undefined;
        this.#disarm();
        done(undefined);
      });
    });
  }

  /** The deadline of the next reply, or of whatever else is awaited. */
  #arm(stage: Stage): void {
    this.#stage = stage;
    const now = performance.now();
    this.#deadline = now + this.#timeouts[stage];
    if (this.#timer !== undefined && this.#watchedUntil <= this.#deadline) return;
    clearTimeout(this.#timer);
    this.#watch(this.#deadline, now);
  }

  /** A deadline that moves back leaves the timer as it is: a connection sets several for each message, and nearly none is reached. */
  #watch(deadline: number, now: number): void {
    this.#watchedUntil = deadline;
    this.#timer = setTimeout(this.#look, deadline - now);
  }

  readonly #look = (): void => {
    this.#timer = undefined;
    if (this.#deadline === undefined) return;
    const now = performance.now();
    const stage = this.#stage;
    if (now < this.#deadline) this.#watch(this.#deadline, now);
    else this.#end('timeout', stage, `nothing within ${this.#timeouts[stage] / 1000} s`);
  };

  #disarm(): void {
    this.#deadline = undefined;
  }

  #end(kind: FailureKind, stage: Stage, detail: string): SessionFailure {
    if (this.#failure === undefined) this.transcript?.note(`${kind} (${stage}): ${detail}`);
    return this.#fail({ kind, stage, detail });
  }

  /** The first failure is the cause, what follows are its consequences. */
  #fail(failure: SessionFailure): SessionFailure {
    if (this.#failure !== undefined) return this.#failure;
    this.#failure = failure;
    this.#socket.destroy();
    this.#disarm();
    clearTimeout(this.#timer);
    if (this.#connected !== undefined) this.#connected(failure);
    else if (this.#waiting !== undefined) this.#settle(this.#waiting, failure);
    else if (this.#drained !== undefined) this.#drained();
    else this.onIdleEnd?.();
    return failure;
  }
}

/** Nobody sends more; a chain that names itself as its issuer would never end. */
const MAX_CHAIN = 30;

function peerOf(secure: TLSSocket): TlsPeer {
  const chain: X509Certificate[] = [];
  // What Node calls the issuer is the next one in the list as it was sent, whoever that is.
  for (let next = secure.getPeerX509Certificate(); next !== undefined && chain.length < MAX_CHAIN; next = next.issuerCertificate)
    chain.push(next);
  if (secure.authorized) return { chain };
  return { chain, distrust: String(secure.authorizationError) };
}

function describe(error: NodeJS.ErrnoException): string {
  const { code, message } = error;
  return code === undefined || message.includes(code) ? message : `${message} (${code})`;
}
