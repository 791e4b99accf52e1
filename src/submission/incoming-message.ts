/** A message from 354 to its last dot, and into the queue: RFC 5321 §4.1.1.4, §4.2.5. */
import { type Authorship, checkAuthor, checkReversePath } from '../policy/policy.ts';
import { discard, type Preparation, type Prepared } from '../preparation/preparation.ts';
import { domainOf, type Envelope } from '../smtp/envelope.ts';
import { newQueueId } from '../smtp/queue-id.ts';
import { refusal, refusalWith } from '../smtp/replies.ts';
import { isRouted, type RouteKey } from '../smtp/route.ts';
import type { Credential, NewMessage } from '../store/store.ts';
import type { AgreedTls } from '../system/server-tls.ts';
import { DataReader } from './data-reader.ts';
import type { Shared } from './submission.ts';
import type { Transaction } from './transaction.ts';

/** Who sends the message, for the Received field and the log. */
type Submitter = {
  readonly session: string;
  readonly ip: string;
  readonly credential: Credential;
  readonly tls: AgreedTls | undefined;
  /** The mechanism of its login. */
  readonly mechanism: string;
};

type AddResult = Awaited<ReturnType<Shared['options']['queue']['add']>>;
type Decided = Exclude<AddResult, { readonly denied: unknown }>;

/** How often the rights of a login may change between a look at them and the transaction that stores the message. */
const MAX_TRIES = 5;

export class IncomingMessage {
  readonly #shared: Shared;
  #submitter: Submitter;
  readonly #envelope: Envelope;
  readonly #from: RouteKey & { readonly user: string };
  #queueId: string;
  readonly #preparation: Preparation;
  readonly #reader = new DataReader();
  /** The bytes behind the last dot. Undefined: the dot has not come. */
  rest: Buffer | undefined;
  #author: Authorship | undefined;
  #size = 0;
  #abandoned = false;
  /** A fault of ours while the text came. The client hears of it after the last dot. */
  #failure: unknown;

  constructor(shared: Shared, submitter: Submitter, transaction: Transaction) {
    const { credential, tls } = submitter;
    const { preparation, userToken } = shared.options;
    this.#shared = shared;
    this.#submitter = submitter;
    this.#envelope = envelopeOf(transaction);
    this.#from = { user: credential.name, reversePath: transaction.reversePath };
    const now = shared.now();
    this.#queueId = newQueueId(now);
    this.#preparation = preparation.start({
      queueId: this.#queueId,
      now,
      envelope: this.#envelope,
      kind: 'submission',
      sign: this.#isSigned(),
      userToken: userToken(credential.name),
      ...(tls === undefined ? {} : { tls }),
      ...(credential.rewrite === null ? { check: (author) => this.#noteAuthor(author) } : { rewrite: credential.rewrite }),
    });
  }

  /** @returns a promise where the caller must wait before it reads on. */
  take(chunk: Buffer): Promise<void> | undefined {
    const content = this.#reader.read(chunk);
    this.rest = this.#reader.rest;
    if (content.length === 0 || this.#abandoned) return undefined;
    this.#size += content.length;
    if (this.#size > this.#shared.options.limits.maxMessageSize) return this.abort(); // the session reads the rest, and it is dropped
    return this.#preparation.write(content)?.catch((error) => {
      this.#failure ??= error;
      return this.abort();
    });
  }

  /** Stores the message after the last dot. @returns the queue id. Rejects with a Refusal, or with a fault of ours. */
  async accept(): Promise<string> {
    const { maxMessageSize } = this.#shared.options.limits;
    if (this.#size > maxMessageSize) throw refusal('messageTooLarge', { octets: maxMessageSize });
    if (this.#reader.loneDot) {
      await this.abort();
      throw refusal('loneDot');
    }
    if (this.#failure !== undefined) throw this.#failure;
    const prepared = await this.#preparation.finish();
    const judged = this.#judgeAlignment(prepared);
    if (judged !== undefined) await judged;
    const result = await this.#add(prepared);
    if (result.accepted) this.#queueId = result.id; // another one where another message had ours
    this.#note(prepared, result);
    if (result.accepted) return this.#queueId;
    await discard(prepared.content);
    if ('reply' in result) throw refusalWith(result.reply);
    throw this.#shared.options.quota.refusal(result.exceeded);
  }

  /** @returns a promise only where it must wait; it rejects with a Refusal, and nothing of the message stays. */
  #judgeAlignment({ content, fromDomains, signatures, broughtBy }: Prepared): Promise<unknown> | undefined {
    const { alignment, destinationOf } = this.#shared.options;
    if (alignment === undefined) return undefined;
    const from = this.#from;
    const refused = async (error: unknown) => {
      await discard(content);
      throw error;
    };
    try {
      return alignment
        .check({
          user: from.user,
          from: fromDomains,
          envelope: from.reversePath === '' ? '' : domainOf(from.reversePath).toLowerCase(),
          signatures,
          broughtBy,
          isDirect: () => !this.#envelope.recipients.some(({ address }) => isRouted(destinationOf(from, address))),
        })
        ?.catch(refused);
    } catch (error) {
      return refused(error);
    }
  }

  #noteAuthor(author: Authorship): void {
    this.#author = author;
    this.#checkAuthor();
  }

