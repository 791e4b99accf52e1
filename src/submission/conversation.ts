/**
 * What is said in a session, apart from its bytes: RFC 5321 §4.1, RFC 4954, RFC 6409. One command at a time; a handler
 * replies, throws a Refusal, or returns a promise that does one of the two.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { refusal } from '../smtp/replies.ts';
import { Refusal } from '../smtp/reply.ts';
import type { Credential } from '../store/store.ts';
import { type AuthExchange, beginExchange, continueExchange, type ExchangeStep } from './authentication.ts';
import { type LineProblem, loggedVerb } from './command-reader.ts';
import { checkClientName, ehloReply } from './ehlo.ts';
import { IncomingMessage } from './incoming-message.ts';
import { LoginFailures, logIn } from './login.ts';
import * as replies from './replies.ts';
import type { Shared } from './submission.ts';
import {
  addRecipient,
  hasRoom,
  judgeAgain,
  openTransaction,
  parseMail,
  parseRecipient,
  type Transaction,
  writtenAddress,
} from './transaction.ts';

/** The session's side of it. */
export type Wire = {
  readonly id: string;
  readonly ip: string;
  /** The session's TLS; undefined: in clear. */
  readonly tls: { readonly protocol: string; readonly cipher: string } | undefined;
  write(text: string): void;
  /** Writes what was said, says this, and closes. */
  end(text: string): void;
  /** Milliseconds until a handshake may begin, undefined where it may not; it is counted. */
  nextHandshake(): number | undefined;
  startTls(): void;
  /** It belongs to somebody now. */
  loggedIn(): void;
  /** The following bytes are the message's text. */
  receive(message: IncomingMessage): void;
};

type Work = void | Promise<void>;

/** What goes into the log of a verb or path that is none. */
const MAX_VERB = 20;
const MAX_LOGGED_PATH = 300;
/** What comes to a mail server by mistake, or to abuse it through a browser. */
const FOREIGN = /^(?:(?:GET|POST|PUT|HEAD|DELETE|OPTIONS|CONNECT|TRACE|PATCH|PRI) |SSH-)/i;

export class Conversation {
  readonly #shared: Shared;
  readonly #wire: Wire;
  readonly #failures = new LoginFailures();
  readonly #offences = new Offences();
  #greeted = false;
  #credential: Credential | undefined;
  #transaction: Transaction | undefined;
  #exchange: AuthExchange | undefined;
  /** What is being answered, for the log. */
  #verb = '';
  #subject: { readonly reversePath?: string; readonly recipient?: string } = {};

  constructor(shared: Shared, wire: Wire) {
    this.#shared = shared;
    this.#wire = wire;
  }

  get isLoggedIn(): boolean {
    return this.#credential !== undefined;
  }

  get inTransaction(): boolean {
    return this.#transaction !== undefined;
  }

  /** The next line answers a challenge. */
  get inExchange(): boolean {
    return this.#exchange !== undefined;
  }

  /** RFC 3207 §4.2: nothing that was said in clear counts. */
  forget(): void {
    this.#greeted = false;
    this.#transaction = undefined;
  }

