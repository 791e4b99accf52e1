/** The content after 354, as few writes as it can be, and the reply to its final dot: RFC 5321 §4.1.1.4. */
import type { Content } from '../store/store.ts';
import type { Connection } from './connection.ts';
import { DotStuffer } from './dot-stuffing.ts';
import { contentSize } from './envelope-commands.ts';
import { judgeAfterDot, judgeFailure, judgeReply, type Standing, type Verdict } from './verdict.ts';

/** Below this, copying into one buffer is cheaper than a second piece. */
const COPY_LIMIT = 32 * 1024;
/** What is read from disk at once. */
const READ = 128 * 1024;

/** `inStep`: the reply came after all was sent, so both sides know where the next command begins. */
type Sent = { readonly verdict: Verdict; readonly inStep: boolean };

/** `commit` is called before the final dot is written: from then on only the reply tells what became of the message. */
type Sending = { readonly connection: Connection; readonly standing: Standing; readonly commit: () => void };

export async function sendContent({ connection, standing, commit }: Sending, content: Content): Promise<Sent> {
  const sent =
    content.kind === 'inline'
      ? await sendInline(connection, content.bytes, commit)
      : await sendSpooled(connection, content, commit);
  const { transcript } = connection;
  transcript?.note(sent ? `… ${contentSize(content)} bytes of message …` : '… a part of the message …');
  if (!sent) return { verdict: await early(connection, standing), inStep: false };
  const { replies, failure } = await connection.replies(['dot']);
  const [reply] = replies;
  return reply === undefined
    ? { verdict: judgeAfterDot(failure!), inStep: false }
    : { verdict: judgeReply('dot', reply, standing), inStep: reply.code !== 421 };
}

/** @returns false where the connection has ended, or the host has spoken, before all was sent. */
function sendInline(connection: Connection, bytes: Uint8Array, commit: () => void): Promise<boolean> {
  const stuffer = new DotStuffer();
  const pieces = [...stuffer.stuff(bytes), stuffer.end()];
  commit();
  return connection.write(bytes.length < COPY_LIMIT ? [Buffer.concat(pieces)] : pieces, 'content');
}

/** Each chunk has left before the next is read into its place: a slow host costs one chunk of memory, not the message. */
async function sendSpooled(
  connection: Connection,
  { prefix, spool }: Extract<Content, { kind: 'spooled' }>,
  commit: () => void,
): Promise<boolean> {
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
  commit();
  return connection.write([stuffer.end()], 'content');
}

/** The host answers while we still send: what it says counts, but the conversation is out of step. */
async function early(connection: Connection, standing: Standing): Promise<Verdict> {
  const { replies, failure } =
    connection.failure === undefined ? await connection.replies(['content']) : { replies: [], failure: connection.failure };
  if (failure?.stage === 'dot') return judgeAfterDot(failure);
  return replies[0] === undefined ? judgeFailure(failure!) : judgeReply('content', replies[0], standing);
}
