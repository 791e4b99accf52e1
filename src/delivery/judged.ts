/** What an outcome says of the refusal that it is made of: what it was taken for, and whether it speaks against the address. */
import type { JudgedReply } from '../smtp/outcome.ts';
import type { Target } from './session.ts';
import { formatAction, type ReplyJudgement } from './shaping/reply-class.ts';

export function judgedIn(judgement: ReplyJudgement, target: Pick<Target, 'provider'> | undefined): { judged: JudgedReply } {
  const { class: found, action, phase, rules } = judgement;
  const provider = target?.provider;
  return { judged: { class: found, action: formatAction(action), ...(provider !== undefined && { provider }), phase, rules } };
}

/** Providers whose own words for an address that does not exist are believed sooner. */
const BELIEVED: ReadonlySet<string> = new Set(['google', 'yahoo', 'outlook', 'microsoft365']);

/** Only classes about a recipient: an operator's line cannot make a refusal of our address count against addresses. */
export function suppressIn(
  judgement: ReplyJudgement | undefined,
  target: Pick<Target, 'provider'> | undefined,
): { readonly suppress?: { sure: boolean; own: boolean } } {
  if (judgement?.scope !== 'recipient' || !judgement.action.also.includes('suppress')) return {};
  return { suppress: { sure: judgement.sure, own: judgement.own === true && BELIEVED.has(target?.provider ?? '') } };
}
