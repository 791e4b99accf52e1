/** Judges the DMARC record of a domain, and whether its mail passes DMARC: RFC 9989 §4.7, §4.10. */
import {
  type DmarcFacts,
  type DmarcPolicy,
  judgeSender,
  type Passes,
  policyOf,
  type SenderFacts,
  signatureOf,
} from '../alignment/alignment.ts';
import { ASK_AGAIN, about, type Finding, nothingIn } from './finding.ts';

export function checkDmarc(facts: DmarcFacts): Finding {
  const { domain, levels } = facts.walk;
  const say = about('dmarc', domain);
  const wanted = `_dmarc.${domain}. TXT "v=DMARC1; p=none"`;
  const policy = policyOf(facts);
  // Such records at the domain itself are a mistake, even if the organization has a policy or cannot be asked.
  const spoilt = levels.find(
    ({ name, texts, record }) =>
      texts.length > 0 && record === undefined && (name === domain || (policy.kind === 'none' && policy.record === undefined)),
  );
  if (spoilt !== undefined) {
    const { name, texts } = spoilt;
    if (texts.length === 1)
      return say('error', texts[0]!, wanted, `A tag occurs twice, so the record at _dmarc.${name} does not count: keep one.`);
    return say(
      'error',
      `${texts.length} DMARC records`,
      'one record',
      `Keep only one at _dmarc.${name}: if there are several, none counts.`,
    );
  }
  if (policy.kind === 'unknown') return say('unknown', nothingIn(policy.failed), wanted, ASK_AGAIN);
  const { record } = policy;
  if (record === undefined)
    return say('warning', 'no DMARC record', wanted, 'Publish it: large receivers want one, and p=none changes nothing else.');
  const found = inWords(domain, policy);
  if (record.invalid === undefined) return say('ok', found, 'one record with a policy');
  const correct = `${record.invalid} must be none, quarantine or reject.`;
  return policy.kind === 'none'
    ? say('error', found, wanted, `The record has no valid policy: ${correct}`)
    : say('warning', found, wanted, `The record counts as p=none: ${correct}`);
}

/** The record, and what an operator would not see in it: where it is from, and which action holds. */
function inWords(domain: string, policy: DmarcPolicy & { readonly kind: 'found' | 'none' }): string {
  const { at = domain, record } = policy;
  const actionIsNew = policy.kind === 'found' && (at !== domain || policy.record.isTest);
  const notes = [...(at === domain ? [] : [`of ${at}`]), ...(actionIsNew ? [`${policy.action} for ${domain}`] : [])];
  return notes.length === 0 ? `${record?.text}` : `${record?.text} (${notes.join(', ')})`;
}

/** One of SPF and DKIM is enough for DMARC. Large receivers want both from large senders. */
export function checkAlignment(facts: SenderFacts): Finding {
  const { domain } = facts.from.walk;
  const say = about('alignment', domain);
  const [dkim, spf] = [signatureOf(facts), allPass(facts.spf.results)];
  const verdict = judgeSender(facts);
  const partly = verdict === 'fragile' && spf !== 'pass';
  const stranger = dkim === 'fail' ? facts.keys.find(({ result }) => result === 'pass')?.walk.domain : undefined;
  const dkimSays = stranger === undefined ? SAYS[dkim] : `passes for ${stranger}, which is not aligned`;
  const found = `SPF ${partly ? 'passes for some of our addresses' : SAYS[spf]}, DKIM ${dkimSays}, for From: …@${domain}`;
  const wanted = 'both pass with the domain of From';
  const mendDkim = stranger === undefined ? 'correct DKIM' : `give ${domain} a key of its own (smarthost domain add ${domain})`;
  switch (verdict) {
    case 'ok':
      if (spf === 'pass') return say('ok', found, wanted);
      return spf === 'unknown'
        ? say('unknown', found, wanted, ASK_AGAIN)
        : say('warning', found, wanted, byOne('DKIM', 'correct SPF'));
    case 'fragile':
      return say('warning', found, wanted, byOne('SPF', partly ? `correct SPF for all addresses, and ${mendDkim}` : mendDkim));
    case 'unknown':
      return say('unknown', found, wanted, ASK_AGAIN);
    default:
      return say('error', found, wanted, `DMARC fails for ${domain}: ${FOLLOWS[verdict]}. Correct SPF, and ${mendDkim}.`);
  }
}

const SAYS: Readonly<Record<Passes, string>> = { pass: 'passes', fail: 'does not pass', unknown: 'is not known' };

const byOne = (one: 'SPF' | 'DKIM', mend: string) =>
  `DMARC passes by ${one} alone: ${mend} too, because large receivers want both.`;

function allPass(results: readonly Passes[]): Passes {
  if (results.includes('fail')) return 'fail';
  return results.length === 0 || results.includes('unknown') ? 'unknown' : 'pass';
}

const FOLLOWS = {
  rejected: 'by its policy, receivers refuse this mail',
  spam: 'by its policy, receivers treat this mail as spam',
  weak: 'receivers may think that this mail is forged',
} as const;
