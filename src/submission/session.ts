/**
 * The bytes of one session: it reads lines, writes replies and begins TLS. All replies to one piece of input leave in one write. While a
 * command is being answered, nothing is read.
 */
import { randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { TLSSocketOptions } from 'node:tls';
import { refusal, replyText } from '../smtp/replies.ts';
import type { Refusal } from '../smtp/reply.ts';
import { type AgreedTls, startServerTls } from '../system/server-tls.ts';
import type { Admitted } from './admission.ts';
import { CommandReader } from './command-reader.ts';
import { Conversation, type Wire } from './conversation.ts';
import { firstTextDeadline, HANDSHAKE_TIMEOUT, HURRIED_HANDSHAKE, LINGER, nextTextDeadline, overdue } from './deadlines.ts';
import type { IncomingMessage } from './incoming-message.ts';
import type { ListenerName, Shared } from './submission.ts';

const READY_FOR_TLS = replyText('readyForTls');

/** One accepted connection. */
export type SessionSetup = {
  readonly shared: Shared;
  readonly socket: Socket;
  /** The TLS of 465, where the handshake came before the session. */
  readonly tls: AgreedTls | undefined;
  readonly listener: ListenerName;
  readonly ip: string;
  /** `clientKey` of the address: sessions and handshakes are counted by it. */
  readonly client: string;
  /** Undefined: there is a refusal. */
  readonly place?: Admitted;
  /** The session says this and ends. */
  readonly refusal?: Refusal;
  readonly tlsOptions: () => TLSSocketOptions;
  readonly onClose: () => void;
};

/**
 * Milliseconds. A client that talks before the greeting is no mail client. In clear we wait this long for such bytes. Under TLS only
 * bytes that came with the end of the handshake count, because our greeting leaves with the last of ours, in one write.
 */
const EARLY_TALK = 5;
/** Characters of replies that are kept before they are written. A client that does not read its replies is not read either. */
const MAX_REPLIES = 16 * 1024;

type State = 'greeting' | 'open' | 'handshake' | 'ended' | 'closed';

export class Session implements Wire {
  readonly id = (2 ** 48 + randomInt(2 ** 48 - 1)).toString(16).slice(1);
  readonly ip: string;
  readonly client: string;
  readonly #end = Promise.withResolvers<void>();
  /** Resolves when the connection is closed. */
  readonly ended = this.#end.promise;
  tls: AgreedTls | undefined;
  readonly #setup: SessionSetup;
  readonly #shared: Shared;
  readonly #conversation: Conversation;
  readonly #input = new CommandReader();
  #socket: Socket;
  #state: State = 'greeting';
  #out = '';
  /** A command is being answered. Input waits. */
  #busy = false;
  /** The client has closed its side, and may still read replies. */
  #isHalfClosed = false;
  #message: IncomingMessage | undefined;
  #stateSince: number;
  #activeAt: number;
  /** The next line answers a challenge of AUTH. */
  #isChallenged = false;
  /** When the oldest bytes that wait may have come. */
  #lineSince = 0;
  #exchangeSince = 0;
  #textUntil = 0;

  constructor(setup: SessionSetup) {
    this.#setup = setup;
    this.#shared = setup.shared;
    this.#socket = setup.socket;
    this.ip = setup.ip;
    this.client = setup.client;
    this.tls = setup.tls;
    this.#conversation = new Conversation(setup.shared, this);
    this.#stateSince = this.#activeAt = setup.shared.monotonic();
  }

  start(): void {
    const { listener, refusal } = this.#setup;
    const greeting = `220 ${this.#shared.options.hostname} ESMTP\r\n`;
    this.#shared.options.log.emit('connected', { session: this.id, listener, ip: this.ip });
    this.#listen(this.#socket);
    if (refusal !== undefined) this.#conversation.refuse(refusal);
    // Bytes that came before are read before the greeting leaves, also where this process was busy meanwhile.
    else if (this.tls === undefined) setTimeout(() => setImmediate(() => this.#open(greeting)), EARLY_TALK);
    else {
      this.write(greeting);
      this.#flush();
      setImmediate(() => this.#open(''));
    }
  }

  write(text: string): void {
    this.#out += text;
  }

  end(text: string): void {
    if (this.#state === 'ended' || this.#state === 'closed') return;
    this.#out += text;
    this.#flush();
    this.#enter('ended');
    this.#socket.end();
    this.#socket.resume(); // further input is read and dropped, until the client has closed its side
  }

  challenge(text: string): void {
    this.write(`334 ${text}\r\n`);
    this.#isChallenged = true;
    if (this.#exchangeSince === 0) this.#exchangeSince = this.#activeAt;
  }

  loggedIn(): void {
    this.#setup.place?.loggedIn();
    this.#shared.guard.repayHandshake(this.client);
  }

  startTls(): void | Promise<void> {
    const wait = this.#shared.guard.nextHandshake(this.client);
    return wait instanceof Promise ? wait.then((found) => this.#secureIn(found)) : this.#secureIn(wait);
  }

  #secureIn(wait: number | undefined): void | Promise<void> {
    if (wait === undefined) throw refusal('tooManyHandshakes');
    if (wait > 0) return delay(wait, undefined, { ref: false }).then(() => this.#secure());
    this.#secure();
  }

  #secure(): void {
    if (this.#state !== 'open') return; // the session has ended while it waited for its turn
    if (this.#input.pending > 0) throw refusal('behindStartTls');
    this.write(READY_FOR_TLS);
    this.#flush();
    this.#enter('handshake');
    this.#unlisten(this.#socket);
    const secured = startServerTls(this.#socket, this.#setup.tlsOptions(), {
      secured: (agreed) => {
        this.tls = agreed;
        this.#enter('open');
      },
      failed: (reason) => {
        const { listener, ip } = this.#setup;
        this.#shared.options.log.emit('tlsFailed', { session: this.id, listener, ip, reason });
      },
    });
    this.#socket = secured ?? this.#socket;
    this.#listen(this.#socket);
  }

  receive(message: IncomingMessage): void {
    this.#message = message;
    this.#textUntil = firstTextDeadline(this.#shared.options.limits, this.#shared.monotonic());
  }

  /** Ends the session now where no transaction is open, or as soon as the transaction has ended. */
  drain(): void {
    if (this.#state === 'handshake') this.#socket.destroy();
    else if (!this.#busy && !this.#conversation.inTransaction) this.refuse(refusal('shuttingDown'));
  }

  /** Ends the session at once. A message on its way into the queue gets there. */
  close(): void {
    this.refuse(refusal('shuttingDown'));
    this.#socket.destroySoon();
  }

  /** Ends the session where it takes too long. @param crowded few places are left. */
  check(now: number, crowded: boolean): void {
    if (this.#state === 'ended' && now - this.#stateSince > LINGER) this.#socket.destroy();
    if (this.#state === 'handshake' && now - this.#stateSince > (crowded ? HURRIED_HANDSHAKE : HANDSHAKE_TIMEOUT))
      this.#socket.destroy();
    if (this.#state !== 'open' || this.#busy) return;
    const timing = {
      activeAt: this.#activeAt,
      lineSince: this.#input.pending > 0 ? this.#lineSince : 0,
      exchangeSince: this.#isChallenged ? this.#exchangeSince : 0,
      textUntil: this.#textUntil,
      hurried: crowded && !this.#conversation.isLoggedIn,
    };
    const reason = overdue(timing, this.#shared.options.limits, now);
    if (reason !== undefined) this.refuse(refusal(reason));
  }

  refuse(refusal: Refusal): void {
    if (this.#state === 'ended' || this.#state === 'closed') return;
    this.#conversation.refuse(refusal);
  }

  #listen(socket: Socket): void {
    socket.allowHalfOpen = true;
    socket.on('data', this.#take);
    socket.once('end', this.#halfClosed);
    socket.on('drain', this.#proceed);
    socket.once('close', this.#closed);
    socket.on('error', () => {}); // 'close' follows
  }

  #unlisten(socket: Socket): void {
    socket.off('data', this.#take);
    socket.off('end', this.#halfClosed);
    socket.off('drain', this.#proceed);
    socket.off('close', this.#closed);
  }

  #open(greeting: string): void {
    if (this.#state !== 'greeting') return;
    this.#enter('open');
    this.write(greeting);
    this.#flush();
    if (this.#shared.draining) this.drain();
  }

  #enter(state: State): void {
    this.#state = state;
    this.#stateSince = this.#activeAt = this.#shared.monotonic();
  }

  readonly #closed = (): void => {
    this.#state = 'closed';
    if (this.#message !== undefined) {
      this.#track(this.#message.abort()).catch((error) => this.#shared.options.log.emit('storeTrouble', { error }));
    }
    this.#message = undefined;
    if (!this.#conversation.isLoggedIn) this.#tellLeft();
    this.#setup.onClose();
    this.#end.resolve();
  };

  #tellLeft(): void {
    const { listener, ip } = this.#setup;
    const { greeted } = this.#conversation;
    this.#shared.options.log.emit('left', { session: this.id, listener, ip, tls: this.tls?.protocol ?? null, greeted });
  }

  /** Answers the input first: the client would send a queued message again if it got no 250. */
  readonly #halfClosed = (): void => {
    this.#isHalfClosed = true;
    if (this.#state === 'handshake') this.#socket.destroy();
    else if (this.#state === 'open') this.#proceed();
    else if (!this.#socket.writableEnded) this.#socket.end(); // a second call would make an error with its stack
  };

  readonly #take = (chunk: Buffer): void => {
    if (this.#state === 'greeting') this.refuse(refusal(isHandshake(chunk) ? 'tlsTooEarly' : 'tooEarly'));
    this.#activeAt = this.#shared.monotonic();
    if (this.tls === undefined && this.#input.pending === 0 && isHandshake(chunk)) this.refuse(refusal('tlsTooEarly'));
    if (this.#state !== 'open') return;
    if (this.#textUntil > 0) {
      this.#textUntil = nextTextDeadline(this.#textUntil, chunk.length, this.#shared.options.limits, this.#activeAt);
    }
    if (this.#input.push(chunk)) this.#lineSince = this.#activeAt;
    if (this.#busy) this.#socket.pause();
    else this.#proceed();
  };

  /** Answers the input as far as it can be answered now. */
  readonly #proceed = (): void => {
    if (this.#busy || this.#state !== 'open') return;
    let more = true;
    while (more && !this.#busy && this.#state === 'open') more = this.#step() && this.#input.pending > 0;
    this.#flush();
    if (this.#busy || this.#socket.writableNeedDrain) return;
    if (this.#isHalfClosed) this.end('');
    if (this.#shared.draining) this.drain();
    if (this.#socket.isPaused()) this.#socket.resume();
  };

  /** @returns false where more bytes are needed, or the client has to read its replies first. */
  #step(): boolean {
    if (this.#out.length > MAX_REPLIES) this.#flush();
    if (this.#socket.writableNeedDrain) {
      this.#socket.pause();
      return false;
    }
    try {
      return this.#message === undefined ? this.#readCommand() : this.#readText(this.#message);
    } catch (error) {
      this.#conversation.failed(error);
      return true;
    }
  }

  #readCommand(): boolean {
    const line = this.#input.next(this.#isChallenged);
    if (line === undefined) return false;
    this.#lineSince = this.#activeAt;
    if (!this.#isChallenged) this.#exchangeSince = 0;
    this.#isChallenged = false;
    const work = typeof line === 'string' ? this.#conversation.execute(line) : this.#conversation.problem(line);
    if (work !== undefined) this.#await(work);
    return true;
  }

  #readText(message: IncomingMessage): boolean {
    if (this.#input.pending === 0) return false;
    const work = message.take(this.#input.takeAll());
    const { rest } = message;
    if (rest === undefined) {
      if (work !== undefined) this.#await(work);
      return false;
    }
    this.#message = undefined;
    this.#textUntil = 0;
    this.#input.push(rest);
    const finish = () => this.#conversation.finish(message);
    this.#await(this.#track(work === undefined ? finish() : work.then(finish)));
    return true;
  }

  /** `close` of submission waits for this work, also where the session has ended. */
  #track<T>(work: Promise<T>): Promise<T> {
    const { working } = this.#shared;
    working.add(work);
    const forget = () => working.delete(work);
    work.then(forget, forget);
    return work;
  }

  #await(work: Promise<void>): void {
    this.#busy = true;
    const goOn = () => {
      this.#busy = false;
      this.#activeAt = this.#shared.monotonic();
      if (this.#textUntil > 0)
        this.#textUntil = Math.max(this.#textUntil, firstTextDeadline(this.#shared.options.limits, this.#activeAt));
      this.#proceed();
    };
    work.then(goOn, (error) => {
      this.#conversation.failed(error);
      goOn();
    });
  }

  #flush(): void {
    if (this.#out === '' || this.#state === 'closed') return;
    const text = this.#out;
    this.#out = '';
    this.#socket.write(text);
  }
}

/** True for the first bytes of a TLS handshake: RFC 8446 §5.1. */
function isHandshake(chunk: Buffer): boolean {
  return chunk[0] === 0x16 && chunk[1] === 0x03;
}
