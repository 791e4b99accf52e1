/**
 * Every reply and every failure becomes an outcome here, and nowhere else: RFC 5321 §4.2.1 and §4.2.4, RFC 3463.
 * Unknown means temporary: only a clear 5yz to MAIL, RCPT, DATA or the final dot, or a clear answer of the DNS, is final.
 */
import type { Reply } from '../smtp/reply.ts';
import type { Failure, Stage } from './failure.ts';
import { clean, toReply } from './remote-reply.ts';
import type { RemoteReply } from './reply-reader.ts';

/**
 * What an attempt says about the host set: clean: it takes mail; alive: it answers, and the answer concerns this message or
 * recipient only; slow: less at a time; block: stop for a while; none: nothing, it was not asked.
 */
export type PaceEffect = 'clean' | 'alive' | 'slow' | 'block' | 'none';

export type Verdict = {
  readonly kind: 'relayed' | 'delayed' | 'uncertain' | 'failed' | 'returned';
  readonly reply: Reply;
  /** Another host of the same destination may know better, at once. */
  readonly tryNext: boolean;
  readonly pace: PaceEffect;
};

/** Steps before the first MAIL: what is said there is about us, not about a message. */
const BEFORE_MAIL: readonly Stage[] = ['greeting', 'EHLO', 'STARTTLS', 'handshake', 'AUTH', 'RSET'];

/** A reply that ends something for a recipient: any but 2yz to MAIL or RCPT and 354 to DATA. */
export function judgeReply(stage: Stage, remote: RemoteReply): Verdict {
  const { code } = remote;
  if (code === 421) return { kind: 'delayed', reply: toReply(remote), tryNext: true, pace: 'block' };
  if (stage === 'AUTH') return judgeLogin(remote);
  if (code >= 500) return judgeRefusal(stage, remote);
  if (code >= 400) {
    return { kind: 'delayed', reply: toReply(remote), tryNext: BEFORE_MAIL.includes(stage), pace: paceOf(stage, remote) };
  }
  if (code < 300 && stage === 'dot') return { kind: 'relayed', reply: toReply(remote), tryNext: false, pace: 'clean' };
  return judgeFailure({ kind: 'malformed', stage, detail: `an answer out of place: ${code} ${remote.lines[0] ?? ''}` });
}

function judgeRefusal(stage: Stage, remote: RemoteReply): Verdict {
  // A host that wants nobody, or not us, is not the recipient's last word: RFC 5321 §3.1 names 554 at the greeting.
  if (BEFORE_MAIL.includes(stage)) return { kind: 'delayed', reply: toReply(remote, 4), tryNext: true, pace: 'block' };
  // Too many recipients, said in the words of RFC 821: RFC 5321 §4.5.3.1.10.
  if (stage === 'RCPT' && remote.code === 552)
    return { kind: 'delayed', reply: toReply(remote, 4), tryNext: false, pace: 'alive' };
  return { kind: 'failed', reply: toReply(remote), tryNext: false, pace: 'alive' };
}

/** Our own wrong password never returns a sender's mail. */
function judgeLogin(remote: RemoteReply): Verdict {
  const reply = { ...toReply(remote, 4), status: '4.7.8', words: clean(remote.lines.join('\n')) };
  return { kind: 'delayed', reply, tryNext: true, pace: 'block' };
}

/** Greylisting is about one recipient and passes by itself; other policy refusals (X.7.x) and X.4.2 ask for less. */
function paceOf(stage: Stage, remote: RemoteReply): PaceEffect {
  const { status, text } = toReply(remote);
  if (!status.startsWith('4.7.') && status !== '4.4.2') return BEFORE_MAIL.includes(stage) ? 'block' : 'alive';
  if (BEFORE_MAIL.includes(stage) || stage === 'MAIL') return 'block';
  return /gr[ae]y/i.test(text) ? 'alive' : 'slow';
}

