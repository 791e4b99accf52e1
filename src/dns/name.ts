/** Names as the DNS takes them: RFC 1035 §2.3.4. */
/**
 * True for a name that fits into a question: labels of 1 to 63 octets, 253 in all, of the characters that c-ares sends.
 * Names with others are not delegated to anybody.
 */
export function isResolvable(name: string): boolean {
  return name.length > 0 && name.length <= 253 && name.split('.').every((label) => /^[A-Za-z0-9_*/-]{1,63}$/.test(label));
}
