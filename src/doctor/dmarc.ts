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
import { presentText } from '../dns/dns.ts';
import { data, type Phrase, phrase } from '../system/phrase.ts';
import { ASK_AGAIN, about, type Finding, nothingIn } from './finding.ts';

export function checkDmarc(facts: DmarcFacts): Finding {
  const { domain, levels } = facts.walk;
  const say = about('dmarc', domain);
  const wanted = data(`_dmarc.${domain}. TXT "v=DMARC1; p=none"`);
  const policy = policyOf(facts);
  // Such records at the domain itself are a mistake, even if the organization has a policy or cannot be asked.
  const spoilt = levels.find(
    ({ name, texts, record }) =>
      texts.length > 0 && record === undefined && (name === domain || (policy.kind === 'none' && policy.record === undefined)),
  );
  if (spoilt !== undefined) {
    const { name, texts } = spoilt;
    if (texts.length === 1)
      return say(
        'error',
        data(presentText(texts[0]!)),
        wanted,
        phrase`A tag occurs twice, so the record at _dmarc.${name} does not count: keep one.`,
      );
    return say(
      'error',
      phrase`${texts.length} DMARC records`,
      phrase`one record`,
      phrase`Keep only one at _dmarc.${name}: if there are several, none counts.`,
    );
  }
  if (policy.kind === 'unknown') return say('unknown', nothingIn(policy.failed), wanted, ASK_AGAIN);
  const { record } = policy;
  if (record === undefined)
    return say(
      'warning',
      phrase`no DMARC record`,
      wanted,
      phrase`Publish it: large receivers want one, and p=none changes nothing else.`,
    );
  const found = inWords(domain, policy);
  if (record.invalid === undefined) return say('ok', found, phrase`one record with a policy`);
  const correct = phrase`${record.invalid} must be none, quarantine or reject.`;
  return policy.kind === 'none'
    ? say('error', found, wanted, phrase`The record has no valid policy: ${correct}`)
    : say('warning', found, wanted, phrase`The record counts as p=none: ${correct}`);
}

/** The record, and what an operator would not see in it: where it is from, and which action holds. */
function inWords(domain: string, policy: DmarcPolicy & { readonly kind: 'found' | 'none' }): Phrase {
  const { at = domain, record } = policy;
  const actionIsNew = policy.kind === 'found' && (at !== domain || policy.record.isTest);
  const text = presentText(record?.text ?? '');
  if (at === domain) return actionIsNew ? phrase`${text} (${policy.action} for ${domain})` : data(text);
  return actionIsNew ? phrase`${text} (of ${at}, ${policy.action} for ${domain})` : phrase`${text} (of ${at})`;
}

/** One of SPF and DKIM is enough for DMARC. Large receivers want both from large senders. */
export function checkAlignment(facts: SenderFacts): Finding {
  const { domain } = facts.from.walk;
  const say = about('alignment', domain);
  const [dkim, spf] = [signatureOf(facts), allPass(facts.spf.results)];
  const verdict = judgeSender(facts);
  const partly = verdict === 'fragile' && spf !== 'pass';
  const stranger = dkim === 'fail' ? facts.keys.find(({ result }) => result === 'pass')?.walk.domain : undefined;
  const dkimSays = stranger === undefined ? SAYS[dkim] : phrase`passes for ${stranger}, which is not aligned`;
  const found = phrase`SPF ${partly ? phrase`passes for some of our addresses` : SAYS[spf]}, DKIM ${dkimSays}, for From: …@${domain}`;
  const wanted = phrase`both pass with the domain of From`;
  const mendDkim =
    stranger === undefined ? phrase`correct DKIM` : phrase`give ${domain} a key of its own (smarthost domain add ${domain})`;
  switch (verdict) {
    case 'ok':
      if (spf === 'pass') return say('ok', found, wanted);
      return spf === 'unknown'
        ? say('unknown', found, wanted, ASK_AGAIN)
        : say('warning', found, wanted, byOne('DKIM', phrase`correct SPF`));
    case 'fragile':
      return say(
        'warning',
        found,
        wanted,
        byOne('SPF', partly ? phrase`correct SPF for all addresses, and ${mendDkim}` : mendDkim),
      );
    case 'unknown':
      return say('unknown', found, wanted, ASK_AGAIN);
    default:
      return say('error', found, wanted, phrase`DMARC fails for ${domain}: ${FOLLOWS[verdict]}. Correct SPF, and ${mendDkim}.`);
  }
}

const SAYS: Readonly<Record<Passes, Phrase>> = {
  pass: phrase`passes`,
  fail: phrase`does not pass`,
  unknown: phrase`is not known`,
};

const byOne = (one: 'SPF' | 'DKIM', mend: Phrase) =>
  phrase`DMARC passes by ${one} alone: ${mend} too, because large receivers want both.`;

function allPass(results: readonly Passes[]): Passes {
  if (results.includes('fail')) return 'fail';
  return results.length === 0 || results.includes('unknown') ? 'unknown' : 'pass';
}

const FOLLOWS = {
  rejected: phrase`by its policy, receivers refuse this mail`,
  spam: phrase`by its policy, receivers treat this mail as spam`,
  weak: phrase`receivers may think that this mail is forged`,
} as const;
