/** Names as the DNS takes them: RFC 1035 §2.3.4 and §3.5, RFC 3596 §2.5. */
import { isIPv4, isIPv6 } from 'node:net';

/**
 * True for a name that fits into a question: labels of 1 to 63 octets, 253 in all, of the characters that c-ares sends.
 * Names with others are not delegated to anybody.
 */
export function isResolvable(name: string): boolean {
  return name.length > 0 && name.length <= 253 && name.split('.').every((label) => /^[A-Za-z0-9_*/-]{1,63}$/.test(label));
}

/** The name under which the PTR records of an address stand. Empty for what is no address: such a name does not exist. */
export function reverseName(address: string): string {
  if (isIPv4(address)) return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  if (!isIPv6(address)) return '';
  return `${[...groupsOf(address).join('')].reverse().join('.')}.ip6.arpa`;
}

/** The eight groups of an IPv6 address, each of four hexadecimal digits. @param address one that `net.isIPv6` accepts. */
export function groupsOf(address: string): readonly string[] {
  const plain = (address.split('%')[0] ?? '').replace(
    /(\d+)\.(\d+)\.(\d+)\.(\d+)$/,
    (_, a, b, c, d) => `${pair(a, b)}:${pair(c, d)}`,
  );
  const [head = '', tail] = plain.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array<string>(zeros).fill('0'), ...right].map((group) => group.toLowerCase().padStart(4, '0'));
}

function pair(high: string, low: string): string {
  return (Number(high) * 256 + Number(low)).toString(16);
}
