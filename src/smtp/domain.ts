/** Domain names in the form of the envelope: lower-case A-labels, RFC 5321 §2.3.5 and RFC 5890. */
import { domainToASCII } from 'node:url';

/**
 * RFC 1035 §2.3.4: at most 63 octets per label, and 253 characters without the final dot. The standard allows no underscore in host
 * names, but such domains exist and have MX records.
 */
const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const DOMAIN = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
const MAX_DOMAIN = 253;

/**
 * The canonical form for policy, DNS, configuration and SMTP, without the final dot of a zone file. Undefined if the text is no domain
 * name. A text that looks like an IPv4 address is no domain: no top-level domain is a number. Unicode digits are mapped to ASCII first.
 */
export function toAsciiDomain(text: string): string | undefined {
  // The mapping (UTS 46) comes first, because dots, digits and letters of other scripts can become ASCII. It is slow for long
  // text, so a text that is too long is not mapped.
  const mapped = /^[\x00-\x7f]*$/.test(text) ? text.toLowerCase() : text.length > MAX_DOMAIN + 1 ? '' : domainToASCII(text);
  const ascii = mapped.endsWith('.') ? mapped.slice(0, -1) : mapped;
  if (ascii.length > MAX_DOMAIN || !DOMAIN.test(ascii)) return undefined;
  return /(?:^|\.)[0-9]+$/.test(ascii) ? undefined : ascii;
}

/** @param pattern `example.org`, `.example.org` or `*.example.org` (subdomains, not the domain itself), `*`. */
export function matchesDomain(pattern: string, domain: string): boolean {
  if (pattern === '*') return true;
  const wanted = pattern.toLowerCase();
  const name = domain.toLowerCase();
  if (wanted.startsWith('*.')) return name.endsWith(wanted.slice(1));
  return wanted.startsWith('.') ? name.endsWith(wanted) : name === wanted;
}