  /** @throws Refusal, see `failed`. */
  execute(line: string): Work {
    if (this.#exchange !== undefined) return this.#answerChallenge(this.#exchange, line);
    const blank = line.indexOf(' ');
    this.#verb = (blank === -1 ? line : line.slice(0, blank)).slice(0, MAX_VERB).toUpperCase();
    this.#subject = {};
    return this.#dispatch(line, blank === -1 ? '' : line.slice(blank + 1).trim());
  }

  #dispatch(line: string, argument: string): Work {
    switch (this.#verb) {
      case 'EHLO':
      case 'HELO':
        return this.#hello(argument);
      case 'STARTTLS':
        return this.#startTls(argument);
      case 'AUTH':
        return this.#auth(argument);
      case 'MAIL':
        return this.#mail(argument);
      case 'RCPT':
        return this.#rcpt(argument);
      case 'DATA':
        return this.#data(argument);
      case 'RSET':
        this.#transaction = undefined;
        return this.#idle(replies.OK);
      case 'NOOP':
        return this.#idle(replies.OK);
      case 'VRFY':
        return this.#idle(replies.CANNOT_VERIFY);
      case 'QUIT':
        return this.#wire.end(replies.BYE);
      default:
        if (!this.#greeted && FOREIGN.test(line)) throw replies.notMail();
        throw replies.unknownCommand(this.#verb);
    }
  }

  /** A line that is not executed, but where a device with a prescribed sender names itself. @throws Refusal otherwise. */
  problem({ problem, text, line }: LineProblem): Work {
    const rewrites = this.#credential !== undefined && this.#credential.rewrite !== null;
    if (line !== undefined && rewrites && !this.inExchange && /^MAIL FROM:/i.test(line)) return this.execute(line);
    this.#subject = {};
    this.#verb = this.inExchange ? 'AUTH' : /^[A-Z]{4}$/i.test(text) ? text.toUpperCase() : '';
    this.#exchange = undefined;
    if (problem === 'too long') throw refusal('lineTooLong');
    if (problem === 'bare newline') throw refusal('bareNewline');
    if (!this.#greeted && this.#verb === '') throw replies.notMail();
    const what = this.#verb === 'MAIL' ? 'sender' : this.#verb === 'RCPT' ? 'recipient' : 'line';
    throw refusal(problem === 'not utf-8' ? `${what}NotUtf8` : `${what}WithControls`);
  }

  /** Answers what a handler threw or rejected with. What is no Refusal is our fault: temporary, and in the log. */
  failed(error: unknown): void {
    if (error instanceof Refusal) this.refuse(error, error.cause);
    else this.refuse(replies.ourFault(error), error);
  }

  refuse({ reply }: Refusal, cause?: unknown): void {
    const { id: session, ip } = this.#wire;
    const user = this.#credential?.name;
    this.#shared.options.log.refused({
      session,
      ip,
      user,
      verb: loggedVerb(this.#verb),
      reply,
      ...this.#subject,
      ...(cause === undefined ? {} : { cause }),
    });
    if (reply.code === 421) {
      this.#wire.end(replies.onWire(reply));
      return;
    }
    this.#wire.write(replies.onWire(reply));
    if (this.#offences.add(this.#verb, reply.code)) this.refuse(replies.tooManyErrors());
    else if (this.#failures.tooMany) this.refuse(replies.tooManyFailures());
  }

  /** A command that may be repeated for ever without sending mail. */
  #idle(reply: string): void {
    if (this.#offences.addIdle()) throw replies.tooManyIdle();
    this.#wire.write(reply);
  }

  #hello(name: string): void {
    checkClientName(name);
    this.#greeted = true;
    this.#transaction = undefined; // RFC 5321 §4.1.4
    const { hostname, limits } = this.#shared.options;
    const secure = this.#wire.tls !== undefined;
    this.#idle(this.#verb === 'HELO' ? `250 ${hostname}\r\n` : ehloReply(hostname, limits.maxMessageSize, secure));
  }

  #startTls(argument: string): Work {
    if (argument !== '') throw refusal('noArgument', { verb: 'STARTTLS' });
    if (this.#wire.tls !== undefined) throw refusal('tlsActive');
    const wait = this.#wire.nextHandshake();
    if (wait === undefined) throw replies.tooManyHandshakes();
    if (wait > 0) return delay(wait, undefined, { ref: false }).then(() => this.#wire.startTls());
    this.#wire.startTls();
  }

  #auth(argument: string): Work {
    if (this.#wire.tls === undefined) throw refusal('encryptionRequired');
    this.#requireGreeting();
    if (this.#credential !== undefined) throw refusal('alreadyLoggedIn');
    if (this.#transaction !== undefined) throw refusal('loginInTransaction');
    return this.#follow(beginExchange(argument));
  }

  #answerChallenge(exchange: AuthExchange, line: string): Work {
    this.#exchange = undefined;
    return this.#follow(continueExchange(exchange, line));
  }

  #follow(step: ExchangeStep): Work {
    if ('challenge' in step) {
      this.#exchange = step.exchange;
      return this.#wire.write(`334 ${step.challenge}\r\n`);
    }
    const { id: session, ip } = this.#wire;
    return logIn(this.#shared, { session, ip }, step.login, this.#failures).then((credential) => {
      this.#credential = credential;
      this.#wire.loggedIn();
      this.#wire.write(replies.AUTHENTICATED);
    });
  }

  #mail(argument: string): Work {
    const { rewrite } = this.#requireLogin();
    if (this.#transaction !== undefined) throw refusal('transactionOpen');
    this.#subject = { reversePath: writtenAddress(argument).slice(0, MAX_LOGGED_PATH) };
    const { path, parameters } = parseMail(argument, this.#shared.options.limits.maxMessageSize, rewrite !== null);
    const unusable = this.#shared.options.storeUsable();
    if (unusable !== undefined) throw unusable;
    return this.#asItIsNow((credential) => {
      const transaction = openTransaction(credential, path, parameters);
      const begin = () => {
        this.#transaction = transaction;
        this.#wire.write(replies.SENDER_OK);
      };
      return this.#shared.options.quota.atMail(credential)?.then(begin) ?? begin();
    });
  }

  /** Looks again at what let the session in, then works with it as it is now. @throws Refusal 530 5.7.0 where it has ended. */
  #asItIsNow(work: (credential: Credential) => Work): Work {
    const held = this.#requireLogin();
    const current = this.#shared.options.credentials.current(held);
    return current instanceof Promise ? current.then((found) => work(this.#renew(found))) : work(this.#renew(current));
  }

  #renew(current: Credential | undefined): Credential {
    this.#credential = current;
    if (current === undefined) {
      this.#transaction = undefined;
      throw replies.loginEnded();
    }
    if (this.#transaction !== undefined) judgeAgain(this.#transaction, current);
    return current;
  }

  #rcpt(argument: string): Work {
    this.#requireLogin();
    const transaction = this.#transaction;
    if (transaction === undefined) throw refusal('mailFirst');
    this.#subject = { reversePath: transaction.reversePath, recipient: writtenAddress(argument).slice(0, MAX_LOGGED_PATH) };
    const { limits, quota, operator } = this.#shared.options;
    const recipient = parseRecipient(argument, transaction.parameters.smtpUtf8, operator);
    const { address } = recipient;
    this.#subject = { reversePath: transaction.reversePath, recipient: address };
    const { recipients } = transaction;
    if (recipients.has(address)) return this.#wire.write(replies.RECIPIENT_OK);
    if (!hasRoom(transaction, limits.maxRecipients)) {
      throw refusal('tooManyRecipients', { count: limits.maxRecipients });
    }
    const take = () => {
      addRecipient(transaction, recipient);
      this.#wire.write(replies.RECIPIENT_OK);
    };
    return this.#asItIsNow((credential) => quota.atRecipient(credential, address, recipients)?.then(take) ?? take());
  }

  #data(argument: string): Work {
    this.#requireLogin();
    if (argument !== '') throw refusal('noArgument', { verb: 'DATA' });
    const transaction = this.#transaction;
    if (transaction === undefined) throw refusal('recipientFirst');
    if (transaction.recipients.size === 0) throw refusal('noRecipients');
    const { id: session, ip, tls } = this.#wire;
    return this.#asItIsNow((credential) => {
      const message = new IncomingMessage(this.#shared, { session, ip, credential, tls }, transaction);
      this.#subject = { reversePath: transaction.reversePath };
      this.#wire.write(replies.SEND_TEXT);
      this.#wire.receive(message);
    });
  }