  /** With the null reverse-path only the header names a sender. It is always checked then, but for a mail server. */
  #checkAuthor(): void {
    const { credential } = this.#submitter;
    const { checkFrom } = this.#shared.options.limits;
    if (this.#author === undefined || !(checkFrom || (this.#author.nullSender && !credential.mailServer))) return;
    checkAuthor(credential, this.#author);
  }

  /** Gives the message up. Nothing of it stays. */
  async abort(): Promise<void> {
    if (this.#abandoned) return;
    this.#abandoned = true;
    await this.#preparation.abort();
  }

  /** All recipients get the same bytes, so that one whose route wants a signature is enough. */
  #isSigned(): boolean {
    const { signs } = this.#shared.options;
    return this.#envelope.recipients.some(({ address }) => signs(this.#from, address));
  }

  /** The transaction that stores the message looks at the login. Where its rights have changed, they are judged, and the store is asked again. */
  async #add(prepared: Prepared): Promise<Decided> {
    const { queue, quota } = this.#shared.options;
    let { content } = prepared;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { credential } = this.#submitter;
      const limits = quota.limitsOf(credential);
      const result = await queue.add({
        message: this.#newMessage(prepared, content),
        grant: credential,
        submitter: this.#whoSends(prepared),
        discard: () => discard(prepared.content),
        ...(limits === undefined ? {} : { limits }),
      });
      if (!('denied' in result)) return result;
      content = result.content;
      await this.#judgeAgain().catch(async (error) => {
        await discard(content);
        throw error;
      });
    }
    await discard(content);
    throw refusal('rightsChanged');
  }

  #whoSends({ automatic }: Prepared) {
    const { credential } = this.#submitter;
    const authors = credential.rewrite === null ? (this.#author?.from ?? []) : [credential.rewrite];
    return { mailServer: credential.mailServer, authors, automatic };
  }

  /** Rejects with a Refusal where the credential, as the store has it now, may not send this message. */
  async #judgeAgain(): Promise<void> {
    const { credential: before } = this.#submitter;
    const credential = await this.#shared.options.credentials.renewed(before);
    if (credential === undefined) throw refusal('loginEnded');
    // The header is made already, with or without another From.
    if (credential.rewrite !== before.rewrite) throw refusal('rightsChanged');
    this.#submitter = { ...this.#submitter, credential };
    if (credential.rewrite === null) checkReversePath(credential, this.#envelope.reversePath);
    this.#checkAuthor();
  }

  /** A stored message is accepted. A failure here must not reach the client, which would send the message again. */
  #note(prepared: Prepared, result: Decided): void {
    const { quota, log } = this.#shared.options;
    try {
      if ('reply' in result) return;
      quota.noteUse(this.#submitter.credential, result.use, result.exceeded);
      if (result.accepted) this.#log(prepared);
    } catch (error) {
      log.emit('acceptedButFailed', { queueId: this.#queueId, error });
    }
  }

  #newMessage(
    { size, messageId, signatures, needsSmtpUtf8, eightBit, tlsOptional, subject }: Prepared,
    content: Prepared['content'],
  ): NewMessage {
    const { destinationOf, lifetime } = this.#shared.options;
    const { recipients, ret, envid, requireTls } = this.#envelope;
    const from = this.#from;
    const acceptedAt = this.#shared.now();
    const { ip, tls, mechanism } = this.#submitter;
    const origin = { ip, tls: tls?.protocol ?? null, mechanism };
    const message: Writable<NewMessage> = {
      id: this.#queueId,
      user: from.user,
      reversePath: from.reversePath,
      messageId,
      size,
      acceptedAt,
      expiresAt: acceptedAt + lifetime,
      body: eightBit ? '8BITMIME' : '7BIT',
      needsSmtpUtf8,
      signatures,
      origin: subject === undefined ? origin : { ...origin, subject },
      recipients: recipients.map((recipient) => ({ ...recipient, destination: destinationOf(from, recipient.address) })),
      content,
    };
    if (ret !== undefined) message.ret = ret;
    if (envid !== undefined) message.envid = envid;
    if (requireTls) message.requireTls = requireTls;
    else if (tlsOptional) message.tlsOptional = tlsOptional;
    return message;
  }

  #log({ size, messageId, signatures, bareNewlines, tlsOptional }: Prepared): void {
    const { log } = this.#shared.options;
    const { session, ip, credential } = this.#submitter;
    const queueId = this.#queueId;
    if (bareNewlines) log.emit('bareNewline', { session, queueId });
    const { reversePath } = this.#envelope;
    const recipients = this.#envelope.recipients.map(({ address }) => address);
    const { name: user } = credential;
    const asks = this.#envelope.requireTls ? 'REQUIRETLS' : tlsOptional ? 'TLS-Required: No' : undefined;
    log.emit('accepted', { queueId, session, ip, user, reversePath, recipients, size, messageId, signatures, asks });
  }
}

/** Written field by field: an object that is put together from others costs several times as much. */
type Writable<T> = { -readonly [K in keyof T]: T[K] };

function envelopeOf({ reversePath, parameters, recipients }: Transaction): Envelope {
  const { body, smtpUtf8, ret, envid, requireTls } = parameters;
  const envelope: Writable<Envelope> = { reversePath, recipients: [...recipients.values()], body, smtpUtf8 };
  if (ret !== undefined) envelope.ret = ret;
  if (envid !== undefined) envelope.envid = envid;
  if (requireTls) envelope.requireTls = requireTls;
  return envelope;
}
