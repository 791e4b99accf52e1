/**
 * One port, on smtp-server: it listens, accepts, upgrades to TLS on 465, keeps the secure contexts and swaps them. The only
 * file that imports it. The conversation is ours (session.ts), because the library's own one reads command lines that end
 * in a bare LF, removes dots after a bare LF, writes each reply by itself, waits 100 ms before each greeting, takes enhanced
 * codes from a fixed table, drops parameters it does not know, and spent two thirds of its time in single writes and in a
 * loop over bytes.
 */
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { SMTPServer } from 'smtp-server';
import type { Refusal } from '../smtp/reply.ts';
import { SECOND } from '../system/clock.ts';
import type { Admission, Place } from './admission.ts';
import { HANDSHAKE_TIMEOUT } from './deadlines.ts';
import { clientKey, plainAddress } from './networks.ts';
import type { ListenerName, ListenerOptions, Shared, TlsFiles } from './options.ts';
import { readProxyHeader } from './proxy-header.ts';
import * as replies from './replies.ts';
import { Session } from './session.ts';
import { tlsOptions } from './tls.ts';

/** How long who is turned away may take to read why. */
const FAREWELL = 2 * SECOND;

/** What is known of a connection before its session: the library hands it from `_handleProxy` to `connect`. */
type Caller = { readonly id: string; readonly remoteAddress: string; readonly place?: Place; readonly refusal?: Refusal };
type Accepted = (error: Error | null, caller?: Caller) => void;

const UNUSABLE = ['EAFNOSUPPORT', 'EADDRNOTAVAIL'];

export class Listener extends SMTPServer {
  readonly name: ListenerName;
  readonly #shared: Shared;
  readonly #admission: Admission;
  readonly #sessions = new Set<Session>();
  /** Sockets before their session, with the time until which they must have one. */
  readonly #arriving = new Map<Socket, number>();

  constructor(name: ListenerName, shared: Shared, admission: Admission) {
    super({
      ...tlsOptions(shared.options.tls),
      secure: name === 'submissions',
      socketTimeout: HANDSHAKE_TIMEOUT,
      logger: false,
      ...{ noDelay: true }, // for net.Server, which gets the same object
    });
    this.name = name;
    this.#shared = shared;
    this.#admission = admission;
    this.on('error', this.#handshakeFailed); // what listening says comes by open()
  }

  readonly #handshakeFailed = (error: Error & { meta?: { remoteAddress?: string } }): void => {
    const ip = plainAddress(error.meta?.remoteAddress ?? '');
    this.#shared.options.log.event.debug('tlsFailed', { listener: this.name, ip, reason: error.message });
  };

  /** @returns the port that is open. Rejects with one sentence. */
  async open({ address, port }: ListenerOptions): Promise<number> {
    try {
      return await this.#listen(address, port);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? '';
      if (address === '::' && UNUSABLE.includes(code)) return this.open({ name: this.name, address: '0.0.0.0', port });
      const where = `${address.includes(':') ? `[${address}]` : address}:${port}`;
      const why = code === 'EADDRINUSE' ? 'another program has this port' : (error as Error).message;
      throw new Error(`The listener ${this.name} cannot open ${where}: ${why}`, { cause: error });
    }
  }

