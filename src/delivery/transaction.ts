/** One mail transaction: MAIL, RCPT, DATA, content. RFC 5321 §3.3, RFC 2920. */
import type { EnvelopeRecipient } from '../smtp/envelope.ts';
import type { Content } from '../store/store.ts';
import type { Connection, Replies } from './connection.ts';
import { DotStuffer } from './dot-stuffing.ts';
import { contentSize, type Letter, mailCommand, rcptCommand, unsendable } from './envelope-commands.ts';
import { type Extensions, NO_EXTENSIONS } from './extensions.ts';
import type { RemoteReply } from './reply-reader.ts';
import type { DeliverySession } from './session.ts';
import {
  type AboutUs,
  isAboutParameters,
  isTransactionFull,
  judgeAfterDot,
  judgeFailure,
  judgeTransaction,
  type SessionFailure,
  type Stage,
  type Standing,
  type Verdict,
} from './verdict.ts';

/** Below this, copying into one buffer is cheaper than a second piece. */
const COPY_LIMIT = 32 * 1024;
/** What is read from disk at once. */
const READ = 128 * 1024;

/**
 * `again`: the refusal may be of our own making, so another transaction for this recipient follows at once; `bare`: without the
 * parameters that the host announced and does not know; `next`: it takes so many recipients in one transaction, and no more.
 */
export type Judged = { readonly verdict: Verdict; readonly again?: 'bare' | 'next' };

/** `stale`: an old connection turned out to be dead, or to take no further message, so nothing was tried. */
export type TransactionResult = readonly Judged[] | 'stale';

/** `bare`: no parameters but those that the message cannot do without. */
type Manner = { readonly eightBit: 'send' | 'return'; readonly bare: boolean };

/** What was said to the envelope, as far as it came. `failure` is why there is no more. */
type EnvelopeReplies = {
  readonly mail?: RemoteReply | undefined;
  readonly recipients: readonly RemoteReply[];
  readonly data?: RemoteReply | undefined;
  readonly failure?: SessionFailure | undefined;
};

/** Never rejects. One verdict per recipient; afterwards `session.connection.failure` tells whether it can be used again. */
export async function transact(
  session: DeliverySession,
  letter: Letter,
  recipients: readonly EnvelopeRecipient[],
  manner: Manner,
): Promise<TransactionResult> {
  const { extensions, standing } = session;
  const capabilities = { extensions, certain: extensions.known && standing.tls !== 'failed' };
  const problems = recipients.map(({ address }) => unsendable(letter, address, capabilities, manner.eightBit));
  if (problems.every((problem) => problem === undefined)) return transactAll(session, letter, recipients, manner);
  const sendable = recipients.filter((_, i) => problems[i] === undefined);
  const judged = sendable.length === 0 ? [] : await transactAll(session, letter, sendable, manner);
  if (judged === 'stale') return judged;
  const others = judged.values();
  return problems.map((problem) => (problem === undefined ? others.next().value! : { verdict: problem }));
}

async function transactAll(
  session: DeliverySession,
  letter: Letter,
  recipients: readonly EnvelopeRecipient[],
  { bare }: Manner,
): Promise<TransactionResult> {
  const used = session.transactions++ > 0;
  if (session.needsReset && !(await reset(session))) {
    return used ? 'stale' : recipients.map(() => ({ verdict: ended(session) }));
  }
  const extensions = bare ? withoutParameters(session.extensions) : session.extensions;
  const commands = {
    mail: mailCommand(letter, recipients, extensions),
    recipients: recipients.map((one) => rcptCommand(one, extensions)),
  };
  const replies = extensions.pipelining ? await sendPipelined(session, commands) : await sendStepwise(session, commands);
  // Hosts close idle connections, or after so many messages, some with a 421 first: RFC 5321 §3.8. A refusal may be about the
  // number of messages too, in any words; what is about the sender is said again on a new connection. A bare MAIL repeats one that this
  // session has just refused, so its refusal is about that.
  const { mail } = replies;
  const isFull = used && mail !== undefined && mail.code >= 400 && wantsNewSession(mail, session);
  if (used && (isFull || mail === undefined || mail.code === 421 || (mail.code >= 500 && !bare))) {
    if (isFull) session.cap = session.transactions - 1;
    session.connection.destroy();
    return 'stale';
  }
  const verdicts = judgeEnvelope(replies, recipients.length, session.standing);
  const accepted = verdicts.includes(undefined);
  let otherwise: Verdict | undefined;
  if (replies.data?.code !== 354) leaveEnvelope(session, replies);
  else if (accepted) otherwise = await sendContent(session, letter.content);
  else await sendLoneDot(session);
  otherwise ??= judgeData(replies, session.standing);
  const hasParameters = () => commands.mail !== mailCommand(letter, recipients, withoutParameters(extensions));
  return verdicts.map((refusal, i): Judged => {
    if (refusal === undefined) return { verdict: otherwise };
    const reply = isGood(replies.mail) ? replies.recipients[i] : replies.mail;
    if (reply === undefined) return { verdict: refusal };
    if (refusal.kind === 'failed' && isAboutParameters(reply)) {
      const parameters =
        reply === replies.mail ? hasParameters() : commands.recipients[i] !== rcptCommand(recipients[i]!, NO_EXTENSIONS);
      return parameters ? { verdict: refusal, again: 'bare' } : { verdict: refusal };
    }
    if (otherwise.kind === 'relayed' && isTransactionFull(reply)) return { verdict: refusal, again: 'next' };
    return { verdict: refusal };
  });
}

