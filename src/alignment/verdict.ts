/**
 * What receivers think of mail with a domain in From, as far as DMARC goes (RFC 9989 §5.3). Look-ups are gathered first and judged by
 * functions without side effects, so the same facts give the same result wherever they are judged.
 */
import { type DmarcFacts, type DmarcPolicy, isAligned, policyOf } from './dmarc-policy.ts';
import type { AlignmentMode } from './dmarc-record.ts';
import type { TreeWalk } from './tree-walk.ts';

/** The result of SPF, or of a look at a published key. `unknown`: the DNS gave no answer. */
export type Passes = 'pass' | 'fail' | 'unknown';

export type SenderFacts = {
  /** The domain of From. */
  readonly from: DmarcFacts;
  readonly spf: {
    /** Of the envelope sender, or of the EHLO name for the null sender. */
    readonly walk: TreeWalk;
    /** For each address that mail is sent from. Empty if they are not known. */
    readonly results: readonly Passes[];
  };
  /** The keys that sign, with their domain. `pass`: verifiers find the key. */
  readonly keys: readonly { readonly walk: TreeWalk; readonly result: Passes }[];
};

/**
 * `ok`: a signature is aligned. `fragile`: SPF alone, maybe not for every address; forwarding breaks it. `weak`: nothing is aligned, and no
 * policy forbids it. `spam`, `rejected`: nothing is aligned, and the policy is quarantine or reject. `unknown`: it depends on a look-up that failed.
 */
export type SenderVerdict = 'ok' | 'fragile' | 'weak' | 'spam' | 'rejected' | 'unknown';

export function judgeSender(facts: SenderFacts): SenderVerdict {
  const policy = policyOf(facts.from);
  const dkim = signatureOf(facts, policy);
  if (dkim === 'pass') return 'ok';
  if (dkim === 'unknown') return 'unknown';
  const spf = addressOf(facts, policy);
  if (spf === 'pass') return 'fragile';
  if (spf === 'unknown' || policy.kind === 'unknown') return 'unknown';
  return policy.kind === 'none' ? 'weak' : BY_ACTION[policy.action];
}

const BY_ACTION = { none: 'weak', quarantine: 'spam', reject: 'rejected' } as const;

/** `pass` if at least one signature is aligned and verifies. */
export function signatureOf({ from, keys }: SenderFacts, policy: DmarcPolicy = policyOf(from)): Passes {
  return best(keys.map(({ walk, result }) => both(result, alignmentFor(policy, from.walk, walk, 'dkim'))));
}

/** `pass` if SPF is aligned and passes for at least one address. */
function addressOf({ from, spf }: SenderFacts, policy: DmarcPolicy): Passes {
  const results = spf.results.length === 0 ? (['unknown'] as const) : spf.results;
  return both(best(results), alignmentFor(policy, from.walk, spf.walk, 'spf'));
}

/** Without a record, receivers that want alignment want the relaxed one. If the record is not known, both modes have to agree. */
function alignmentFor(policy: DmarcPolicy, from: TreeWalk, verified: TreeWalk, by: 'dkim' | 'spf'): Passes {
  const aligned = (mode: AlignmentMode) => passes(isAligned(from, verified, mode));
  if (policy.record !== undefined) return aligned(policy.record[by]);
  const relaxed = aligned('relaxed');
  return policy.kind === 'none' || relaxed === aligned('strict') ? relaxed : 'unknown';
}

const passes = (result: boolean | undefined): Passes => (result === undefined ? 'unknown' : result ? 'pass' : 'fail');

const best = (results: readonly Passes[]): Passes =>
  (['pass', 'unknown'] as const).find((result) => results.includes(result)) ?? 'fail';

const both = (one: Passes, other: Passes): Passes =>
  (['fail', 'unknown'] as const).find((result) => result === one || result === other) ?? 'pass';
