/** What the result of an attempt is for the queue: the outcome of one recipient, with where it came from and why it waits. */
import type { Outcome } from '../smtp/outcome.ts';
import { SECOND } from '../system/clock.ts';
import type { AttemptResult } from './attempt.ts';
import { judgedIn, suppressIn } from './judged.ts';
import type { TurnedAway } from './places.ts';
import type { Target } from './session.ts';
import type { Permit } from './shaping/permit.ts';
import type { Heard } from './shaping/provider-way.ts';

/** Domains share sessions, and each has its own policy. */
function policyMet({ basis, tls }: Target, assurance: AttemptResult['assurance']): { policyId?: string } {
  return basis.sts !== undefined && (tls.isSts || assurance === 'sts-testing') ? { policyId: basis.sts.id } : {};
}

/** The provider refuses our address in the family of IP that its host has, and the host has no other. */
export function isClosed({ target, verdict }: AttemptResult, permit: Permit | undefined): boolean {
  return permit?.closedBy !== undefined && target === undefined && verdict.kind === 'delayed';
}

export function outcomeOfClosed({ provider, closedBy }: Permit, notBefore: number): Outcome {
  const { reply, since } = closedBy!;
  return { kind: 'returned', reply, seconds: 0, notBefore, heldBy: { provider, since } };
}

/** Why mail waits, besides its verdict. */
export type Waits = Pick<TurnedAway, 'notBefore' | 'heldBy'>;

/** A reply that leaves no doubt that our address is refused, by the provider and not by one domain: the mail is held from now on. */
export function heldFrom(heard: readonly Heard[], permit: Permit | undefined, provider: string, since: number): Waits {
  const isRefused = heard.some(
    ({ kind, verb, sure, own }) =>
      kind === 'us' && verb === 'hold' && sure === true && (permit?.believed[own ? 'own' : 'other'] ?? true),
  );
  return isRefused ? { heldBy: { provider, since } } : {};
}

type Where = Pick<Outcome, 'mx' | 'ip' | 'tls' | 'assurance' | 'proof' | 'seconds'>;
/** Filled in field by field: to put it together from parts costs several times as much. */
type WhereSoFar = { -readonly [K in keyof Where]: Where[K] };

export function outcomeOf(
  { verdict, target, tls, assurance, proof, dsn }: AttemptResult,
  started: number,
  waits: Waits = {},
): Outcome {
  const where: WhereSoFar = { seconds: Math.round(performance.now() - started) / SECOND };
  if (target !== undefined) {
    where.mx = target.mx;
    where.ip = target.ip;
  }
  if (tls !== undefined) where.tls = tls;
  if (assurance !== undefined) where.assurance = assurance;
  if (proof !== undefined) where.proof = proof;
  if (target !== undefined && assurance !== undefined) Object.assign(where, policyMet(target, assurance));
  if (verdict.judgement !== undefined) Object.assign(where, judgedIn(verdict.judgement, target));
  if (verdict.kind === 'failed')
    return { ...where, kind: verdict.kind, reply: verdict.reply, ...suppressIn(verdict.judgement, target) };
  const { kind, reply, judgement } = verdict;
  const { notBefore, heldBy } = waits;
  if (kind === 'relayed') return { ...where, kind, reply, dsnPassedOn: dsn };
  if (kind === 'returned')
    return { kind, reply, ...where, ...(notBefore !== undefined && { notBefore }), ...(heldBy !== undefined && { heldBy }) };
  if (kind !== 'delayed') return { kind, reply, ...where };
  if (verdict.about === 'us' && verdict.waitsForUs === true) return { kind, reply, ...where, waitsForUs: true };
  return judgement?.action.verb === 'hold' && heldBy !== undefined
    ? { kind, reply, ...where, heldBy }
    : { kind, reply, ...where };
}
