/** Domain names as they stand in an envelope: lower-case A-labels, RFC 5321 §2.3.5 and RFC 5890. */
import { domainToASCII } from 'node:url';

/**
 * RFC 1035 §2.3.4: 63 octets a label, 253 characters without the final dot. The underscore is in no host name by the standard,
 * but such domains exist and have MX records.
 */
const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const DOMAIN = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
const MAX_DOMAIN = 253;

/**
 * The one form used for policy, DNS, configuration and wire, without the final dot of a zone file; undefined where the text is
 * no domain name. What looks like an IPv4 address is none: no top level is a number, and Unicode has digits that turn into one.
 */
export function toAsciiDomain(text: string): string | undefined {
  // Mapping first (UTS 46): other scripts have dots, digits and letters that become ASCII. It takes the time it takes for
  // ever longer text, so what cannot fit is not mapped.
  const mapped = /^[\x00-\x7f]*$/.test(text) ? text.toLowerCase() : text.length > MAX_DOMAIN + 1 ? '' : domainToASCII(text);
  const ascii = mapped.endsWith('.') ? mapped.slice(0, -1) : mapped;
  if (ascii.length > MAX_DOMAIN || !DOMAIN.test(ascii)) return undefined;
  return /(?:^|\.)[0-9]+$/.test(ascii) ? undefined : ascii;
}
