/** What the results of an attempt say about the provider: each by the address of ours that it was given to. */
import { domainOf } from '../../smtp/envelope.ts';
import type { AttemptResult } from '../attempt.ts';
import type { AboutUs } from '../verdict.ts';
import type { Permit } from './permit.ts';
import { type Heard, wayKey } from './provider-way.ts';
import type { ReplyPhase } from './reply-class.ts';

type HeardContext = {
  /** `user`: who handed it in; null: the relay itself. */
  readonly message: { readonly user: string | null; readonly reversePath: string };
  /** In the order of the results. */
  readonly recipients: readonly { readonly address: string }[];
  /** Absent: the table knows none of these hosts. */
  readonly provider?: string | undefined;
};

/** From then on the words may be those of a domain that the provider hosts. */
const OF_RECIPIENTS: ReadonlySet<ReplyPhase> = new Set(['rcpt', 'data']);

/**
 * Results without a host tell nothing. Nor does a host that is not the provider's, though its domain names it beside those: anybody can
 * put hosts of a provider into the DNS. @param counted whether deliveries count too; without a permit only what is about us does, and what
 * counts against a credential.
 */
export function heardFrom(
  results: readonly AttemptResult[],
  { message: { user, reversePath }, recipients, provider }: HeardContext,
  counted: boolean,
): readonly Heard[] {
  const heard: Heard[] = [];
  for (const [i, { verdict, target, cap, ipv6 }] of results.entries()) {
    if (ipv6 !== undefined && counted && ipv6.provider === provider)
      heard.push({ family: 6, ...(ipv6.source !== undefined && { source: ipv6.source }), kind: 'ipv6', sign: ipv6.sign });
    if (target === undefined || target.upstream === true || target.provider !== provider) continue;
    const { judgement, kind } = verdict;
    const aboutUs = judgement?.scope === 'us';
    const isStruck = judgement !== undefined && user !== null && judgement.action.also.includes('strike');
    if (!counted && !aboutUs && !isStruck) continue;
    const { family, source, mx } = target;
    const way = { family, ...(source !== undefined && { source }), ...(cap !== undefined && { cap }) };
    if (kind === 'relayed')
      heard.push({ ...way, kind: 'clean', recipient: recipients[i]?.address, domain: domainOf(reversePath) });
    else if (judgement === undefined)
      heard.push({ ...way, kind: verdict.about === 'us' || kind === 'uncertain' ? 'silent' : 'other' });
    else if (!aboutUs) heard.push({ ...way, kind: 'other', phase: judgement.phase, ...(isStruck && { strikes: user }) });
    else {
      const { class: word, action, sure, phase } = judgement;
      const own = judgement.own === true || !OF_RECIPIENTS.has(phase);
      const recipient = recipients[i]?.address ?? '';
      const what = { class: word, verb: action.verb, seconds: action.seconds, sure, own, phase, reply: verdict.reply, mx };
      heard.push({ ...way, kind: 'us', ...what, recipient, domain: domainOf(reversePath) });
    }
  }
  return heard;
}

/**
 * What the results of an attempt say about the fallback upstream. clean: it has taken the message; silent: perhaps; other: it does not want
 * this message; us: it does not let us in (`sure`), it fails, or it refuses in words that nobody knows (`sure` undefined). What is only our
 * own trouble is left out.
 */
export function heardFromFallback(results: readonly AttemptResult[]): readonly Heard[] {
  return results.flatMap(({ verdict, target }): readonly Heard[] => {
    const { kind, judgement, pace, reply } = verdict;
    const mx = target?.mx;
    if (kind === 'relayed') return [{ family: 4, kind: 'clean' }];
    if (kind === 'uncertain') return [{ family: 4, kind: 'silent' }];
    if (kind === 'returned') return [];
    const isLocked = verdict.about === 'us' && verdict.waitsForUs === true && pace !== 'none';
    if (isLocked || judgement?.scope === 'upstream' || (judgement?.scope === 'us' && reply.code >= 500))
      return [{ family: 4, kind: 'us', sure: true, reply, mx }];
    if (judgement === undefined)
      return verdict.about === 'us' && pace !== 'none' ? [{ family: 4, kind: 'us', sure: false, reply, mx }] : [];
    if (reply.code < 500) return judgement.scope === 'us' ? [{ family: 4, kind: 'us', sure: false, reply, mx }] : [];
    return judgement.class === 'unknown' ? [{ family: 4, kind: 'us', reply, mx }] : [{ family: 4, kind: 'other' }];
  });
}

/**
 * Too many sessions at a time is no failure of the mail: it comes again as soon as there are fewer. @param permit of the attempt, where other
 * attempts had permits too; one that was alone waits as after any refusal.
 */
export function withoutCrowd(results: readonly AttemptResult[], permit: Permit | undefined): readonly AttemptResult[] {
  if (permit === undefined || permit.beside === 0) return results;
  if (!results.some(({ verdict }) => verdict.judgement?.action.verb === 'limit')) return results;
  return results.map((result) => {
    const { verdict } = result;
    if (verdict.judgement?.action.verb !== 'limit' || verdict.kind === 'relayed') return result;
    const { reply, judgement } = verdict;
    const again: AboutUs = { about: 'us', kind: 'returned', reply, tryNext: false, pace: 'none', judgement };
    return { ...result, verdict: again };
  });
}

const STRENGTH = { us: 3, clean: 2, other: 1, silent: 0, ipv6: 0 } as const;

/** One answer for each way: what is about us outweighs the rest. A connection that wanted no more is said in any case. */
export function strongest(heard: readonly Heard[]): readonly Heard[] {
  if (heard.length <= 1) return heard;
  const found = new Map<string, Heard>();
  for (const one of heard) {
    const known = found.get(wayKey(one));
    if (known === undefined || STRENGTH[one.kind] > STRENGTH[known.kind]) found.set(wayKey(one), { cap: known?.cap, ...one });
    else if (one.cap !== undefined) found.set(wayKey(one), { ...known, cap: one.cap });
  }
  return [...found.values()];
}
