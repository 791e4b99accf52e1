/**
 * One port, on the package smtp-server, which listens, accepts, and keeps and swaps the secure contexts. No other file of the relay
 * imports it. Two parts of the package are replaced:
 *
 * - TLS (server-tls.ts), because the package asks TLS objects that Node has freed, which ends the process.
 * - The session (session.ts), because the package takes command lines that end in a bare LF, removes dots after a bare LF, writes each
 *   reply by itself, waits 100 ms before each greeting, takes enhanced codes from a fixed table, drops unknown parameters, and spends
 *   two thirds of its time in single writes and in a loop over bytes.
 */
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { TLSSocketOptions } from 'node:tls';
import { SMTPServer } from 'smtp-server';
import { plainAddress } from '../net/addresses.ts';
import { clientKey } from '../net/client-networks.ts';
import { openPort } from '../net/open-port.ts';
import { refusal, refusalText } from '../smtp/replies.ts';
import type { Refusal } from '../smtp/reply.ts';
import { SECOND } from '../system/clock.ts';
import { type AgreedTls, hasLeft, startServerTls } from '../system/server-tls.ts';
import { type TlsFiles, tlsOptions } from '../system/tls-options.ts';
import type { Admitted } from './admission.ts';
import { HANDSHAKE_TIMEOUT, HURRIED_HANDSHAKE } from './deadlines.ts';
import type { ClientFacts, Entrance } from './guard.ts';
import { readProxyHeader } from './proxy-protocol.ts';
import { Session, type SessionSetup } from './session.ts';
import type { ListenerName, ListenerOptions, Shared } from './submission.ts';

/** Milliseconds that a refused client has to read the refusal. */
const FAREWELL = 2 * SECOND;

/** A connection before its session. */
type Caller = Pick<SessionSetup, 'ip' | 'client' | 'place' | 'refusal'>;
/** Absent `place`: it has to wait for one. `wait`: milliseconds until its handshake may begin. */
export type HandedCaller = ClientFacts & { readonly place?: Admitted; readonly wait: number };
/**
 * Takes a connection away, to have its session elsewhere. Nothing is read from it before. Only a side that reads sees that a client
 * leaves, so that the client also waits there.
 * @param caller undefined: a proxy that is trusted has yet to name the client.
 */
export type Hand = (socket: Socket, listener: ListenerName, caller: HandedCaller | undefined) => void;

/** Connections that may wait to be accepted, as many clients may connect at once. */
const BACKLOG = 1024;

export class Listener extends SMTPServer {
  readonly name: ListenerName;
  readonly #shared: Shared;
  readonly #hand: Hand | undefined;
  readonly #sessions = new Set<Session>();
  /** Sockets before their session, with their deadline for it. */
  readonly #arriving = new Map<Socket, number>();

