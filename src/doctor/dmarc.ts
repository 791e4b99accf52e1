/** Judges the DMARC record of a domain, and whether its mail passes DMARC: RFC 9989 §4.7, §4.10. */
import { type DmarcFacts, type DmarcPolicy, policyOf } from '../alignment/alignment.ts';
import { ASK_AGAIN, about, type Finding, nothingIn, type Severity } from './finding.ts';

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

type AlignmentFacts = {
  readonly domain: string;
  /** The result of the SPF check. Envelope sender and From have the same domain, so a pass is aligned. */
  readonly spf: Severity;
  /** True if an active key of the domain itself is published. */
  readonly signed: boolean | undefined;
  readonly dmarc: DmarcFacts;
};

/** One of SPF and DKIM is enough for DMARC. Large receivers want both from large senders. */
export function checkAlignment({ domain, spf, signed, dmarc }: AlignmentFacts): Finding {
  const say = about('alignment', domain);
  const spfSays = spf === 'ok' ? 'passes' : spf === 'unknown' ? 'is not known' : 'does not pass';
  const dkimSays = signed === undefined ? 'is not known' : signed ? 'passes' : 'does not pass';
  const found = `SPF ${spfSays}, DKIM ${dkimSays}, for From: …@${domain}`;
  const wanted = 'both pass with the domain of From';
  if (spf === 'ok' && signed) return say('ok', found, wanted);
  if (spf === 'ok' || signed)
    return spf === 'unknown' || signed === undefined
      ? say('unknown', found, wanted, ASK_AGAIN)
      : say(
          'warning',
          found,
          wanted,
          `DMARC passes by ${signed ? 'DKIM' : 'SPF'} alone: correct the other one too, because large receivers want both.`,
        );
  if (spf === 'unknown' || signed === undefined) return say('unknown', found, wanted, ASK_AGAIN);
  const policy = policyOf(dmarc);
  const action = policy.kind === 'found' ? policy.action : 'none';
  return say('error', found, wanted, `DMARC fails for ${domain}: ${FOLLOWS[action]}. Correct SPF and DKIM.`);
}

const FOLLOWS = {
  reject: 'by its policy, receivers refuse this mail',
  quarantine: 'by its policy, receivers treat this mail as spam',
  none: 'receivers may think that this mail is forged',
} as const;
