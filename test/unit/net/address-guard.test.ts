import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createAddressGuard } from '../../../src/net/address-guard.ts';

const guard = createAddressGuard([], () => ['192.0.2.7', '2001:db8::7']);

test.each([
  '0.0.0.0',
  '0.1.2.3',
  '127.0.0.1',
  '127.255.255.254',
  '169.254.169.254',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::7f00:1',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '::ffff:8.8.8.8',
  'fe80::1',
  'fe80::1%lo',
  'fec0::1',
  'ff02::1',
  '64:ff9b::127.0.0.1',
  '2002:7f00:1::1',
  '2001::1',
  'no address',
])('%s is refused as reserved', (address) => {
  expect(guard(address)).toBe('reserved');
});

test.each([
  '10.1.2.3',
  '100.64.0.1',
  '100.127.255.255',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  'fc00::1',
  'fd12:3456::1',
  '64:ff9b::a00:1',
  '2002:0a01:0203::',
])('%s is refused as private', (address) => {
  expect(guard(address)).toBe('private');
});

test.each([
  '8.8.8.8',
  '100.63.255.255',
  '100.128.0.0',
  '172.15.0.1',
  '172.32.0.1',
  '223.255.255.255',
  '2606:4700::1',
  '64:ff9b::8.8.8.8',
  '2002:0808:0808::1',
])('%s is allowed', (address) => {
  expect(guard(address)).toBeUndefined();
});

test('our own addresses are recognized, also through NAT64 and 6to4', () => {
  expect(guard('192.0.2.7')).toBe('self');
  expect(guard('64:ff9b::192.0.2.7')).toBe('self');
  expect(guard('2002:c000:207::1')).toBe('self');
  expect(guard('64:ff9b::192.0.2.8')).toBeUndefined();
  expect(guard('2001:db8::7')).toBe('self');
});

test('the operator’s networks are allowed, and no others', () => {
  const allowing = createAddressGuard(['127.0.0.0/8', 'fd00::/8', '10.0.0.5'], () => ['127.0.0.9']);
  expect(allowing('127.0.0.1')).toBeUndefined();
  expect(allowing('127.0.0.9')).toBeUndefined();
  expect(allowing('fd00::1')).toBeUndefined();
  expect(allowing('10.0.0.5')).toBeUndefined();
  expect(allowing('10.0.0.6')).toBe('private');
  expect(allowing('::1')).toBe('reserved');
});

test('a refused IPv4 address is refused inside an IPv6 address too', () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      const hex = address
        .split('.')
        .map((part) => Number(part).toString(16).padStart(2, '0'))
        .join('');
      const pair = `${hex.slice(0, 4)}:${hex.slice(4)}`;
      for (const disguise of [`64:ff9b::${pair}`, `2002:${pair}::1`])
        expect(guard(disguise) ?? 'open').toBe(guard(address) ?? 'open');
      expect(guard(`::ffff:${address}`)).toBe('reserved');
    }),
  );
});
