/** Addresses that the world can reach, and networks. */
import { expect, test } from 'vitest';
import { canonicalAddress, createNetworks, isPublicAddress } from '../../../src/system/public-address.ts';

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
  ['relay.example.net', false],
  ['', false],
])('%s is public: %s', (address, expected) => expect(isPublicAddress(address)).toBe(expected));

test('networks of both families stand side by side', () => {
  const within = createNetworks(['192.0.2.0/24', '2001:db8::/32', '198.51.100.7']);
  expect(['192.0.2.9', '2001:DB8::9', '198.51.100.7'].map(within)).toEqual([true, true, true]);
  expect(['192.0.3.1', '2001:db9::1', '198.51.100.8', 'x'].map(within)).toEqual([false, false, false, false]);
});

test.each([
  ['2001:DB8:0:0::1', '2001:db8::1'],
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '::ffff:c000:201'],
])('%s is written %s', (address, expected) => expect(canonicalAddress(address)).toBe(expected));
