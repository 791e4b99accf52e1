/**
 * One port, on smtp-server: it listens, accepts, keeps the secure contexts and swaps them. The only file of the relay that imports it.
 * TLS is ours (server-tls.ts), because the library's own way asks TLS objects that Node has freed, which ends the process. The
 * conversation is ours (session.ts), because the library's own one reads command lines that end
 * in a bare LF, removes dots after a bare LF, writes each reply by itself, waits 100 ms before each greeting, takes enhanced
 * codes from a fixed table, drops parameters it does not know, and spent two thirds of its time in single writes and in a
 * loop over bytes.
 */
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { TLSSocketOptions } from 'node:tls';
import { SMTPServer } from 'smtp-server';
import { plainAddress } from '../net/addresses.ts';
import { openPort } from '../net/open-port.ts';
import { refusal, refusalText } from '../smtp/replies.ts';
import type { Refusal } from '../smtp/reply.ts';
import { SECOND } from '../system/clock.ts';
import { type AgreedTls, hasLeft, startServerTls } from '../system/server-tls.ts';
import type { Admission, Admitted } from './admission.ts';
import { HANDSHAKE_TIMEOUT, HURRIED_HANDSHAKE } from './deadlines.ts';
import { clientKey } from './networks.ts';
import { readProxyHeader } from './proxy-protocol.ts';
import { Session, type SessionSetup } from './session.ts';
import type { ListenerName, ListenerOptions, Shared, TlsFiles } from './submission.ts';
import { tlsOptions } from './tls.ts';

/** How long a refused client may take to read the refusal. */
const FAREWELL = 2 * SECOND;

/** What is known of a connection before its session. */
type Caller = Pick<SessionSetup, 'ip' | 'client' | 'place' | 'refusal'>;

