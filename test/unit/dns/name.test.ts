import fc from 'fast-check';
import { expect, test } from 'vitest';
import { groupsOf, isResolvable, reverseName } from '../../../src/dns/name.ts';

test.each([
  ['192.0.2.1', '1.2.0.192.in-addr.arpa'],
  ['2001:db8::567:89ab', 'b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa'],
  ['::1', `1.${'0.'.repeat(31)}ip6.arpa`],
  ['example.org', ''],
])('%s is asked for as %s', (address, name) => {
  expect(reverseName(address)).toBe(name);
});

test('every way to write an IPv6 address has the same eight groups', () => {
  expect(groupsOf('64:ff9b::127.0.0.1')).toEqual(['0064', 'ff9b', '0000', '0000', '0000', '0000', '7f00', '0001']);
  fc.assert(
    fc.property(fc.ipV6(), (address) => {
      const groups = groupsOf(address);
      expect(groups).toHaveLength(8);
      expect(new URL(`http://[${groups.join(':')}]`).hostname).toBe(new URL(`http://[${address}]`).hostname);
    }),
  );
});

test.each([
  ['example.org', true],
  ['_dmarc.example.org', true],
  ['xn--bcher-kva.example', true],
  ['', false],
  ['.', false],
  ['a..b', false],
  [`${'a'.repeat(64)}.org`, false],
  [`${'a.'.repeat(127)}a`, false],
  ['bücher.example', false],
  ['a b.example', false],
])('%j can be asked for: %s', (name, expected) => {
  expect(isResolvable(name)).toBe(expected);
});
