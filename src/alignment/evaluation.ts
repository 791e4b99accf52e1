/** One evaluation of a sender, with as few questions as it needs: the keys first, SPF only if it decides. RFC 9989 §5.3 */
import type { DnsClient, Resolved } from '../dns/dns.ts';
import { dkimRecord, lookUpRecord, type PublishedRecord } from '../signing/signing.ts';
import type { DkimKey } from '../store/store.ts';
import { HOUR } from '../system/clock.ts';
import { type DmarcFacts, type DmarcPolicy, gatherDmarc, isAligned, policyOf } from './dmarc-policy.ts';
import { PASSES } from './sender.ts';
import { gatherSpf, isSpf, spfPasses, wantedSpf } from './spf.ts';
import { organizationOf, type TreeWalk, walkTree } from './tree-walk.ts';
import { judgeSender, type Passes, type SenderFacts, type SenderVerdict, signatureOf } from './verdict.ts';

/** Who sends. Domains are lower-case A-labels. */
export type SenderIdentity = {
  readonly domain: string;
  /** The domain of the envelope sender. The host name stands for the null sender: RFC 7208 §2.4. */
  readonly envelope: string;
  /** `selector._domainkey.domain` of our signatures, with blanks between. */
  readonly signatures: string;
};

/** A TXT record that would help. */
type WantedRecord = { readonly name: string; readonly value: string; readonly now: 'absent' | 'different' };

/** Why a verdict is as it is, for replies, notices and commands. */
export type SenderDetail = {
  /** The record whose policy holds, and what it asks for. Absent: none, or it was not needed. */
  readonly policy?: { readonly at: string; readonly text: string; readonly action: string };
  /** The domain that aligned names belong to. Absent: not known, or not needed. */
  readonly organization?: string;
  /** Signatures count only of the very domain: `adkim=s`. */
  readonly strict?: boolean;
  /** Our signatures are of no key of this domain, so that a record does not help: it needs a key. */
  readonly needsKey?: boolean;
  /** The first is the best. */
  readonly publish?: readonly WantedRecord[];
};

export type Evaluation = {
  readonly verdict: SenderVerdict;
  readonly detail: SenderDetail /** Milliseconds. */;
  readonly ttl: number;
};

type EvaluationOptions = {
  readonly question: SenderIdentity;
  /** All of ours. */
  readonly keys: readonly DkimKey[];
  /** The addresses that mail leaves from. Empty: not known. */
  readonly addresses: readonly string[];
  readonly hostname: string;
  readonly dns: Pick<DnsClient, 'txt' | 'a' | 'aaaa' | 'mx' | 'ptr'>;
  /** Most milliseconds for SPF. */
  readonly timeout: number;
};

/** Asks the resolvers afresh, each question once. Never rejects because of the DNS. */
export async function evaluateSender(options: EvaluationOptions): Promise<Evaluation> {
  const { domain, signatures } = options.question;
  const recorder = createRecorder(options.dns);
  // In the order of the signatures: RSA comes first, which every verifier knows.
  const byName = new Map(options.keys.map((key) => [dkimRecord(key).name, key]));
  const signing = signatures.split(' ').flatMap((name) => byName.get(name) ?? []);
  const published = await Promise.all(signing.map((key) => lookUpRecord(key, recorder.dns)));
  const done = (verdict: SenderVerdict, detail: SenderDetail = {}) => ({ verdict, detail, ttl: recorder.ttl() });
  // The very name in From is aligned, whatever the policy is.
  if (signing.some((key, i) => key.domain === domain && published[i]!.state === 'published')) return done('ok');
  const from = await gatherDmarc(domain, recorder.dns);
  const keys = await Promise.all(
    signing.map(async (key, i) => ({
      walk: key.domain === domain ? from.walk : await walkTree(key.domain, recorder.dns),
      result: PASSES[published[i]!.state],
    })),
  );
  const unsure: SenderFacts = { from, keys, spf: { walk: from.walk, results: [] } };
  const policy = policyOf(from);
  if (signatureOf(unsure, policy) === 'pass') return done('ok');
  const spf = await spfOf(options, from, recorder.dns);
  const verdict = judgeSender({ ...unsure, spf });
  const records = wantedRecords({ signing, published, keys, from, policy });
  const needsKey = !signing.some((_, i) => alignedWith(from, keys[i]!.walk, policy));
  return done(verdict, {
    ...policyDetail(policy),
    ...organizationDetail(from, policy),
    needsKey,
    publish: [...records, ...spf.publish],
  });
}

