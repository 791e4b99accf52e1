/** What one DMARC record says: RFC 9989 §4.7. */

/** What a domain asks receivers to do with mail that fails. */
export type DmarcAction = 'none' | 'quarantine' | 'reject';

/** `strict`: the same name. `relaxed`: the same organizational domain. */
export type AlignmentMode = 'relaxed' | 'strict';

export type DmarcRecord = {
  readonly text: string;
  /**
   * For the domain of the record (`p`), its subdomains that exist (`sp`) and those that do not (`np`), each one filled from the one before.
   * Undefined if no valid policy is there and nobody wants reports: then the record is found, but nothing is done by it.
   */
  readonly actions: Readonly<Record<'p' | 'sp' | 'np', DmarcAction>> | undefined;
  /** A tag of `p`, `sp` and `np` that has no valid value. With reports wanted, all three count as `none`: RFC 9989 §4.10.1. */
  readonly invalid: 'p' | 'sp' | 'np' | undefined;
  readonly dkim: AlignmentMode;
  readonly spf: AlignmentMode;
  /** `y`: the record of a public suffix. `n`: of an organizational domain. */
  readonly psd: 'y' | 'n' | undefined;
  /** True with `t=y`: the action is one step weaker. */
  readonly isTest: boolean;
};

export function isDmarc(text: string): boolean {
  return /^[vV][ \t]*=[ \t]*DMARC1[ \t]*(;|$)/.test(text);
}

/** @returns undefined for another text, and for a record with one tag twice, which is invalid as a whole: RFC 6376 §3.2. */
export function readDmarc(text: string): DmarcRecord | undefined {
  if (!isDmarc(text)) return undefined;
  const tags = tagsOf(text);
  if (tags === undefined) return undefined;
  const value = (name: string) => tags.get(name)?.toLowerCase();
  const invalid = POLICY_TAGS.find((name) => !(isAction(value(name)) || (name !== 'p' && value(name) === undefined)));
  const psd = value('psd');
  return {
    text,
    actions: invalid === undefined ? actionsOf(value) : wantsReports(tags.get('rua')) ? ALL_NONE : undefined,
    invalid,
    dkim: value('adkim') === 's' ? 'strict' : 'relaxed',
    spf: value('aspf') === 's' ? 'strict' : 'relaxed',
    psd: psd === 'y' || psd === 'n' ? psd : undefined,
    isTest: value('t') === 'y',
  };
}

const POLICY_TAGS = ['p', 'sp', 'np'] as const;
const ALL_NONE = { p: 'none', sp: 'none', np: 'none' } as const;

function actionsOf(value: (name: string) => string | undefined): NonNullable<DmarcRecord['actions']> {
  const p = value('p') as DmarcAction; // checked by the caller, as `sp` and `np` are
  const sp = (value('sp') as DmarcAction | undefined) ?? p;
  return { p, sp, np: (value('np') as DmarcAction | undefined) ?? sp };
}

const isAction = (value: string | undefined) => value === 'none' || value === 'quarantine' || value === 'reject';

/** Values keep their inner blanks, so that `re ject` is no policy. Text without `=` is left out. Undefined if a name occurs twice. */
function tagsOf(text: string): ReadonlyMap<string, string> | undefined {
  const tags = new Map<string, string>();
  for (const part of text.split(';')) {
    const equals = part.indexOf('=');
    if (equals < 1) continue;
    const written = part.slice(0, equals).trim();
    const name = tags.size === 0 ? written.toLowerCase() : written; // only the version may be in upper case
    if (tags.has(name)) return undefined;
    tags.set(name, part.slice(equals + 1).trim());
  }
  return tags;
}

/** The URI of an address for reports, without the size that the older form allows after it. */
const REPORT_URI = /^[a-z][a-z\d+.-]*:(?:[\w.~:/?#[\]@$&'()*+;=-]|%[\da-f]{2})*$/i;

function wantsReports(rua: string | undefined): boolean {
  return rua?.split(',').some((uri) => REPORT_URI.test(uri.trim().replace(/!\d+[kmgt]?$/i, ''))) ?? false;
}
