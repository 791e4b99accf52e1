/**
 * Executes the commands of a session, one at a time: RFC 5321 §4.1, RFC 4954, RFC 6409. A handler replies, throws a Refusal, or returns a
 * promise that does one of the two. The session reads and writes the bytes.
 */
import { canonicalMailbox } from '../smtp/address.ts';
import { refusal, refusalText, replyText } from '../smtp/replies.ts';
import { Refusal } from '../smtp/reply.ts';
import type { Credential } from '../store/store.ts';
import type { AgreedTls } from '../system/server-tls.ts';
import { type AuthExchange, beginExchange, continueExchange, type ExchangeStep } from './authentication.ts';
import { type LineProblem, loggedVerb } from './command-reader.ts';
import { IncomingMessage } from './incoming-message.ts';
import { LoginFailures, logIn } from './login.ts';
import type { Shared, SubmissionLimits } from './submission.ts';
import { addRecipient, judgeAgain, newRecipient, openTransaction, type Transaction, writtenAddress } from './transaction.ts';

/** What a conversation asks of its session. */
export type Wire = {
  readonly id: string;
  readonly ip: string;
  /** `clientKey` of the address. */
  readonly client: string;
  /** Undefined: the session is in clear. */
  readonly tls: AgreedTls | undefined;
  write(text: string): void;
  /** Writes a challenge of AUTH. The next line answers it, and may be long. */
  challenge(text: string): void;
  /** Writes this behind all earlier replies, and closes. */
  end(text: string): void;
  /** Begins TLS when the client's turn has come. @throws Refusal 421 4.7.0. */
  startTls(): Work;
  /** The session has logged in. */
  loggedIn(): void;
  /** Reads the following bytes as the text of this message. */
  receive(message: IncomingMessage): void;
};

type Work = void | Promise<void>;

const OK = replyText('ok');
const SENDER_OK = replyText('senderOk');
const RECIPIENT_OK = replyText('recipientOk');
const SEND_TEXT = replyText('sendText');
const LOGGED_IN = replyText('loggedIn');
const BYE = replyText('bye');

/** Octets of a client's name: RFC 5321 §4.5.3.1.2. */
const MAX_NAME = 255;
/** Characters of an unknown verb or of a wrong address that the log gets. */
const MAX_VERB = 20;
const MAX_LOGGED_PATH = 300;
/** Requests that come by mistake, or to abuse a mail server through a browser. */
const FOREIGN = /^(?:(?:GET|POST|PUT|HEAD|DELETE|OPTIONS|CONNECT|TRACE|PATCH|PRI) |SSH-)/i;

export class Conversation {
  readonly #shared: Shared;
  readonly #wire: Wire;
  readonly #failures = new LoginFailures();
  readonly #offences = new Offences();
  #greeted = false;
  #credential: Credential | undefined;
  /** That of the login. */
  #mechanism = '';
  #transaction: Transaction | undefined;
  #exchange: AuthExchange | undefined;
  /** The command that is being answered, for the log. */
  #verb = '';
  #argument = '';

  constructor(shared: Shared, wire: Wire) {
    this.#shared = shared;
    this.#wire = wire;
  }

  get isLoggedIn(): boolean {
    return this.#credential !== undefined;
  }

  /** True after EHLO or HELO, which counts no longer after STARTTLS. */
  get greeted(): boolean {
    return this.#greeted;
  }

  get inTransaction(): boolean {
    return this.#transaction !== undefined;
  }