/** Connections that wait to be accepted: many clients begin at once. */
const BACKLOG = 1024;

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
      logger: false,
      ...{ noDelay: true }, // for net.Server, which gets the same object
    });
    this.name = name;
    this.#shared = shared;
    this.#admission = admission;
    this.on('error', () => {}); // open() tells what listening says
  }

  /** @returns the port that is open. @throws Error with one sentence. */
  async open({ address, port }: ListenerOptions): Promise<number> {
    return (await openPort(this.server, { name: this.name, address, port }, BACKLOG)).port;
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
    for (const socket of this.#arriving.keys()) socket.destroy();
    for (const session of this.#sessions) session.drain();
    return closed.then(() => Promise.all([...this.#sessions].map((session) => session.ended))).then(() => {});
  }

  /** Ends what takes too long. @param crowded there are few places left for others. */
  sweep(now: number, crowded: boolean): void {
    const hurry = crowded ? HANDSHAKE_TIMEOUT - HURRIED_HANDSHAKE : 0;
    for (const [socket, until] of this.#arriving) if (now > until - hurry) socket.destroy();
    for (const session of this.#sessions) session.check(now, crowded);
  }

  /**
   * The library hands each connection over here, and false keeps it from going on with it: its own TLS asks objects that Node
   * has freed. One certificate of each kind serves all names, so that what a client asks for is not even read.
   */
  override _acceptSocket(socket: Socket): false {
    socket.on('error', () => {}); // 'close' follows
    this.#expect(socket);
    this.#identify(socket);
    return false;
  }

  /** Gives a socket the time of a handshake to get a session. @param wait milliseconds that it waits before. */
  #expect(socket: Socket, wait = 0): void {
    if (!this.#arriving.has(socket)) socket.once('close', () => this.#arriving.delete(socket));
    this.#arriving.set(socket, this.#shared.monotonic() + wait + HANDSHAKE_TIMEOUT);
  }

  /** Who is it? Before TLS and before the greeting. */
  #identify(socket: Socket): void {
    const peer = plainAddress(socket.remoteAddress ?? '');
    if (!this.#shared.proxies.has(peer)) this.#enter(socket, peer);
    else void readProxyHeader(socket, peer).then((ip = '') => this.#enter(socket, ip));
  }

  /** May it come in? */
  #enter(socket: Socket, ip: string): void {
    if (hasLeft(socket) || ip === '') socket.destroy();
    else if (this.#shared.bruteForce.isBlocked(ip)) this.#turnAway(socket, ip, refusal('blocked'));
    else {
      const client = clientKey(ip);
      const place = this.#admission.enter(client, socket);
      if (place === false) this.#turnAway(socket, ip, refusal('tooManySessions'));
      else if (place instanceof Promise) void this.#wait(socket, { ip, client }, place);
      else this.#admit(socket, { ip, client, place });
    }
  }

  /** What is waited for. A client that leaves meanwhile is dropped at once. */
  async #attend<T>(socket: Socket, awaited: Promise<T>): Promise<T> {
    const look = () => {
      if (hasLeft(socket)) socket.destroy();
    };
    socket.on('readable', look);
    const result = await awaited;
    socket.off('readable', look);
    return result;
  }

  /** The time for TLS begins when there is a place. */
  async #wait(socket: Socket, caller: Caller, place: Promise<Admitted | false>): Promise<void> {
    const found = await this.#attend(socket, place);
    if (hasLeft(socket)) {
      if (found !== false) found.leave();
      socket.destroy();
      return;
    }
    this.#expect(socket);
    if (found !== false) this.#admit(socket, { ...caller, place: found });
    else this.#begin(socket, { ...caller, refusal: refusal('tooManySessions') });
  }

  #admit(socket: Socket, caller: Caller & { readonly place: Admitted }): void {
    socket.once('close', caller.place.leave);
    this.#begin(socket, caller);
  }

  /** A session, on 465 where the handshake ends. */
  #begin(socket: Socket, caller: Caller): void {
    if (this.name === 'submission') this.#converse(socket, caller);
    else this.#pace(socket, caller);
  }

  #pace(socket: Socket, caller: Caller): void {
    const wait = this.#shared.handshakes.next(caller.client);
    if (wait === undefined) this.#turnAway(socket, caller.ip, refusal('tooManyHandshakes'));
    else if (wait === 0) this.#secure(socket, caller);
    else {
      this.#expect(socket, wait);
      void this.#attend(socket, delay(wait, undefined, { ref: false })).then(() => this.#secure(socket, caller));
    }
  }

  #secure(socket: Socket, caller: Caller): void {
    this.#arriving.delete(socket);
    const secure = startServerTls(socket, this.#tlsOptions(), {
      secured: (agreed, secured) => this.#converse(secured, caller, agreed),
      failed: (reason) => this.#shared.options.log.emit('tlsFailed', { listener: this.name, ip: caller.ip, reason }),
    });
    if (secure !== undefined) this.#expect(secure);
  }

  #tlsOptions(): TLSSocketOptions {
    return { server: this.server, secureContext: this.secureContext.get('*')! };
  }

  /** Without a session: in clear by one line, under TLS without a handshake, which would cost more than it tells. */
  #turnAway(socket: Socket, ip: string, { reply }: Refusal): void {
    this.#shared.options.log.refused({ session: '', ip, verb: '', reply });
    if (this.name === 'submission') this.#tell(socket, refusalText(reply));
    else socket.destroy();
  }

  /** The client's side is read to its end: closing over unread bytes would reset the connection, and take the line with it. */
  #tell(socket: Socket, line: string): void {
    const timer = setTimeout(() => socket.destroy(), FAREWELL);
    socket.once('close', () => clearTimeout(timer));
    socket.end(line);
    socket.resume();
  }

  #converse(socket: Socket, caller: Caller, tls?: AgreedTls): void {
    this.#arriving.delete(socket);
    const session: Session = new Session({
      ...caller,
      shared: this.#shared,
      socket,
      tls,
      listener: this.name,
      tlsOptions: () => this.#tlsOptions(),
      onClose: () => this.#sessions.delete(session),
    });
    this.#sessions.add(session);
    session.start();
  }
}
