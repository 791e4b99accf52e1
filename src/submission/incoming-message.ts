/** A message from 354 to its last dot, and into the queue: RFC 5321 §4.1.1.4, §4.2.5. */
import { type Authorship, checkAuthor, checkReversePath } from '../policy/policy.ts';
import { discard } from '../preparation/preparation.ts';
import type { Envelope } from '../smtp/envelope.ts';
import { newQueueId } from '../smtp/queue-id.ts';
import { refusal } from '../smtp/replies.ts';
import type { Credential, NewMessage } from '../store/store.ts';
import type { AgreedTls } from '../system/server-tls.ts';
import { DataReader } from './data-reader.ts';
import type { Shared } from './submission.ts';
import type { Transaction } from './transaction.ts';

/** Who sends it, for Received and the log. */
type Submitter = {
  readonly session: string;
  readonly ip: string;
  readonly credential: Credential;
  readonly tls: AgreedTls | undefined;
};

type Preparation = ReturnType<Shared['options']['preparation']['start']>;
type Prepared = Awaited<ReturnType<Preparation['finish']>>;
type AddResult = Awaited<ReturnType<Shared['options']['queue']['add']>>;
type Decided = Exclude<AddResult, { readonly denied: unknown }>;

/** How often the rights of a login may change between a look at them and the transaction that stores the message. */
const MAX_TRIES = 5;

export class IncomingMessage {
  readonly #shared: Shared;
  #submitter: Submitter;
  readonly #transaction: Transaction;
  #queueId: string;
  readonly #preparation: Preparation;
  readonly #reader = new DataReader();
  #author: Authorship | undefined;
  #size = 0;
  #abandoned = false;
  /** What went wrong on our side while the text came: the client hears of it after the last dot. */
  #failure: unknown;

  constructor(shared: Shared, submitter: Submitter, transaction: Transaction) {
    this.#shared = shared;
    this.#submitter = submitter;
    this.#transaction = transaction;
    const now = shared.now();
    this.#queueId = newQueueId(now);
    const { credential, tls } = submitter;
    this.#preparation = shared.options.preparation.start({
      queueId: this.#queueId,
      now,
      envelope: envelopeOf(transaction),
      kind: 'submission',
      sign: this.#isSigned(),
      userToken: shared.options.userToken(credential.name),
      ...(tls === undefined ? {} : { tls }),
      ...(credential.rewrite === null ? {} : { rewrite: credential.rewrite }),
      ...(credential.rewrite === null ? { check: (author) => this.#noteAuthor(author) } : {}),
    });
  }

  /** What the client sent behind the last dot; undefined: it has not come. */
  get rest(): Buffer | undefined {
    return this.#reader.rest;
  }

  /** @returns a promise where the caller must wait before it reads on. */
  take(chunk: Buffer): Promise<void> | undefined {
    const content = this.#reader.read(chunk);
    if (content.length === 0 || this.#abandoned) return undefined;
    this.#size += content.length;
    if (this.#size > this.#shared.options.limits.maxMessageSize) return this.abort(); // the rest is read and dropped
    return this.#preparation.write(content)?.catch((error) => {
      this.#failure ??= error;
      return this.abort();
    });
  }

