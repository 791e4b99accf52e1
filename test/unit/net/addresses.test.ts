/** Addresses that the world can reach, and networks. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalAddress, groupsOf, isPublicAddress, reverseName } from '../../../src/net/addresses.ts';
import { createNetworks } from '../../../src/net/networks.ts';

test.each([
  ['192.0.2.1', true],
  ['8.8.8.8', true],
  ['2001:db8::1', true],
  ['10.1.2.3', false],
  ['100.64.0.1', false],
  ['127.0.0.1', false],
  ['169.254.1.1', false],
  ['172.31.0.1', false],
  ['192.168.0.1', false],
  ['224.0.0.1', false],
  ['255.255.255.255', false],
  ['::1', false],
  ['fe80::1', false],
  ['fd00::1', false],
  ['ff02::1', false],
  ['198.18.0.1', false],
  ['::ffff:192.0.2.1', false],
  ['64:ff9b::10.0.0.1', false], // what NAT64 would lead to
  ['64:ff9b::192.0.2.1', true],
  ['2002:7f00:1::1', false], // and 6to4
  ['relay.example.net', false],
  ['', false],
])('%s is public: %s', (address, expected) => expect(isPublicAddress(address)).toBe(expected));

test('networks of both families can be mixed', () => {
  const { has: within } = createNetworks(['192.0.2.0/24', '2001:db8::/32', '198.51.100.7']);
  expect(['192.0.2.9', '2001:DB8::9', '198.51.100.7'].map(within)).toEqual([true, true, true]);
  expect(['192.0.3.1', '2001:db9::1', '198.51.100.8', 'x'].map(within)).toEqual([false, false, false, false]);
});

test.each([
  ['2001:DB8:0:0::1', '2001:db8::1'],
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '::ffff:c000:201'],
])('%s is written %s', (address, expected) => expect(canonicalAddress(address)).toBe(expected));

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
