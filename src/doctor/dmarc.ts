/** The DMARC record of a domain, and what its mail has to show for it: RFC 9989 §4.7, §4.10; before, RFC 7489. */
import type { Dns, DnsAnswer } from '../dns/dns.ts';
import { parseTags } from '../signing/signing.ts';
import { ASK_AGAIN, about, type Finding, nothingIn, type Result } from './finding.ts';
import { valuesOf } from './own-addresses.ts';

export type DmarcFacts = {
  readonly domain: string;
  /** Where the records were found: the domain, or one above it. */
  readonly at: string;
  readonly txt: DnsAnswer<string>;
};

/** Names looked at from the domain upwards: RFC 9989 §4.10. */
const MOST_LABELS = 8;

export async function gatherDmarc(domain: string, dns: Dns): Promise<DmarcFacts> {
  const labels = domain.split('.');
  let first: DnsAnswer<string> | undefined;
  for (let from = 0; from < labels.length && from < MOST_LABELS; from++) {
    const at = labels.slice(from).join('.');
    const txt = await dns.txt(`_dmarc.${at}`);
    first ??= txt;
    if (txt.kind === 'temporary' || valuesOf(txt).some(isDmarc)) return { domain, at, txt };
  }
  return { domain, at: domain, txt: first ?? { kind: 'none' } };
}

export function isDmarc(text: string): boolean {
  return /^v\s*=\s*DMARC1\s*(;|$)/.test(text);
}

export function checkDmarc({ domain, at, txt }: DmarcFacts): Finding {
  const say = about('dmarc', domain);
  const wanted = `_dmarc.${domain}. TXT "v=DMARC1; p=none"`;
  if (txt.kind === 'temporary') return say('unknown', nothingIn(txt), wanted, ASK_AGAIN);
  const records = valuesOf(txt).filter(isDmarc);
  if (records.length === 0)
    return say('warning', 'no DMARC record', wanted, 'Publish it: large receivers want one, and p=none changes nothing else.');
  if (records.length > 1)
    return say('error', `${records.length} DMARC records`, 'one record', `Leave one at _dmarc.${at}: with several, none counts.`);
  const found = at === domain ? records[0]! : `${records[0]} (of ${at})`;
  const policy = policyOf(records[0]!, at === domain);
  if (policy === undefined)
    return say('error', found, wanted, 'The record has no valid policy: p must be none, quarantine or reject.');
  return say('ok', found, 'one record with a policy');
}

/** `sp` is for domains below the one that has the record. */
function policyOf(record: string, own: boolean): string | undefined {
  const tags = parseTags(record.toLowerCase());
  const policy = (own ? undefined : tags.get('sp')) ?? tags.get('p');
  return policy !== undefined && ['none', 'quarantine', 'reject'].includes(policy) ? policy : undefined;
}

export type AlignmentFacts = {
  readonly domain: string;
  /** The result of the SPF check. Envelope sender and From have the same domain, so what passes is aligned. */
  readonly spf: Result;
  /** A published active key of the domain itself. */
  readonly signed: boolean | undefined;
  readonly dmarc: DmarcFacts;
};

/** DMARC passes with either; large receivers want both from large senders. */
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
          `DMARC passes by ${signed ? 'DKIM' : 'SPF'} alone: set the other right too, large receivers want both.`,
        );
  if (spf === 'unknown' || signed === undefined) return say('unknown', found, wanted, ASK_AGAIN);
  const strict = valuesOf(dmarc.txt).some((record) => isDmarc(record) && /;\s*s?p\s*=\s*(reject|quarantine)/i.test(record));
  const result = strict ? 'its policy has this mail refused or put aside' : 'receivers take this mail for forged';
  return say('error', found, wanted, `DMARC fails for ${domain}: ${result}. Set SPF and DKIM right.`);
}
