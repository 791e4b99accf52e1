/** One attempt at the fallback upstream, for mail whose provider refuses our address. */
import type { FallbackRule } from '../smtp/route.ts';
import type { Claim, StoredRecipient } from '../store/store.ts';
import { type AttemptContext, type AttemptResult, attempt, effectOf } from './attempt.ts';
import type { Places } from './places.ts';
import { type PlanContext, planByFallback } from './plan.ts';
import { heardFromFallback } from './shaping/heard.ts';
import { judgeByFallback } from './verdict.ts';

export type FallbackLetter = Pick<Claim, 'message' | 'content'>;

type FallbackJob = {
  readonly letter: FallbackLetter;
  readonly recipients: readonly StoredRecipient[];
  /** The one that refuses our address. */
  readonly provider: string;
  readonly rule: FallbackRule;
  readonly signal: AbortSignal;
};

type FallbackContext = { readonly pacing: Places; readonly plan: PlanContext; readonly context: AttemptContext };

/** One result per recipient, in their order; undefined for those that are above the cap. Undefined: none of them may go this way now. */
export async function attemptFallback(
  { letter, recipients, provider, rule, signal }: FallbackJob,
  { pacing, plan, context }: FallbackContext,
): Promise<readonly (AttemptResult | undefined)[] | undefined> {
  const { id, reversePath: sender } = letter.message;
  const { key, targets } = planByFallback(letter.message, rule, plan);
  // The destination keeps its own hosts.
  const lookUp = { destination: recipients[0]!.destination, ways: -1 };
  const fallback = { provider, upstream: key, count: recipients.length };
  const place = await pacing.enter({ key, lookUp, message: id, sender, signal, fallback });
  if ('verdict' in place) return undefined;
  const granted = recipients.slice(0, place.permit?.fallback?.granted ?? 0);
  let results: readonly AttemptResult[] = [];
  try {
    const job = { queueId: id, hosts: key, place, letter, recipients: granted, targets: await targets(), signal };
    results = await attempt(job, context);
  } finally {
    const { effect, reason } = effectOf(results);
    pacing.leave(place, effect, reason, heardFromFallback(results));
  }
  const judged = results.map((result) => ({ ...result, verdict: judgeByFallback(result.verdict) }));
  return recipients.map((_, i) => judged[i]);
}
