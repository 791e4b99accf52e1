/** The tree walk: which records of DMARC are at a domain and above it, and which domain is its organization. RFC 9989 §4.10. */
import type { Dns, DnsAnswer } from '../dns/dns.ts';
import { type DmarcRecord, isDmarc, readDmarc } from './dmarc-record.ts';

/** One question of a walk. */
export type TreeLevel = {
  /** The record is sought below this name, at `_dmarc`. */
  readonly name: string;
  readonly answer: DnsAnswer<string>;
  /** The texts of the answer that say that they are DMARC records. */
  readonly texts: readonly string[];
  /** The only one of them, if it is valid. Several at one name count as none. */
  readonly record: DmarcRecord | undefined;
};

export type TreeWalk = {
  readonly domain: string;
  /** From the domain upwards, at most eight. The walk ends at a failed look-up, so only the last answer can be temporary. */
  readonly levels: readonly TreeLevel[];
};

/** A name of eight labels or more continues with its last seven, so that no walk has more than eight questions. */
const MOST_LABELS_ABOVE = 7;

/**
 * Asks upwards until a record says where the organization is, a look-up fails, or no label is left. Never rejects.
 * @param domain lower-case A-labels without a dot at the end. A domain literal is no name, so nothing is asked.
 */
export async function walkTree(domain: string, dns: Pick<Dns, 'txt'>): Promise<TreeWalk> {
  const levels: TreeLevel[] = [];
  for (const name of domain.startsWith('[') ? [] : namesOf(domain)) {
    const answer = await dns.txt(`_dmarc.${name}`);
    const texts = answer.kind === 'found' ? answer.values.filter(isDmarc) : [];
    const record = texts.length === 1 ? readDmarc(texts[0]!) : undefined;
    levels.push({ name, answer, texts, record });
    if (answer.kind === 'temporary' || record?.psd !== undefined) break;
  }
  return { domain, levels };
}

function namesOf(domain: string): readonly string[] {
  const labels = domain.split('.');
  const from = Math.max(1, labels.length - MOST_LABELS_ABOVE);
  return [domain, ...labels.slice(from).map((_, i) => labels.slice(from + i).join('.'))];
}

/** The look-up that ended the walk early. */
export function failureOf({ levels }: TreeWalk): (TreeLevel['answer'] & { readonly kind: 'temporary' }) | undefined {
  const last = levels.at(-1)?.answer;
  return last?.kind === 'temporary' ? last : undefined;
}

/** @returns the organizational domain, RFC 9989 §4.10.2, or undefined if a look-up failed. It is the domain itself or a name above it. */
export function organizationOf(walk: TreeWalk): string | undefined {
  if (failureOf(walk) !== undefined) return undefined;
  const { domain, levels } = walk;
  // A record with `psd` ends the walk, so only the last one can have it.
  const last = levels.findLast(({ record }) => record !== undefined);
  if (last === undefined) return domain;
  if (last.record?.psd !== 'y') return last.name;
  // One label below the public suffix. Of a domain that is a public suffix itself, all labels are left.
  const below = last.name.split('.').length + 1;
  return domain.split('.').slice(-below).join('.');
}
