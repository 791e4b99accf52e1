/** One mail transaction: MAIL, RCPT, DATA, content. RFC 5321 §3.3, RFC 2920. */
import type { EnvelopeRecipient } from '../smtp/envelope.ts';
import type { Replies } from './connection.ts';
import { type Letter, mailCommand, rcptCommand, unsendable } from './envelope-commands.ts';
import { type Extensions, NO_EXTENSIONS } from './extensions.ts';
import type { SessionFailure, Stage } from './failure.ts';
import type { RemoteReply } from './reply-reader.ts';
import type { DeliverySession } from './session.ts';
import { sendContent } from './transfer.ts';
import { type AboutUs, judgeFailure, judgeReply, type Standing, type Verdict } from './verdict.ts';

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
  if (used && (mail === undefined || mail.code === 421 || (mail.code >= 500 && !bare))) {
    session.connection.destroy();
    return 'stale';
  }
  const verdicts = judgeEnvelope(replies, recipients.length, session.standing);
  const accepted = verdicts.includes(undefined);
  let otherwise: Verdict | undefined;
  if (replies.data?.code !== 354) leaveEnvelope(session, replies);
  else if (accepted) otherwise = await deliverContent(session, letter);
  else await sendLoneDot(session);
  otherwise ??= judgeData(replies, session.standing);
  const hasParameters = () => commands.mail !== mailCommand(letter, recipients, withoutParameters(extensions));
  return verdicts.map((refusal, i): Judged => {
    const verdict = refusal ?? otherwise;
    if (refusal === undefined) return { verdict };
    const reply = isGood(replies.mail) ? replies.recipients[i] : replies.mail;
    if (verdict.kind === 'failed' && PARAMETER_CODES.has(reply?.code ?? 0)) {
      const parameters =
        reply === replies.mail ? hasParameters() : commands.recipients[i] !== rcptCommand(recipients[i]!, NO_EXTENSIONS);
      return parameters ? { verdict, again: 'bare' } : { verdict };
    }
    if (otherwise.kind === 'relayed' && reply !== undefined && isFull(reply)) return { verdict, again: 'next' };
    return { verdict };
  });
}

/** A parameter is unknown, or its value does not please: RFC 5321 §4.1.1.11. A host that announces more than it knows says so. */
const PARAMETER_CODES: ReadonlySet<number> = new Set([501, 504, 555]);

/** The transaction has no room for one more recipient: RFC 5321 §4.5.3.1.10. A mailbox (X.2.2) or a system without room, and a size, are others. */
function isFull({ code, lines }: RemoteReply): boolean {
  return (code === 452 || code === 552) && !/^[45]\.[23]\./.test(lines[0] ?? '');
}

/** SMTPUTF8 stays: without it the message could not be sent at all. */
function withoutParameters({ pipelining, smtpUtf8 }: Extensions): Extensions {
  return { ...NO_EXTENSIONS, pipelining, smtpUtf8 };
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
  if (mail === undefined || !isGood(mail)) {
    const verdict = mail === undefined ? judgeFailure(failure!) : judgeReply('MAIL', mail, standing);
    return Array.from({ length: count }, () => verdict);
  }
  const verdicts = Array.from({ length: count }, (_, i) => {
    const reply = recipients[i];
    return reply === undefined || isGood(reply) ? undefined : judgeReply('RCPT', reply, standing);
  });
  // After a 421 there is no more to come, and no failure was needed to know it.
  const last = recipients.at(-1);
  if (last?.code === 421) return verdicts.map((verdict) => verdict ?? judgeReply('RCPT', last, standing));
  return verdicts;
}

/** The verdict for those whose RCPT was accepted, or has no reply, when there is no 354. */
function judgeData({ data, failure }: EnvelopeReplies, standing: Standing): Verdict {
  return data === undefined
    ? judgeFailure(failure ?? { kind: 'lost', stage: 'DATA', detail: 'no reply' })
    : judgeReply('DATA', data, standing);
}

async function deliverContent(session: DeliverySession, letter: Letter): Promise<Verdict> {
  const { connection, standing } = session;
  const commit = () => {
    session.committed = true;
  };
  const { verdict, inStep } = await sendContent({ connection, standing, commit }, letter.content);
  session.committed = false;
  session.needsReset = false;
  // A refusal may have come before the host had read all: such a session is not used again.
  if (!inStep) session.connection.destroy();
  else if (verdict.kind !== 'relayed') session.worn = true;
  return verdict;
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