  #listen(address: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.listen({ host: address, port, backlog: 1024 }, () => {
        this.server.off('error', reject);
        const bound = this.server.address();
        resolve(bound !== null && typeof bound === 'object' ? bound.port : port);
      });
    });
  }

  get sessions(): ReadonlySet<Session> {
    return this.#sessions;
  }

  setTls(files: TlsFiles): void {
    this.updateSecureContext(tlsOptions(files));
  }

  /** No new connections; those that have no session yet are dropped, idle sessions end. Resolves when all have ended. */
  drain(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const socket of this.#arriving.keys()) this.#topmost(socket).destroy();
    for (const session of this.#sessions) session.drain();
    return closed.then(() => Promise.all([...this.#sessions].map((session) => session.ended))).then(() => {});
  }

  /** Ends what takes too long. @param crowded there are few places left for others. */
  sweep(now: number, crowded: boolean): void {
    for (const [socket, until] of this.#arriving) if (now > until) this.#topmost(socket).destroy();
    for (const session of this.#sessions) session.check(now, crowded);
  }

  /** The TLS socket where a handshake has begun: destroying what lies below it is not safe then. */
  #topmost(socket: Socket): Socket {
    return this._pendingSockets.get(socket) ?? socket;
  }

  /**
   * One certificate of each kind for all names: what a client asks for is not even read. No context is named: of one that is
   * named here Node takes a single certificate, and leaves the other kind out.
   */
  override _resolveSNI(_name: string, answer: (error: Error | null, context?: SecureContext) => void): void {
    answer(null);
  }

  #secureContext(): SecureContext {
    return this.secureContext.get('*')!;
  }

  /** Guards a socket until it has a session. */
  override _acceptSocket(socket: Socket): () => void {
    this._pendingSockets.set(socket, socket);
    this.#expect(socket);
    const release = () => {
      this._pendingSockets.delete(socket);
      this.#arriving.delete(socket);
    };
    socket.on('error', () => {}); // 'close' follows
    socket.once('close', release);
    return release;
  }

  #expect(socket: Socket): void {
    this.#arriving.set(socket, this.#shared.monotonic() + HANDSHAKE_TIMEOUT);
  }

  /** Who is it, and may it come in? Before TLS and before the greeting. */
  override _handleProxy(socket: Socket, accepted: Accepted): void {
    const peer = plainAddress(socket.remoteAddress ?? '');
    const caller = this.#shared.proxies.has(peer) ? readProxyHeader(socket, peer) : peer;
    const enter = (ip = '') => this.#enter(socket, ip, accepted);
    if (typeof caller === 'string') enter(caller);
    else void caller.then(enter);
  }

  #enter(socket: Socket, ip: string, accepted: Accepted): void {
    if (socket.destroyed || ip === '') this.#drop(socket, accepted);
    else if (this.#shared.bruteForce.isBlocked(ip)) this.#turnAway(socket, accepted, ip, replies.blocked());
    else {
      const place = this.#admission.enter(clientKey(ip), socket);
      if (place === false) this.#turnAway(socket, accepted, ip, replies.tooManySessions());
      else if (!(place instanceof Promise)) this.#admit(socket, ip, place, accepted);
      else void place.then((found) => this.#waited(socket, ip, found, accepted));
    }
  }

  /** It waited for a place, and its time for TLS begins now. */
  #waited(socket: Socket, ip: string, place: Place | false, accepted: Accepted): void {
    if (socket.destroyed) {
      if (place !== false) place.leave();
      this.#drop(socket, accepted);
      return;
    }
    this.#expect(socket);
    if (place !== false) this.#admit(socket, ip, place, accepted);
    else accepted(null, { id: '', remoteAddress: ip, refusal: replies.tooManySessions() });
  }

  #admit(socket: Socket, ip: string, place: Place, accepted: Accepted): void {
    socket.once('close', place.leave);
    accepted(null, { id: '', remoteAddress: ip, place });
  }

  /** Without a session: in clear by one line, under TLS without a handshake, which would cost more than it tells. */
  #turnAway(socket: Socket, accepted: Accepted, ip: string, { reply }: Refusal): void {
    this.#shared.options.log.refused({ session: '', ip, verb: '', reply });
    if (this.name === 'submission') this.#tell(socket, replies.onWire(reply));
    else socket.destroy();
    accepted(new Error('turned away'));
  }

  /** The client's side is read to its end: closing over unread bytes would reset the connection, and take the line with it. */
  #tell(socket: Socket, line: string): void {
    const timer = setTimeout(() => socket.destroy(), FAREWELL);
    socket.once('close', () => clearTimeout(timer));
    socket.end(line);
    socket.resume();
  }

  #drop(socket: Socket, accepted: Accepted): void {
    socket.destroy();
    accepted(new Error('gone'));
  }

  override connect(socket: Socket, caller?: Partial<Caller> | null): void {
    const session: Session = new Session({
      shared: this.#shared,
      socket,
      listener: this.name,
      ip: caller?.remoteAddress ?? '',
      refusal: caller?.refusal,
      tlsSocketOptions: () => ({ isServer: true, server: this.server, secureContext: this.#secureContext() }),
      onLogin: () => caller?.place?.loggedIn(),
      onClose: () => this.#sessions.delete(session),
    });
    this.#sessions.add(session);
    session.start();
  }
}