const FAILURES: { readonly [kind in Failure['kind']]: { readonly status: string; readonly say: string } } = {
  unreachable: { status: '4.4.1', say: 'Cannot connect' },
  timeout: { status: '4.4.2', say: 'No answer in time' },
  lost: { status: '4.4.2', say: 'Connection lost' },
  malformed: { status: '4.5.0', say: 'The host does not speak SMTP' },
  tls: { status: '4.7.5', say: 'Encryption is required and failed' },
  login: { status: '4.7.8', say: 'Cannot log in to the upstream' },
  aborted: { status: '4.3.2', say: 'The relay is shutting down' },
  local: { status: '4.3.0', say: 'Internal error of the relay' },
  shortage: { status: '4.3.0', say: 'The relay has no room for a connection' },
};

export function judgeFailure({ kind, stage, detail }: Failure): Verdict {
  const { status, say } = FAILURES[kind];
  const unreached = kind === 'timeout' && stage === 'connect';
  const reply = { code: 451, status: unreached ? '4.4.1' : status, text: clean(`${say} (${stage}): ${detail}`) };
  if (kind === 'aborted' && stage !== 'dot') return { kind: 'returned', reply, tryNext: false, pace: 'none' };
  if (kind === 'local' || kind === 'shortage') return { kind: 'delayed', reply, tryNext: false, pace: 'none' };
  // After the final dot only the far side knows: RFC 1047. A second copy at another host would be our doing.
  if (stage === 'dot') {
    const pace = kind === 'aborted' ? 'none' : 'slow';
    return { kind: kind === 'malformed' ? 'delayed' : 'uncertain', reply, tryNext: false, pace };
  }
  if (stage === 'content') return { kind: 'delayed', reply, tryNext: true, pace: 'slow' };
  return { kind: 'delayed', reply, tryNext: true, pace: 'block' };
}

/** What is found out before any connection. */
export type Problem =
  | 'nullMx'
  | 'noDomain'
  | 'noHost'
  | 'literal'
  | 'dns'
  | 'loop'
  | 'private'
  | 'onlyIpv6'
  | 'onlyIpv4'
  | 'noSmtpUtf8'
  | 'no8BitMime'
  | 'badAddress';

const PROBLEMS: {
  readonly [problem in Problem]: { readonly kind: 'failed' | 'delayed'; readonly code: number; readonly status: string };
} = {
  nullMx: { kind: 'failed', code: 556, status: '5.1.10' }, // RFC 7505 §4.1
  noDomain: { kind: 'failed', code: 550, status: '5.1.2' },
  noHost: { kind: 'failed', code: 550, status: '5.4.4' },
  literal: { kind: 'failed', code: 550, status: '5.1.2' },
  dns: { kind: 'delayed', code: 451, status: '4.4.3' },
  loop: { kind: 'failed', code: 554, status: '5.4.6' },
  private: { kind: 'failed', code: 550, status: '5.4.4' },
  onlyIpv6: { kind: 'failed', code: 550, status: '5.4.4' },
  onlyIpv4: { kind: 'failed', code: 550, status: '5.4.4' },
  noSmtpUtf8: { kind: 'failed', code: 550, status: '5.6.7' }, // RFC 6531 §3.5
  no8BitMime: { kind: 'failed', code: 554, status: '5.6.3' }, // RFC 6152 §3
  badAddress: { kind: 'failed', code: 553, status: '5.1.3' },
};

/** The same without a conversation: a host set is blocked, or the relay stops. Nothing was tried. */
export function judgeReturned(status: '4.3.2' | '4.4.5', text: string): Verdict {
  return { kind: 'returned', reply: { code: 451, status, text }, tryNext: false, pace: 'none' };
}

/** @param text what the sender may read in a report. */
export function judgeProblem(problem: Problem, text: string): Verdict {
  const { kind, code, status } = PROBLEMS[problem];
  return { kind, reply: { code, status, text: clean(text) }, tryNext: false, pace: 'none' };
}