  /** @throws Refusal, see `failed`. */
  execute(line: string): Work {
    if (this.#exchange !== undefined) return this.#answerChallenge(this.#exchange, line);
    const blank = line.indexOf(' ');
    this.#verb = (blank === -1 ? line : line.slice(0, blank)).slice(0, MAX_VERB).toUpperCase();
    const argument = blank === -1 ? '' : line.slice(blank + 1).trim();
    this.#argument = argument;
    switch (this.#verb) {
      case 'EHLO':
      case 'HELO':
        return this.#hello(argument);
      case 'STARTTLS':
        return this.#startTls(argument);
      case 'AUTH':
        return this.#auth(argument);
      case 'MAIL':
      case 'RCPT':
      case 'DATA':
        return this.#transact(argument);
      case 'RSET':
        this.#transaction = undefined;
        return this.#idle(OK);
      case 'NOOP':
        return this.#idle(OK);
      case 'VRFY':
        return this.#idle(replyText('cannotVerify'));
      case 'QUIT':
        return this.#wire.end(BYE);
      default:
        if (!this.#greeted && FOREIGN.test(line)) throw refusal('notMail');
        throw refusal(this.#verb === '' ? 'emptyLine' : 'unknownCommand');
    }
  }

  /** Refuses the line, but for MAIL of a device whose sender is rewritten: it names itself as it likes. @throws Refusal. */
  problem({ problem, text, line }: LineProblem): Work {
    const inExchange = this.#exchange !== undefined;
    const rewrites = this.#credential !== undefined && this.#credential.rewrite !== null;
    if (line !== undefined && rewrites && !inExchange && /^MAIL FROM:/i.test(line)) return this.execute(line);
    this.#argument = '';
    this.#verb = inExchange ? 'AUTH' : /^[A-Z]{4}$/i.test(text) ? text.toUpperCase() : '';
    this.#exchange = undefined;
    if (problem === 'too long') throw refusal('lineTooLong');
    if (problem === 'bare newline') throw refusal('bareNewline');
    if (!this.#greeted && this.#verb === '') throw refusal('notMail');
    const what = this.#verb === 'MAIL' ? 'sender' : this.#verb === 'RCPT' ? 'recipient' : 'line';
    throw refusal(problem === 'not utf-8' ? `${what}NotUtf8` : `${what}WithControls`);
  }

  /** Answers an error of a handler. An error that is no Refusal is a fault of ours, which is temporary and goes into the log. */
  failed(error: unknown): void {
    if (error instanceof Refusal) this.refuse(error, error.cause);
    else this.refuse(refusal(isNoRoom(error) ? 'noRoom' : 'ourFault'), error);
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
      ...this.#subject(),
      ...(cause === undefined ? {} : { cause }),
    });
    if (reply.code === 421) {
      this.#wire.end(refusalText(reply));
      return;
    }
    this.#wire.write(refusalText(reply));
    if (this.#offences.add(this.#verb, reply.code)) this.refuse(refusal('tooManyErrors'));
    else if (this.#failures.tooMany) this.refuse(refusal('tooManyFailures'));
  }

  /** The addresses of the command that is being answered, for the log. */
  #subject(): { readonly reversePath?: string; readonly recipient?: string } {
    if (this.#verb === 'MAIL' && this.#credential !== undefined) {
      return { reversePath: writtenAddress(this.#argument).slice(0, MAX_LOGGED_PATH) };
    }
    if (this.#transaction === undefined || !(this.#verb === 'RCPT' || this.#verb === 'DATA')) return {};
    const { reversePath } = this.#transaction;
    if (this.#verb === 'DATA') return { reversePath };
    const written = writtenAddress(this.#argument);
    return { reversePath, recipient: canonicalMailbox(written) ?? written.slice(0, MAX_LOGGED_PATH) };
  }

  /** Answers a command that a client could repeat for ever without sending mail. */
  #idle(reply: string): void {
    if (this.#offences.addIdle()) throw refusal('tooManyIdle');
    this.#wire.write(reply);
  }

  /** Takes any name, as devices and applications call themselves what they like. Nothing depends on it. */
  #hello(name: string): void {
    if (name === '') throw refusal('noClientName');
    if (Buffer.byteLength(name) > MAX_NAME) throw refusal('clientNameTooLong', { octets: MAX_NAME });
    this.#greeted = true;
    this.#transaction = undefined; // RFC 5321 §4.1.4
    const { hostname, limits } = this.#shared.options;
    const secure = this.#wire.tls !== undefined;
    this.#idle(this.#verb === 'HELO' ? `250 ${hostname}\r\n` : ehloReply(hostname, limits, secure));
  }

  #startTls(argument: string): Work {
    if (argument !== '') throw refusal('noArgument', { verb: 'STARTTLS' });
    if (this.#wire.tls !== undefined) throw refusal('tlsActive');
    // RFC 3207 §4.2: commands in clear count no longer.
    this.#greeted = false;
    this.#transaction = undefined;
    return this.#wire.startTls();
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
      return this.#wire.challenge(step.challenge);
    }
    return logIn(this.#shared, this.#wire, step.login, this.#failures).then((credential) => {
      this.#credential = credential;
      this.#mechanism = step.login.mechanism;
      this.#wire.loggedIn();
      this.#wire.write(LOGGED_IN);
    });
  }

  /** Looks at the login again for MAIL, RCPT and DATA, so that an operator's change counts at once. */
  #transact(argument: string): Work {
    this.#requireGreeting();
    if (this.#credential === undefined) {
      throw refusal(this.#wire.tls === undefined ? 'loginAndTlsRequired' : 'loginRequired');
    }
    const current = this.#shared.options.credentials.current(this.#credential);
    return current instanceof Promise
      ? current.then((credential) => this.#transactAs(credential, argument))
      : this.#transactAs(current, argument);
  }

  #transactAs(credential: Credential | undefined, argument: string): Work {
    if (credential === undefined) {
      this.refuse(refusal('loginEnded'));
      this.#credential = undefined;
      this.#transaction = undefined;
      return;
    }
    const haveRightsChanged = this.#credential?.revision !== credential.revision;
    if (haveRightsChanged && this.#transaction !== undefined) judgeAgain(this.#transaction, credential);
    this.#credential = credential;
    if (this.#verb === 'MAIL') return this.#mail(argument, credential);
    return this.#verb === 'RCPT' ? this.#rcpt(argument, credential) : this.#data(argument, credential);
  }

  #mail(argument: string, credential: Credential): Work {
    if (this.#transaction !== undefined) throw refusal('transactionOpen');
    const { limits, quota, storeUsable } = this.#shared.options;
    const transaction = openTransaction(argument, credential, limits);
    const begin = () => {
      this.#transaction = transaction;
      this.#wire.write(SENDER_OK);
    };
    const proceed = (unusable: Refusal | undefined) => {
      if (unusable !== undefined) throw unusable;
      return quota.atMail(credential)?.then(begin) ?? begin();
    };
    const usable = storeUsable();
    return usable instanceof Promise ? usable.then(proceed) : proceed(usable);
  }

  #rcpt(argument: string, credential: Credential): Work {
    const transaction = this.#transaction;
    if (transaction === undefined) throw refusal('mailFirst');
    const { options } = this.#shared;
    const recipient = newRecipient(transaction, argument, options);
    if (recipient === undefined) return this.#wire.write(RECIPIENT_OK);
    const add = () => {
      addRecipient(transaction, recipient);
      this.#wire.write(RECIPIENT_OK);
    };
    return options.quota.atRecipient(credential, recipient.address, transaction.recipients)?.then(add) ?? add();
  }

  #data(argument: string, credential: Credential): void {
    if (argument !== '') throw refusal('noArgument', { verb: 'DATA' });
    if (this.#transaction === undefined) throw refusal('recipientFirst');
    if (this.#transaction.recipients.size === 0) throw refusal('noRecipients');
    const { id: session, ip, tls } = this.#wire;
    const submitter = { session, ip, credential, tls, mechanism: this.#mechanism };
    const message = new IncomingMessage(this.#shared, submitter, this.#transaction);
    this.#wire.write(SEND_TEXT);
    this.#wire.receive(message);
  }

  /** Accepts the message after its last dot, and answers. Never rejects. */
  async finish(message: IncomingMessage): Promise<void> {
    try {
      const queueId = await message.accept();
      this.#offences.forgive();
      this.#wire.write(replyText('queued', { queueId }));
    } catch (error) {
      this.failed(error);
    }
    this.#transaction = undefined;
  }

  #requireGreeting(): void {
    if (!this.#greeted) throw refusal('sayHello');
  }
}

/**
 * The keywords of EHLO, RFC 5321 §4.1.1.1: all that is honoured. AUTH is offered under TLS only and STARTTLS in clear only, RFC 8314 §3.1.
 * In clear the list is short, because no mail is taken there; REQUIRETLS must not stand in it, RFC 8689 §2.
 */
function ehloReply(hostname: string, limits: SubmissionLimits, secure: boolean): string {
  const key = `${hostname} ${limits.maxMessageSize} ${limits.requireTls} ${secure}`;
  if (lastEhlo.key !== key) lastEhlo = { key, text: newEhloReply(hostname, limits, secure) };
  return lastEhlo.text;
}

/** Nearly each session asks for the same. */
let lastEhlo = { key: '', text: '' };

function newEhloReply(hostname: string, { maxMessageSize, requireTls }: SubmissionLimits, secure: boolean): string {
  const begin = [hostname, `SIZE ${maxMessageSize}`, '8BITMIME', 'PIPELINING'];
  const promised = requireTls === 'offer' ? ['REQUIRETLS'] : [];
  const lines = secure
    ? [...begin, 'SMTPUTF8', 'ENHANCEDSTATUSCODES', 'DSN', ...promised, 'AUTH PLAIN LOGIN']
    : [...begin, 'ENHANCEDSTATUSCODES', 'STARTTLS'];
  return lines.map((line, i) => `250${i === lines.length - 1 ? ' ' : '-'}${line}\r\n`).join('');
}

/** True for a full disk, which has a code of its own: RFC 5321 §4.2.3. */
function isNoRoom(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

const MAX_BAD_COMMANDS = 10;
const MAX_IDLE_COMMANDS = 100;
const MAX_BAD_RECIPIENTS = 100;

/** Codes of syntax, of sequence and of a missing login. A client that works does not get them again and again. */
const BAD_COMMAND: ReadonlySet<number> = new Set([500, 501, 502, 503, 504, 530, 535, 538, 555]);

class Offences {
  #badCommands = 0;
  #idleCommands = 0;
  #badRecipients = 0;

  /** Counts an answer by its code. @returns true where there were too many. */
  add(verb: string, code: number): boolean {
    if (verb === 'RCPT' && code !== 503 && code !== 530) return code >= 500 && ++this.#badRecipients >= MAX_BAD_RECIPIENTS;
    return BAD_COMMAND.has(code) && ++this.#badCommands >= MAX_BAD_COMMANDS;
  }

  /** Counts a command that sends no mail. @returns true where there were too many. */
  addIdle(): boolean {
    return ++this.#idleCommands > MAX_IDLE_COMMANDS;
  }

  /** Begins anew, because a message was accepted. */
  forgive(): void {
    this.#badCommands = 0;
    this.#idleCommands = 0;
  }
}
