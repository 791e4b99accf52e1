/** Which addresses a credential may send as: RFC 6409 §6.1. */
import { canonicalMailbox } from '../smtp/address.ts';
import { domainOf, localPartOf } from '../smtp/envelope.ts';

/**
 * True where one rule covers the address. Rules: an address, `@domain`, `@.domain` (that domain and all below it), `*`.
 * Local parts are compared without ASCII case: who owns `Anna@` also owns `anna@` (RFC 5321 §2.4 leaves it to the domain).
 */
export function coversSender(rules: readonly string[], address: string): boolean {
  const domain = domainOf(address).toLowerCase();
  const whole = `${lowerAscii(localPartOf(address))}@${domain}`;
  return rules.some((rule) => {
    if (rule === '*') return true;
    if (rule.startsWith('@.')) return isWithin(domain, rule.slice(2).toLowerCase());
    if (rule.startsWith('@')) return domain === rule.slice(1).toLowerCase();
    return whole === lowerAscii(rule) || whole === lowerAscii(respelled(rule));
  });
}

/** A rule of an earlier release may stand as it was typed, with quotes that say nothing. */
function respelled(rule: string): string {
  return /"|\.[.@]|^\./.test(rule) ? (canonicalMailbox(rule) ?? rule) : rule;
}

/** Who signs a mail server's reports: RFC 5321 §4.5.1, and the name that Sendmail and Postfix use. */
const POSTMASTERS: readonly string[] = ['postmaster', 'mailer-daemon'];

/** Suffixes of internal networks. A mail server that was installed under such a name sends its reports from postmaster@that-name. */
const PRIVATE = /\.(?:local|localdomain|lan|internal|intranet|private|corp|home)$/;

/** True for the postmaster of a domain that the rules name in whatever way, of a host in it, or of a private network. */
export function isPostmasterOf(rules: readonly string[], address: string): boolean {
  if (!POSTMASTERS.includes(localPartOf(address).toLowerCase())) return false;
  const domain = domainOf(address).toLowerCase();
  if (PRIVATE.test(domain)) return true;
  return rules.some((rule) =>
    isWithin(
      domain,
      rule
        .slice(rule.lastIndexOf('@') + 1)
        .replace(/^\./, '')
        .toLowerCase(),
    ),
  );
}

function isWithin(domain: string, parent: string): boolean {
  return parent !== '' && (domain === parent || domain.endsWith(`.${parent}`));
}

/** Only ASCII letters: other scripts have pairs that fold onto each other, and an owner's address must not. */
function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