  /** After the last dot. Rejects with what `failed` answers. */
  async finish(message: IncomingMessage): Promise<void> {
    try {
      const queueId = await message.accept();
      this.#offences.forgive();
      this.#wire.write(replies.queued(queueId));
    } finally {
      this.#transaction = undefined;
    }
  }

  #requireGreeting(): void {
    if (!this.#greeted) throw refusal('sayHello');
  }

  #requireLogin(): Credential {
    this.#requireGreeting();
    if (this.#credential === undefined) throw replies.authenticationRequired(this.#wire.tls !== undefined);
    return this.#credential;
  }
}

const MAX_BAD_COMMANDS = 10;
const MAX_IDLE_COMMANDS = 100;
const MAX_BAD_RECIPIENTS = 100;

/** Syntax, sequence, and what needs a login: a client that works does not get these again and again. */
const BAD_COMMAND: ReadonlySet<number> = new Set([500, 501, 502, 503, 504, 530, 535, 538, 555]);

class Offences {
  #badCommands = 0;
  #idleCommands = 0;
  #badRecipients = 0;

  /** Counts what was answered with this code. @returns true where it was once too often. */
  add(verb: string, code: number): boolean {
    if (verb === 'RCPT' && code !== 503 && code !== 530) return code >= 500 && ++this.#badRecipients >= MAX_BAD_RECIPIENTS;
    return BAD_COMMAND.has(code) && ++this.#badCommands >= MAX_BAD_COMMANDS;
  }

  /** Counts a command that may be repeated for ever without sending mail. @returns true where it was once too often. */
  addIdle(): boolean {
    return ++this.#idleCommands > MAX_IDLE_COMMANDS;
  }

  /** A message was accepted. */
  forgive(): void {
    this.#badCommands = 0;
    this.#idleCommands = 0;
  }
}