  /** @param hand where sessions have their place if it is not here. */
  constructor(name: ListenerName, shared: Shared, hand?: Hand) {
    super({
      ...tlsOptions(shared.options.tls),
      logger: false,
      ...{ noDelay: true, pauseOnConnect: hand !== undefined }, // for net.Server, which gets the same object
    });
    this.name = name;
    this.#shared = shared;
    this.#hand = hand;
    this.on('error', () => {}); // open() tells why listening fails
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

  /** Takes no new connections, drops those without a session, and ends idle sessions. Resolves when all sessions have ended. */
  async drain(): Promise<void> {
    await oneTurn(); // the system resets connections that were not accepted before the port closes
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const socket of this.#arriving.keys()) socket.destroy();
    for (const session of this.#sessions) session.drain();
    await closed;
    await Promise.all([...this.#sessions].map((session) => session.ended));
  }

  /** Ends connections and sessions that take too long. @param crowded few places are left. */
  sweep(now: number, crowded: boolean): void {
    const hurry = crowded ? HANDSHAKE_TIMEOUT - HURRIED_HANDSHAKE : 0;
    for (const [socket, until] of this.#arriving) if (now > until - hurry) socket.destroy();
    for (const session of this.#sessions) session.check(now, crowded);
  }

  /**
   * The package hands each connection over here. False keeps it from going on with the connection. One certificate of each kind serves
   * all names, so that the name that a client asks for is not read.
   */
  override _acceptSocket(socket: Socket): false {
    socket.on('error', () => {}); // 'close' follows
    this.#expect(socket);
    this.#identify(socket);
    return false;
  }

  /** Takes a connection that was accepted elsewhere. @param caller undefined: a proxy that is trusted has yet to name the client. */
  take(socket: Socket, caller: HandedCaller | undefined): void {
    socket.on('error', () => {}); // 'close' follows
    this.#expect(socket);
    if (caller === undefined) void this.#readHeader(socket, plainAddress(socket.remoteAddress ?? ''));
    else if (caller.place === undefined) this.#enter(socket, caller.ip);
    else {
      const { wait, ...admitted } = caller;
      socket.once('close', caller.place.leave);
      if (hasLeft(socket)) socket.destroy();
      else this.#start(socket, admitted, wait);
    }
  }

  /** Gives a socket the time of a handshake to get a session. @param wait milliseconds that it waits before. */
  #expect(socket: Socket, wait = 0): void {
    if (!this.#arriving.has(socket)) socket.once('close', () => this.#arriving.delete(socket));
    this.#arriving.set(socket, this.#shared.monotonic() + wait + HANDSHAKE_TIMEOUT);
  }

  /** Finds the client's address, before TLS and before the greeting. */
  #identify(socket: Socket): void {
    const peer = plainAddress(socket.remoteAddress ?? '');
    if (!this.#shared.proxies.has(peer)) this.#enter(socket, peer);
    else if (this.#hand !== undefined) this.#hand(socket, this.name, undefined);
    else void this.#readHeader(socket, peer);
  }

  async #readHeader(socket: Socket, peer: string): Promise<void> {
    this.#enter(socket, (await readProxyHeader(socket, peer)) ?? '');
  }

  /** Lets the client in, lets it wait for a place, or turns it away. */
  #enter(socket: Socket, ip: string): void {
    if (hasLeft(socket) || ip === '') {
      socket.destroy();
      return;
    }
    const caller = { ip, client: clientKey(ip) };
    const entry = this.#shared.guard.admit(caller, socket);
    if (entry instanceof Promise && this.#hand !== undefined) {
      void entry.then(giveBack); // it waits elsewhere: the wait here ends as its socket closes here
      this.#handOver(socket, { ...caller, wait: 0 }, this.#hand);
    } else if (entry instanceof Promise) void this.#wait(socket, caller, entry);
    else if (typeof entry === 'string') this.#turnAway(socket, ip, refusal(entry === 'blocked' ? entry : 'tooManySessions'));
    else this.#admit(socket, { ...caller, place: entry });
  }

  /** Waits for the promise. A client that leaves meanwhile is dropped at once. */
  async #attend<T>(socket: Socket, awaited: Promise<T>): Promise<T> {
    const look = () => {
      if (hasLeft(socket)) socket.destroy();
    };
    socket.on('readable', look);
    const result = await awaited;
    socket.off('readable', look);
    return result;
  }

  /** Waits for a place. The time for TLS begins when there is one. */
  async #wait(socket: Socket, caller: Caller, entry: Promise<Entrance>): Promise<void> {
    const found = await this.#attend(socket, entry);
    if (hasLeft(socket)) {
      giveBack(found);
      socket.destroy();
      return;
    }
    this.#expect(socket);
    if (typeof found !== 'string') this.#admit(socket, { ...caller, place: found });
    else if (found === 'noPlaceInTime') this.#begin(socket, { ...caller, refusal: refusal('tooManySessions') });
    else this.#turnAway(socket, caller.ip, refusal(found));
  }

  #admit(socket: Socket, caller: Caller & { readonly place: Admitted }): void {
    socket.once('close', caller.place.leave);
    this.#begin(socket, caller);
  }

  #begin(socket: Socket, caller: Caller): void {
    if (this.name === 'submission') this.#start(socket, caller);
    else void this.#pace(socket, caller);
  }

  async #pace(socket: Socket, caller: Caller): Promise<void> {
    const next = this.#shared.guard.nextHandshake(caller.client);
    const wait = next instanceof Promise ? await this.#attend(socket, next) : next;
    if (wait === undefined) this.#turnAway(socket, caller.ip, refusal('tooManyHandshakes'));
    else this.#start(socket, caller, wait);
  }

  /** Begins the session here or elsewhere, after `wait` milliseconds. On 465 the handshake comes first. */
  #start(socket: Socket, caller: Caller, wait = 0): void {
    if (this.#hand !== undefined) this.#handOver(socket, { ...caller, wait }, this.#hand);
    else if (wait > 0) void this.#startLater(socket, caller, wait);
    else if (this.name === 'submission') this.#converse(socket, caller);
    else this.#secure(socket, caller);
  }

  async #startLater(socket: Socket, caller: Caller, wait: number): Promise<void> {
    this.#expect(socket, wait);
    await this.#attend(socket, delay(wait, undefined, { ref: false }));
    this.#start(socket, caller);
  }

  #handOver(socket: Socket, caller: HandedCaller, hand: Hand): void {
    if (socket.destroyed) return;
    this.#arriving.delete(socket);
    if (caller.place !== undefined) socket.off('close', caller.place.leave); // the socket closes here, and goes on there
    hand(socket, this.name, caller);
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

  /** Refuses a client without a session: by one line in clear. On 465 the connection is closed, because a handshake costs too much. */
  #turnAway(socket: Socket, ip: string, { reply }: Refusal): void {
    this.#shared.options.log.refused({ session: '', ip, verb: '', reply });
    if (this.name === 'submission') this.#tell(socket, refusalText(reply));
    else socket.destroy();
  }

  /** Reads the client's side to its end. Closing over unread bytes would reset the connection, and the client would lose the line. */
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

function giveBack(entrance: Entrance): void {
  if (typeof entrance !== 'string') entrance.leave();
}

const oneTurn = () => new Promise<void>((resolve) => void setImmediate(resolve));
