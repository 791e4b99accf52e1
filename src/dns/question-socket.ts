/**
 * Sockets for questions over UDP. A resolver gets a new socket and port for each question, so that whoever forges an answer must guess both
 * port and id: RFC 5452 §9. A resolver on this machine gets sockets that are kept, with several questions at once. The system drops packets
 * of the network that claim to come from 127.0.0.0/8 or ::1, so only the resolver itself can answer there, and a port for each question
 * protects from nobody. It costs more than the rest of a look-up.
 */
import { randomInt } from 'node:crypto';
import { createSocket, type Socket, type SocketOptions } from 'node:dgram';
import { isIPv4, isIPv6 } from 'node:net';
import { SECOND } from '../system/clock.ts';
import { type Phrase, phrase } from '../system/phrase.ts';
import { type DnsMessage, decodeMessage, encodeQuestion, isAnswerTo, type Question } from './message.ts';

export type Endpoint = {
  readonly host: string;
  readonly port: number;
  /** As the configuration writes it. */
  readonly server: string;
};

/** No answer has come. */
type Unanswered = { readonly kind: 'silent'; readonly why: Phrase };

/** What was sent, to send it again over TCP, and what came. */
export type Exchanged = {
  readonly packet: Buffer;
  readonly isAnswer: (message: DnsMessage) => boolean;
  readonly result: DnsMessage | Unanswered;
};

type Waiting = Pick<Exchanged, 'packet' | 'isAnswer'> & {
  readonly timer: NodeJS.Timeout;
  readonly resolve: (exchanged: Exchanged) => void;
};

/** Questions at once on one socket. The answers to them fit into the usual buffer of a socket, 208 KiB. */
const MAX_AT_ONCE = 32;
/** A socket that is not used for this time is closed. */
const KEPT = 10 * SECOND;

/** Chooses the socket for each question. */
export function createQuestionSockets() {
  const kept = new Map<string, readonly QuestionSocket[]>();

  /** A socket with room for one more question. */
  function socketTo(endpoint: Endpoint): QuestionSocket {
    if (!isOnThisMachine(endpoint.host)) return new QuestionSocket(endpoint, false);
    const known = kept.get(endpoint.server) ?? [];
    for (const socket of known) if (socket.hasRoom()) return socket;
    const socket = new QuestionSocket(endpoint, true);
    kept.set(endpoint.server, [...known.filter(({ isOpen }) => isOpen), socket]);
    return socket;
  }

  return {
    /** @param timeout milliseconds. Never rejects. */
    ask: (question: Question, endpoint: Endpoint, { edns, timeout }: { edns: boolean; timeout: number }): Promise<Exchanged> =>
      socketTo(endpoint).ask(question, edns, timeout),
  };
}

/** True for addresses that the system delivers to this machine alone. */
function isOnThisMachine(host: string): boolean {
  return host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/** Both ends of a socket are addresses already. Node would ask its own resolver, which answers an address in the next turn only. */
const asItIs: SocketOptions['lookup'] = (address, family, told) => told(null, address, Number(family));

class QuestionSocket {
  readonly #socket: Socket;
  readonly #server: string;
  readonly #isKept: boolean;
  /** By the id of the question. */
  readonly #waiting = new Map<number, Waiting>();
  /** True until the first failure or silence. After that, the next question gets a new socket. */
  #isGood = true;
  #isConnected = false;
  #asked = 0;
  #idle: NodeJS.Timeout | undefined;
  isOpen = true;

  constructor({ host, port, server }: Endpoint, isKept: boolean) {
    this.#server = server;
    this.#isKept = isKept;
    this.#socket = createSocket({ type: isIPv6(host.split('%')[0]!) ? 'udp6' : 'udp4', lookup: asItIs });
    this.#socket.unref(); // the deadline of each question keeps the process alive
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#fail(error));
    this.#socket.on('message', (bytes) => this.#take(bytes));
    // Without a way there, it is this callback that is told, and a socket without a peer throws what is sent.
    this.#socket.connect(port, host, (error?: Error) => this.#connected(error));
    if (isKept) this.#closeWhenIdle();
  }

  hasRoom(): boolean {
    return this.#isGood && this.#waiting.size < MAX_AT_ONCE;
  }

  ask(question: Question, edns: boolean, timeout: number): Promise<Exchanged> {
    const id = this.#freeId();
    const packet = encodeQuestion(question, id, edns);
    this.#asked++;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#isGood = false;
        this.#end(id, { kind: 'silent', why: phrase`${this.#server} does not answer` });
      }, timeout);
      this.#waiting.set(id, { packet, isAnswer: (message) => isAnswerTo(message, question, id), timer, resolve });
      if (this.#isConnected) this.#socket.send(packet, this.#sent);
    });
  }

  /** No two questions at once have the same. */
  #freeId(): number {
    for (;;) {
      const id = randomInt(0x1_0000);
      if (!this.#waiting.has(id)) return id;
    }
  }

  #connected(error: NodeJS.ErrnoException | undefined): void {
    this.#isConnected = this.isOpen && !error;
    if (error) this.#fail(error);
    else if (this.isOpen) for (const { packet } of this.#waiting.values()) this.#socket.send(packet, this.#sent);
  }

  /** The refusal of an earlier datagram may be told where the next one is sent. */
  readonly #sent = (error: NodeJS.ErrnoException | null): void => {
    if (error) this.#fail(error);
  };

  /** Ignores datagrams that answer no question: they may be forged or late, and the answer can still come. RFC 5452 §9.1 */
  #take(bytes: Buffer): void {
    if (bytes.length < 2) return;
    const id = bytes.readUInt16BE(0);
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    const message = decodeMessage(bytes);
    if (message !== undefined && waiting.isAnswer(message)) this.#end(id, message);
  }

  #end(id: number, result: DnsMessage | Unanswered): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (this.#waiting.size === 0 && !(this.#isKept && this.#isGood)) this.#close();
    waiting.resolve({ packet: waiting.packet, isAnswer: waiting.isAnswer, result });
  }

  /** The system does not say which datagram was refused. All that wait were sent to the same port, and are asked again on another socket. */
  #fail({ code, message }: NodeJS.ErrnoException): void {
    this.#isGood = false;
    for (const id of [...this.#waiting.keys()])
      this.#end(id, { kind: 'silent', why: phrase`${this.#server}: ${code ?? message}` });
    this.#close();
  }

  #closeWhenIdle(): void {
    const asked = this.#asked;
    this.#idle = setTimeout(() => {
      if (this.#waiting.size === 0 && this.#asked === asked) this.#close();
      else this.#closeWhenIdle();
    }, KEPT).unref();
  }

  #close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#isGood = false;
    clearTimeout(this.#idle);
    this.#socket.removeAllListeners().on('error', () => {}); // later errors do not matter
    this.#socket.close();
  }
}