  /** After the last dot. @returns the queue id. Rejects with a Refusal, or with what went wrong on our side. */
  async accept(): Promise<string> {
    const { maxMessageSize } = this.#shared.options.limits;
    if (this.#size > maxMessageSize) throw refusal('messageTooLarge', { octets: maxMessageSize });
    if (this.#reader.loneDot) {
      await this.abort();
      throw refusal('loneDot');
    }
    if (this.#failure !== undefined) throw this.#failure;
    const prepared = await this.#preparation.finish();
    const result = await this.#add(prepared);
    if (result.accepted) this.#queueId = result.id; // another message may have had ours
    this.#note(prepared, result);
    if (result.accepted) return this.#queueId;
    await discard(prepared.content);
    throw this.#shared.options.quota.refusal(result.exceeded);
  }

  #noteAuthor(author: Authorship): void {
    this.#author = author;
    this.#checkAuthor();
  }

  /** With the null reverse-path nothing but the header says who sends it: a mail server alone is believed without. */
  #checkAuthor(): void {
    const { credential } = this.#submitter;
    const { checkFrom } = this.#shared.options.limits;
    if (this.#author === undefined || !(checkFrom || (this.#author.nullSender && !credential.mailServer))) return;
    checkAuthor(credential, this.#author);
  }

  /** Nothing of it stays. */
  async abort(): Promise<void> {
    if (this.#abandoned) return;
    this.#abandoned = true;
    await this.#preparation.abort();
  }

  /** One recipient whose route wants a signature is enough: all get the same bytes. */
  #isSigned(): boolean {
    const { signs } = this.#shared.options;
    const from = { user: this.#submitter.credential.name, reversePath: this.#transaction.reversePath };
    for (const address of this.#transaction.recipients.keys()) if (signs(from, address)) return true;
    return false;
  }

  /** The login is looked at in the transaction that stores the message; where its rights are others by then, they are judged first. */
  async #add(prepared: Prepared): Promise<Decided> {
    const { queue, quota } = this.#shared.options;
    let { content } = prepared;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { credential } = this.#submitter;
      const limits = quota.limitsOf(credential);
      const message = this.#newMessage({ ...prepared, content });
      const request = { message, grant: credential, discard: () => discard(prepared.content) };
      const result = await queue.add(limits === undefined ? request : { ...request, limits });
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

  /** Rejects with a Refusal where this message may not be sent by the credential as the store has it now. */
  async #judgeAgain(): Promise<void> {
    const { credential: before } = this.#submitter;
    const credential = await this.#shared.options.credentials.renewed(before);
    if (credential === undefined) throw refusal('loginEnded');
    // What was rewritten, or was not, is written down already.
    if (credential.rewrite !== before.rewrite) throw refusal('rightsChanged');
    this.#submitter = { ...this.#submitter, credential };
    if (credential.rewrite === null) checkReversePath(credential, this.#transaction.reversePath);
    this.#checkAuthor();
  }

  /** What is stored is accepted: nothing that fails here may tell the client otherwise, it would send the message again. */
  #note(prepared: Prepared, result: Decided): void {
    const { quota, log } = this.#shared.options;
    try {
      quota.noteUse(this.#submitter.credential, result.use, result.exceeded);
      if (result.accepted) this.#log(prepared);
    } catch (error) {
      log.emit('acceptedButFailed', { queueId: this.#queueId, error });
    }
  }

  #newMessage({ content, size, messageId, signatures, needsSmtpUtf8, eightBit }: Prepared): NewMessage {
    const { destinationOf, lifetime } = this.#shared.options;
    const { ret, envid } = this.#transaction.parameters;
    const acceptedAt = this.#shared.now();
    const from = { user: this.#submitter.credential.name, reversePath: this.#transaction.reversePath };
    return {
      id: this.#queueId,
      ...from,
      messageId,
      size,
      acceptedAt,
      expiresAt: acceptedAt + lifetime,
      body: eightBit ? '8BITMIME' : '7BIT',
      needsSmtpUtf8,
      ...(ret === undefined ? {} : { ret }),
      ...(envid === undefined ? {} : { envid }),
      signatures,
      recipients: Array.from(this.#transaction.recipients.values(), (recipient) => ({
        ...recipient,
        destination: destinationOf(from, recipient.address),
      })),
      content,
    };
  }

  #log({ size, messageId, signatures, bareNewlines }: Prepared): void {
    const { log } = this.#shared.options;
    const { session, ip, credential } = this.#submitter;
    const queueId = this.#queueId;
    if (bareNewlines) log.emit('bareNewline', { session, queueId });
    const { reversePath, recipients } = this.#transaction;
    const envelope = { reversePath, recipients: [...recipients.keys()] };
    log.emit('accepted', { queueId, session, ip, user: credential.name, ...envelope, size, messageId, signatures });
  }
}

function envelopeOf({ reversePath, parameters, recipients }: Transaction): Envelope {
  const { body, smtpUtf8, ret, envid } = parameters;
  return {
    reversePath,
    recipients: [...recipients.values()],
    body,
    smtpUtf8,
    ...(ret === undefined ? {} : { ret }),
    ...(envid === undefined ? {} : { envid }),
  };
}
