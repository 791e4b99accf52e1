import { describe, expect, test } from 'vitest';
import { plainAddress } from '../../../src/net/addresses.ts';
import { clientKey, networkOf, networksAround } from '../../../src/net/client-networks.ts';
import { createNetworks } from '../../../src/net/networks.ts';
import { parseProxyHeader } from '../../../src/submission/proxy-protocol.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const binary = (rest: string) => parseProxyHeader(Buffer.from(SIGNATURE + rest, 'hex'));

describe('version 1', () => {
  test.each([
    ['PROXY TCP4 192.0.2.1 198.51.100.1 56324 465\r\n', '192.0.2.1'],
    ['PROXY TCP6 2001:db8::1 ::1 56324 465\r\nEHLO', '2001:db8::1'],
    ['PROXY UNKNOWN\r\n', undefined],
    ['PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n', undefined],
  ])('%j', (text, address) => {
    const length = text.indexOf('\n') + 1;
    expect(parseProxyHeader(Buffer.from(text))).toEqual({
      kind: 'header',
      length,
      ...(address === undefined ? {} : { address }),
    });
  });

  test.each([
    'EHLO x\r\n',
    'GET / HTTP/1.1\r\n',
    'PROXY\r\n',
    'PROXY TCP4 x y 1 2\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n',
    'PROXY TCP4 ::1 ::1 1 2\r\n',
    `PROXY TCP4 ${'1'.repeat(200)}`,
  ])('%j is invalid', (text) => {
    expect(parseProxyHeader(Buffer.from(text))).toEqual({ kind: 'invalid' });
  });
});

describe('version 2', () => {
  test('IPv4, IPv6, IPv4 in IPv6, and a proxy that speaks for itself', () => {
    expect(binary('2111000cc0000201c6336401dc0401d1')).toEqual({ kind: 'header', address: '192.0.2.1', length: 28 });
    const six = `20010db8${'00'.repeat(11)}01${'00'.repeat(15)}01dc0401d1`;
    expect(binary(`21210024${six}`)).toEqual({ kind: 'header', address: '2001:db8::1', length: 52 });
    const mapped = `${'00'.repeat(10)}ffffc0000201${'00'.repeat(15)}01dc0401d1`;
    expect(binary(`21210024${mapped}`)).toEqual({ kind: 'header', address: '192.0.2.1', length: 52 });
    expect(binary('20000000')).toEqual({ kind: 'header', length: 16 });
  });

  test.each(['1111000cc0000201c6336401dc0401d1', '2211000cc0000201c6336401dc0401d1', '21110004c0000201', '2111ffff'])(
    '%s is invalid',
    (rest) => {
      expect(binary(rest)).toEqual({ kind: 'invalid' });
    },
  );

  test('each beginning of a header is incomplete', () => {
    for (const whole of [
      Buffer.from(`${SIGNATURE}2111000cc0000201c6336401dc0401d1`, 'hex'),
      Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n'),
    ]) {
      for (let length = 1; length < whole.length; length++) {
        expect(parseProxyHeader(whole.subarray(0, length))).toEqual({ kind: 'incomplete' });
      }
    }
  });
});

describe('networks', () => {
  test('hold addresses of both families, and nothing else', () => {
    const networks = createNetworks(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32']);
    expect(['10.1.2.3', '192.0.2.1', '2001:db8::1'].every(networks.has)).toBe(true);
    expect(['11.0.0.1', '192.0.2.2', '2001:db9::1', '', 'x'].some(networks.has)).toBe(false);
    expect(createNetworks([]).has('10.0.0.1')).toBe(false);
    expect(() => createNetworks(['nonsense'])).toThrow('no network');
  });

  test.each([
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['2001:db8::1', '2001:db8::1'],
  ])('%s is %s', (address, plain) => {
    expect(plainAddress(address)).toBe(plain);
  });

  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['1::', '1:0:0:0::/64'],
  ])('%s counts as %s', (ip, key) => {
    expect(clientKey(ip)).toBe(key);
  });

  test('around a client: /56 and /48 of IPv6; a turn goes to a /48 or an IPv4 /24', () => {
    expect(networksAround('2001:db8:1:abcd::1').map(({ key }) => key)).toEqual(['2001:db8:1:ab00::/56', '2001:db8:1::/48']);
    expect(networksAround('2001:db8::1').map(({ key }) => key)).toEqual(['2001:db8:0:0::/56', '2001:db8:0::/48']);
    expect(networksAround('192.0.2.1')).toEqual([]);
    expect([networkOf('192.0.2.1'), networkOf('2001:db8:1:abcd::1')]).toEqual(['192.0.2', '2001:db8:1::/48']);
  });
});
