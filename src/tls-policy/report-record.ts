/** Where a domain wants its TLS reports: the TXT record below `_smtp._tls` and the addresses in it. RFC 8460 §3. Pure, linear in time. */
import { parseMailbox } from '../smtp/address.ts';
import { isAscii } from '../smtp/text.ts';

/** One target of reports. `uri` is its canonical spelling, so that equal targets have equal texts. */
export type ReportTarget =
  | { readonly transport: 'mailto'; readonly uri: string; readonly address: string }
  | { readonly transport: 'https'; readonly uri: string };

/** The name of a domain's record. */
export const reportRecordName = (domain: string): string => `_smtp._tls.${domain}`;

/** Further addresses of a record are left out, so that no record makes us send many copies. */
const MOST_TARGETS = 5;
const LONGEST_RECORD = 4096;
const LONGEST_URI = 1000;
/** A record with another beginning is no such record. Blanks before the delimiter are allowed. */
const VERSION = /^v=TLSRPTv1[ \t]*;/;
const FIELD = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,31})=([\x21-\x3a\x3c-\x7e](?:[ \t]*[\x21-\x3a\x3c-\x7e])*)$/;

/**
 * @param texts every TXT record of the name, the strings of each joined.
 * @returns the targets. Undefined: the domain wants no reports, because it has no record, several records, or one that cannot be read.
 */
export function readReportRecord(texts: readonly string[]): readonly ReportTarget[] | undefined {
  const records = texts.filter((text) => VERSION.test(text));
  const [record] = records;
  if (record === undefined || records.length > 1 || record.length > LONGEST_RECORD) return undefined;
  const fields = record.slice(record.indexOf(';') + 1).split(';');
  let addresses: string | undefined;
  for (const [i, field] of fields.entries()) {
    const text = field.replace(/^[ \t]+|[ \t]+$/g, '');
    if (text === '' && i === fields.length - 1) continue; // the delimiter at the end
    const [, name, value] = FIELD.exec(text) ?? [];
    if (name === undefined) return undefined;
    if (name === 'rua') addresses ??= value;
  }
  if (addresses === undefined) return undefined;
  return readTargets(addresses);
}

/** A useless address is left out, because another one of the same record may be good. */
function readTargets(list: string): readonly ReportTarget[] | undefined {
  const targets = new Map<string, ReportTarget>();
  for (const one of list.split(',')) {
    const target = readTarget(one.trim());
    if (target !== undefined) targets.set(target.uri, target);
    if (targets.size === MOST_TARGETS) break;
  }
  return targets.size === 0 ? undefined : [...targets.values()];
}

/** `mailto:` or `https:`, with `!`, `,` and `;` encoded, as RFC 8460 §3 wants them. */
function readTarget(uri: string): ReportTarget | undefined {
  if (uri.length > LONGEST_URI || uri.includes('!')) return undefined;
  if (/^mailto:/i.test(uri)) return readMailto(uri.slice('mailto:'.length));
  return /^https:/i.test(uri) ? readHttps(uri) : undefined;
}

/** Reads one mailbox. Header fields of the URI (RFC 6068 §2) are ignored. */
function readMailto(text: string): ReportTarget | undefined {
  const [encoded = ''] = text.split('?', 1);
  const mailbox = parseMailbox(decoded(encoded) ?? '');
  if (typeof mailbox === 'string' || !isAscii(mailbox.address)) return undefined;
  return { transport: 'mailto', uri: `mailto:${mailbox.address}`, address: mailbox.address };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // half a percent code
  }
}

/** An address literal is refused, because no certificate is verified for it. A login is refused too. The fragment is dropped. */
function readHttps(text: string): ReportTarget | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (
    url.username !== '' ||
    url.password !== '' ||
    !/^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.[a-z0-9-]*[a-z-][a-z0-9-]*$/.test(url.hostname)
  )
    return undefined;
  url.hash = '';
  return { transport: 'https', uri: url.href };
}