type RecordedDns = ReturnType<typeof createRecorder>['dns'];

/** SPF is not evaluated if the envelope has another organization, because then it cannot help. */
async function spfOf({ question, addresses, hostname, timeout }: EvaluationOptions, from: DmarcFacts, dns: RecordedDns) {
  const { domain, envelope } = question;
  const walk = envelope === domain ? from.walk : await walkTree(envelope, dns);
  if (isAligned(from.walk, walk, 'relaxed') === false) return { walk, results: ['fail'] as const, publish: [] };
  const facts = await gatherSpf({ domain: envelope, hostname, addresses, dns, timeout });
  const texts = facts.txt.kind === 'found' ? facts.txt.values.filter(isSpf) : [];
  const value = wantedSpf(texts[0], { domain: envelope, hostname });
  const publish =
    value === texts[0] ? [] : [{ name: envelope, value, now: texts.length === 0 ? 'absent' : 'different' } as const];
  // Without a record, it fails for each address, also for one that is not known.
  const isAbsent = facts.txt.kind !== 'temporary' && texts.length === 0;
  const results: readonly Passes[] = facts.evaluated.length === 0 && isAbsent ? ['fail'] : spfPasses(facts);
  return { walk, results, publish: facts.txt.kind === 'temporary' ? [] : publish };
}

type SigningFacts = {
  readonly signing: readonly DkimKey[];
  readonly published: readonly PublishedRecord[];
  readonly keys: SenderFacts['keys'];
  readonly from: DmarcFacts;
  readonly policy: DmarcPolicy;
};

/** The records of our keys that would make a signature count. */
function wantedRecords({ signing, published, keys, from, policy }: SigningFacts): readonly WantedRecord[] {
  return signing.flatMap((key, i): readonly WantedRecord[] => {
    const { state } = published[i]!;
    if ((state !== 'absent' && state !== 'different') || !alignedWith(from, keys[i]!.walk, policy)) return [];
    const { name, value } = dkimRecord(key);
    return [{ name, value, now: state }];
  });
}

function alignedWith(from: DmarcFacts, walk: TreeWalk, { record }: DmarcPolicy): boolean {
  return isAligned(from.walk, walk, record?.dkim ?? 'relaxed') === true;
}

function policyDetail(policy: DmarcPolicy): Pick<SenderDetail, 'policy'> {
  if (policy.kind !== 'found') return {};
  return { policy: { at: policy.at, text: policy.record.text, action: policy.action } };
}

function organizationDetail({ walk }: DmarcFacts, { record }: DmarcPolicy): Pick<SenderDetail, 'organization' | 'strict'> {
  const organization = organizationOf(walk);
  return { strict: record?.dkim === 'strict', ...(organization === undefined ? {} : { organization }) };
}

/** Asks each question once, and remembers how long all answers are valid. */
function createRecorder(client: EvaluationOptions['dns']) {
  let ttl = HOUR;
  const asked = new Map<string, Promise<Resolved<never>>>();
  function once<T>(key: string, ask: () => Promise<Resolved<T>>): Promise<Resolved<T>> {
    const known = asked.get(key);
    if (known !== undefined) return known;
    const answer = ask().then((found) => {
      if (found.kind !== 'temporary') ttl = Math.min(ttl, found.ttl);
      return found;
    });
    asked.set(key, answer as Promise<Resolved<never>>);
    return answer;
  }
  return {
    ttl: () => ttl,
    dns: {
      // Two evaluations that agree prove something only if the second one does not repeat what the first one was told.
      txt: (name: string) => once(`txt ${name}`, () => client.txt(name, true)),
      a: (name: string) => once(`a ${name}`, () => client.a(name)),
      aaaa: (name: string) => once(`aaaa ${name}`, () => client.aaaa(name)),
      mx: (name: string) => once(`mx ${name}`, () => client.mx(name)),
      ptr: (address: string) => once(`ptr ${address}`, () => client.ptr(address)),
    },
  };
}
