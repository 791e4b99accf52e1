/** Domain names as they stand in an envelope: lower-case A-labels, RFC 5321 §2.3.5 and RFC 5890. */
import { domainToASCII } from 'node:url';

/** RFC 1035 §2.3.4: 63 octets a label, 253 characters without the final dot. */
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const DOMAIN = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
const MAX_DOMAIN = 253;

/**
 * The one form used for policy, DNS and wire alike; undefined where the text is no domain name. What looks like an IPv4
 * address is none: no top level is a number, and Unicode has digits that turn into one.
 */
export function toAsciiDomain(text: string): string | undefined {
  // Mapping first (UTS 46): other scripts have dots, digits and letters that become ASCII. It takes the time it takes for
  // ever longer text, so what cannot fit is not mapped.
  const ascii = /^[\x00-\x7f]*$/.test(text) ? text.toLowerCase() : text.length > MAX_DOMAIN ? '' : domainToASCII(text);
  if (ascii.length > MAX_DOMAIN || !DOMAIN.test(ascii)) return undefined;
  return /(?:^|\.)[0-9]+$/.test(ascii) ? undefined : ascii;
}