/** The host has had enough messages on this connection. */
function wantsNewSession(mail: RemoteReply, { standing }: DeliverySession): boolean {
  return judgeTransaction('MAIL', mail, standing).judgement?.action.verb === 'reconnect';
}

/** SMTPUTF8 stays, since without it the message could not be sent at all, and so does the promise of REQUIRETLS. */
function withoutParameters({ pipelining, smtpUtf8, requireTls }: Extensions): Extensions {
  return { ...NO_EXTENSIONS, pipelining, smtpUtf8, requireTls };
}

type Commands = { readonly mail: string; readonly recipients: readonly string[] };

/** RCPT and DATA need not wait for their turn; the whole envelope leaves in one write. */
async function sendPipelined({ connection }: DeliverySession, { mail, recipients }: Commands): Promise<EnvelopeReplies> {
  const stages: Stage[] = ['MAIL', ...recipients.map(() => 'RCPT' as const), 'DATA'];
  const { replies, failure } = await connection.exchange(`${mail}${recipients.join('')}DATA\r\n`, stages);
  return { mail: replies[0], recipients: replies.slice(1, 1 + recipients.length), data: replies[1 + recipients.length], failure };
}

async function sendStepwise({ connection }: DeliverySession, commands: Commands): Promise<EnvelopeReplies> {
  const mail = await connection.exchange(commands.mail, ['MAIL']);
  const said: RemoteReply[] = [];
  const soFar = ({ failure }: Replies): EnvelopeReplies => ({ mail: mail.replies[0], recipients: said, failure });
  if (!isGood(mail.replies[0])) return soFar(mail);
  for (const command of commands.recipients) {
    const rcpt = await connection.exchange(command, ['RCPT']);
    if (rcpt.replies[0] === undefined) return soFar(rcpt);
    said.push(rcpt.replies[0]);
    if (rcpt.replies[0].code === 421) return soFar(rcpt);
  }
  if (!said.some(isGood)) return soFar(mail);
  const data = await connection.exchange('DATA\r\n', ['DATA']);
  return { ...soFar(data), data: data.replies[0] };
}

/** Undefined for a recipient that was accepted. Each reply is judged by itself; what has none shares the end of the session. */
function judgeEnvelope(
  { mail, recipients, failure }: EnvelopeReplies,
  count: number,
  standing: Standing,
): (Verdict | undefined)[] {
  const verdicts = new Array<Verdict | undefined>(count);
  if (mail === undefined || !isGood(mail)) {
    return verdicts.fill(mail === undefined ? judgeFailure(failure!) : judgeTransaction('MAIL', mail, standing));
  }
  verdicts.fill(undefined);
  for (const [i, reply] of recipients.entries()) if (!isGood(reply)) verdicts[i] = judgeTransaction('RCPT', reply, standing);
  // After a 421 there is no more to come, and no failure was needed to know it.
  const last = recipients.at(-1);
  if (last?.code === 421) return verdicts.map((verdict) => verdict ?? judgeTransaction('RCPT', last, standing));
  return verdicts;
}

