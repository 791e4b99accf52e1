/** Judges a refusal: the class, the action and the subject of a reply 4yz or 5yz. Pure. */
import type { Reply } from '../../smtp/reply.ts';
import { classAction, type ReplyClass, type ReplyJudgement, type ReplyPhase, scopeOf } from './reply-class.ts';

export type ReplyQuestion = {
  /** The key of the provider; absent where it is not known. */
  readonly provider?: string;
  readonly phase: ReplyPhase;
  readonly reply: Reply;
  /** The IP addresses that we send from: a refusal that names one is about us. */
  readonly ownAddresses?: readonly string[];
  /** The names that we give in EHLO. */
  readonly ownNames?: readonly string[];
};

/** Statuses that say what a refusal is about, by themselves: RFC 3463, RFC 7372, RFC 7505. X.7.1 is not one of them. */
const BY_STATUS: ReadonlyMap<string, ReplyClass> = new Map([
  ['1.1', 'no-such-user'],
  ['2.1', 'mailbox-disabled'],
  ['2.2', 'mailbox-full'],
  ['3.4', 'too-big'],
]);

/** Never throws. */
export function judgeReply({ reply: { code, status } }: ReplyQuestion): ReplyJudgement {
  const found = BY_STATUS.get(status.slice(2)) ?? 'unknown';
  return {
    class: found,
    action: classAction(found, Math.floor(code / 100)),
    sure: false,
    scope: scopeOf(found),
    origin: found === 'unknown' ? 'no rule' : `status ${status}`,
  };
}
