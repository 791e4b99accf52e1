/** The DMARC record of a domain, and whether its mail passes DMARC: RFC 9989 §4.7, §4.10; before, RFC 7489. */
import type { Dns, DnsAnswer } from '../dns/dns.ts';
import { parseTags } from '../signing/signing.ts';
import { ASK_AGAIN, about, type Finding, nothingIn, type Severity } from './finding.ts';
import { valuesOf } from './own-addresses.ts';

export type DmarcFacts = {
  readonly domain: string;
  /** The name with the record that counts: the domain, its organizational domain, or a public suffix above. */
  readonly at: string;
  /** The answer with this record. If there is none, the answer for the domain itself. */
  readonly txt: DnsAnswer<string>;
};

/** Most queries for one domain, the domain itself included: RFC 9989 §4.10. */
const MOST_QUERIES = 8;

/** Takes the record of the domain, else of its organizational domain (found by the tree walk), else of a public suffix. */
export async function gatherDmarc(domain: string, dns: Dns): Promise<DmarcFacts> {
  const first = await dns.txt(`_dmarc.${domain}`);
  if (first.kind === 'temporary' || records(first).length > 0) return { domain, at: domain, txt: first };
  const found: DmarcFacts[] = [];
  for (const at of namesAbove(domain)) {
    const txt = await dns.txt(`_dmarc.${at}`);
    if (txt.kind === 'temporary') return { domain, at, txt };
    const [record, ...more] = records(txt);
    if (record === undefined || more.length > 0) continue; // several records at one level count as none
    found.push({ domain, at, txt });
    const psd = parseTags(record).get('psd')?.toLowerCase();
    if (psd === 'n') break;
    // The organizational domain lies one label below a public suffix. If it has a record, this record wins.
    if (psd === 'y') return found.find((one) => labels(one.at) === labels(at) + 1) ?? found.at(-1)!;
  }
  return found.at(-1) ?? { domain, at: domain, txt: first };
}

const labels = (name: string) => name.split('.').length;

/** After a name of eight labels or more, the next one has the last seven, so that no name needs more than eight queries. */
function namesAbove(domain: string): readonly string[] {
  const all = domain.split('.');
  const from = Math.max(1, all.length - (MOST_QUERIES - 1));
  return all.slice(from).map((_, i, rest) => rest.slice(i).join('.'));
}

const records = (txt: DnsAnswer<string>) => valuesOf(txt).filter(isDmarc);

export function isDmarc(text: string): boolean {
  return /^v\s*=\s*DMARC1\s*(;|$)/.test(text);
}

export function checkDmarc({ domain, at, txt }: DmarcFacts): Finding {
  const say = about('dmarc', domain);
  const wanted = `_dmarc.${domain}. TXT "v=DMARC1; p=none"`;
  if (txt.kind === 'temporary') return say('unknown', nothingIn(txt), wanted, ASK_AGAIN);
  const [record, ...more] = records(txt);
  if (record === undefined)
    return say('warning', 'no DMARC record', wanted, 'Publish it: large receivers want one, and p=none changes nothing else.');
  if (more.length > 0)
    return say(
      'error',
      `${more.length + 1} DMARC records`,
      'one record',
      `Keep only one at _dmarc.${at}: if there are several, none counts.`,
    );
  const found = at === domain ? record : `${record} (of ${at})`;
  const policy = policyOf(record, at === domain);
  if (policy === undefined)
    return say('error', found, wanted, 'The record has no valid policy: p must be none, quarantine or reject.');
  return say('ok', found, 'one record with a policy');
}

/** `sp` applies to subdomains of the domain with the record. */
function policyOf(record: string, own: boolean): string | undefined {
  const tags = parseTags(record.toLowerCase());
  const policy = (own ? undefined : tags.get('sp')) ?? tags.get('p');
  return policy !== undefined && ['none', 'quarantine', 'reject'].includes(policy) ? policy : undefined;
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
  const strict = valuesOf(dmarc.txt).some((record) => isDmarc(record) && /;\s*s?p\s*=\s*(reject|quarantine)/i.test(record));
  const result = strict
    ? 'its policy makes receivers refuse this mail or treat it as spam'
    : 'receivers may think that this mail is forged';
  return say('error', found, wanted, `DMARC fails for ${domain}: ${result}. Correct SPF and DKIM.`);
}
