/** Which addresses a credential may send as: RFC 6409 §6.1. */
import { domainOf, localPartOf } from '../smtp/envelope.ts';

/**
 * True where one rule covers the address. Rules: an address, `@domain`, `@.domain` (that domain and all below it), `*`.
 * Local parts are compared without ASCII case: who owns `Anna@` also owns `anna@` (RFC 5321 §2.4 leaves it to the domain).
 */
export function covers(rules: readonly string[], address: string): boolean {
  const domain = domainOf(address).toLowerCase();
  const whole = `${lowerAscii(localPartOf(address))}@${domain}`;
  return rules.some((rule) => {
    if (rule === '*') return true;
    if (rule.startsWith('@.')) return isWithin(domain, rule.slice(2).toLowerCase());
    if (rule.startsWith('@')) return domain === rule.slice(1).toLowerCase();
    return whole === lowerAscii(rule);
  });
}

function isWithin(domain: string, parent: string): boolean {
  return parent !== '' && (domain === parent || domain.endsWith(`.${parent}`));
}

/** Only ASCII letters: other scripts have pairs that fold onto each other, and an owner's address must not. */
function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