/** The verdict for those whose RCPT was accepted, or has no reply, when there is no 354. */
function judgeData({ data, failure }: EnvelopeReplies, standing: Standing): Verdict {
  return data === undefined
    ? judgeFailure(failure ?? { kind: 'lost', stage: 'DATA', detail: 'no reply' })
    : judgeTransaction('DATA', data, standing);
}

/** The content after 354, as few writes as it can be, and the reply to its final dot: RFC 5321 §4.1.1.4. */
async function sendContent(session: DeliverySession, content: Content): Promise<Verdict> {
  const { connection, standing } = session;
  const sent = await (content.kind === 'inline' ? sendInline(session, content.bytes) : sendSpooled(session, content));
  connection.transcript?.note(sent ? `… ${contentSize(content)} bytes of message …` : '… a part of the message …');
  const { replies, failure } = sent ? await connection.replies(['dot']) : await early(connection);
  session.committed = false;
  session.needsReset = false;
  const [reply] = replies;
  // A host that answers before it has read all is out of step: such a session is not used again.
  if (!sent || reply === undefined || reply.code === 421) connection.destroy();
  if (reply === undefined) return failure!.stage === 'dot' || sent ? judgeAfterDot(failure!) : judgeFailure(failure!);
  const verdict = judgeTransaction(sent ? 'dot' : 'content', reply, standing);
  if (sent && verdict.kind !== 'relayed') session.worn = true;
  return verdict;
}

/** @returns false where the connection has ended, or the host has spoken, before all was sent. */
function sendInline(session: DeliverySession, bytes: Uint8Array): Promise<boolean> {
  const stuffer = new DotStuffer();
  const pieces = [...stuffer.stuff(bytes), stuffer.end()];
  session.committed = true;
  return session.connection.write(bytes.length < COPY_LIMIT ? [Buffer.concat(pieces)] : pieces, 'content');
}

/** Each chunk has left before the next is read into its place: a slow host costs one chunk of memory, not the message. */
async function sendSpooled(session: DeliverySession, { prefix, spool }: Extract<Content, { kind: 'spooled' }>): Promise<boolean> {
  const { connection } = session;
  const stuffer = new DotStuffer();
  if (!(await connection.write(stuffer.stuff(prefix), 'content'))) return false;
  try {
    for await (const chunk of spool.read(Buffer.allocUnsafeSlow(READ))) {
      if (!(await connection.write(stuffer.stuff(chunk), 'content'))) return false;
    }
  } catch (error) {
    // No dot follows, so the host never takes the part for the whole.
    connection.destroy({ kind: 'local', stage: 'content', detail: `reading the stored message: ${(error as Error).message}` });
    return false;
  }
  session.committed = true;
  return connection.write([stuffer.end()], 'content');
}

/** The host answers while we still send: what it says counts. */
function early(connection: Connection): Replies | Promise<Replies> {
  const { failure } = connection;
  return failure === undefined ? connection.replies(['content']) : { replies: [], failure };
}

/** The envelope is dropped, and the session kept where it is still in step. */
function leaveEnvelope(session: DeliverySession, { mail, data, recipients }: EnvelopeReplies): void {
  session.needsReset = isGood(mail);
  const last = data ?? recipients.at(-1) ?? mail;
  if (last === undefined || last.code === 421 || (data !== undefined && data.code < 400)) session.connection.destroy();
}

/** All recipients were refused and the host wants content all the same: RFC 2920 §3.1. */
async function sendLoneDot(session: DeliverySession): Promise<void> {
  const { replies } = await session.connection.exchange('.\r\n', ['dot']);
  session.needsReset = false;
  if (replies[0] === undefined || replies[0].code === 421) session.connection.destroy();
}

async function reset(session: DeliverySession): Promise<boolean> {
  const { replies } = await session.connection.exchange('RSET\r\n', ['RSET']);
  session.needsReset = false;
  if (!isGood(replies[0])) session.connection.destroy();
  return isGood(replies[0]);
}

function ended({ connection }: DeliverySession): AboutUs {
  return judgeFailure(connection.failure ?? { kind: 'lost', stage: 'RSET', detail: 'RSET was refused' });
}

function isGood(reply: RemoteReply | undefined): boolean {
  return reply !== undefined && reply.code < 300;
}
