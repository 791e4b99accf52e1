/** How values are written. */
import { describe, expect, test } from 'vitest';
import {
  formatDuration,
  formatSize,
  parseDomain,
  parseDomainPattern,
  parseDuration,
  parseHostAndPort,
  parseLimit,
  parseListenAddress,
  parseMailAddress,
  parseNetwork,
  parseSenderRule,
  parseSize,
} from '../../../src/config/config.ts';
import { editDistance, suggest } from '../../../src/config/suggest.ts';
import { parseDnsServer } from '../../../src/config/values.ts';

test.each([
  ['0', 0],
  ['1B', 1],
  ['256KiB', 262_144],
  ['50MiB', 52_428_800],
  ['1.5GiB', 1_610_612_736],
])('size %s', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
  expect(parseSize(formatSize(bytes))).toBe(bytes);
});

test.each([
  ['0', 0],
  ['0.25s', 250],
  ['90s', 90_000],
  ['5m', 300_000],
  ['36h', 129_600_000],
  ['5d', 432_000_000],
])('duration %s', (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds);
  expect(parseDuration(formatDuration(milliseconds))).toBe(milliseconds);
});

test.each(['', '5', '50MB', '-1MiB', '1e3B', 'MiB', '50 M iB', '99999999999GiB'])('no size: %j', (text) => {
  expect(() => parseSize(text)).toThrow(/size such as 50MiB/);
});
test.each(['', '5', '5min', '-5m', '5M', '5ms', 'm'])('no duration: %j', (text) => {
  expect(() => parseDuration(text)).toThrow(/duration such as 5m/);
});

test('limits', () => {
  expect(parseLimit('1000/day', 'messages')).toEqual({ kind: 'messages', count: 1000, per: 'day' });
  for (const text of ['1000', '/day', '1000/week', '-1/day', '1.5/hour'])
    expect(() => parseLimit(text, 'messages')).toThrow(/limit such as/);
});

describe('addresses', () => {
  test.each([
    ['[::]:465', '::', 465],
    ['[::1]:25', '::1', 25],
    ['127.0.0.1:0', '127.0.0.1', 0],
    ['0.0.0.0:65535', '0.0.0.0', 65535],
  ])('%s', (text, address, port) => expect(parseListenAddress(text)).toEqual({ address, port }));
  test.each(['465', ':465', '::465', '[::]', 'localhost:25', '127.0.0.1:65536', '[127.0.0.1]:25', '1.2.3:4'])(
    'no place to listen: %s',
    (text) => {
      expect(() => parseListenAddress(text)).toThrow(/address with a port/);
    },
  );
  test.each(['192.0.2.1', '127.0.0.0/8', '::1', '2001:db8::/32'])('network %s', (text) => expect(parseNetwork(text)).toBe(text));
  test.each(['', 'x', '192.0.2.0/33', '2001:db8::/129', '192.0.2.0/', '192.0.2.0/8/8', '1.2.3/8'])('no network: %j', (text) => {
    expect(() => parseNetwork(text)).toThrow(/network such as/);
  });
  test.each(['smtp.example.com:587', 'smtp.example.com', '192.0.2.1:25', '[2001:db8::1]:25', '2001:db8::1', 'localhost:2525'])(
    'host %s',
    (text) => {
      expect(parseHostAndPort(text)).toBe(text);
    },
  );
  test.each(['', 'a b', 'host:0', 'host:70000', 'host:x', '[1.2.3.4]:25', 'a:1:2'])('no host: %j', (text) => {
    expect(() => parseHostAndPort(text)).toThrow(/host with a port/);
  });
  test.each(['127.0.0.1', '127.0.0.1:5300', '::1', '[::1]', '[::1]:53'])('DNS server %s', (text) => {
    expect(parseDnsServer(text)).toBe(text);
  });
  test.each(['', 'localhost', 'dns.example.net:53', '127.0.0.1:0', '127.0.0.1:70000', '[127.0.0.1]:53', '1.2.3'])(
    'no DNS server: %j',
    (text) => {
      expect(() => parseDnsServer(text)).toThrow(/address of a DNS server/);
    },
  );
});

describe('names', () => {
  test.each([
    ['Example.ORG', 'example.org'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['example.org.', 'example.org'],
  ])('domain %s', (text, domain) => expect(parseDomain(text)).toBe(domain));
  test.each(['', 'org', '192.0.2.1', 'a..b', '-a.org', 'a b.org', `${'a'.repeat(64)}.org`])('no domain: %j', (text) => {
    expect(() => parseDomain(text)).toThrow(/must be a domain/);
  });
  test.each([
    ['*', '*'],
    ['', ''],
    ['Bücher.example.', 'xn--bcher-kva.example'],
    ['.Bücher.example', '.xn--bcher-kva.example'],
    ['*.a_b.example', '*.a_b.example'],
    ['localhost', 'localhost'],
  ])('domain pattern %j', (text, pattern) => expect(parseDomainPattern(text)).toBe(pattern));
  test.each(['**', 'a b', '.', '*.', 'a..b', 'anna@example.org'])('no domain pattern: %j', (text) => {
    expect(() => parseDomainPattern(text)).toThrow(/must be a domain/);
  });
  test.each([
    ['Anna@Example.ORG', 'Anna@example.org'],
    ['*', '*'],
    ['@Example.org', '@example.org'],
    ['@.Example.org', '@.example.org'],
  ])('sender rule %s', (text, rule) => expect(parseSenderRule(text)).toBe(rule));
  test.each([
    ['"app"@example.org', 'app@example.org'],
    ['a..b@example.org.', '"a..b"@example.org'],
    [`reply+${'a'.repeat(90)}@example.org`, `reply+${'a'.repeat(90)}@example.org`],
    ['@a_b.example.org', '@a_b.example.org'],
  ])('a sender rule is spelled as the path of MAIL is: %s', (text, rule) => expect(parseSenderRule(text)).toBe(rule));
  test.each(['', 'anna', '@', '@.', '**', '*@example.org@', 'a b@example.org', '<a@example.org>'])(
    'no sender rule: %j',
    (text) => {
      expect(() => parseSenderRule(text)).toThrow();
    },
  );
  test('a mailbox needs both sides', () => {
    for (const text of ['@example.org', 'anna@', 'an\nna@example.org'])
      expect(() => parseMailAddress(text)).toThrow(/mail address/);
  });
});

describe('suggestions', () => {
  test('count insertions, deletions, replacements and swaps', () => {
    expect(editDistance('abc', 'abc')).toBe(0);
    expect(editDistance('abc', 'acb')).toBe(1);
    expect(editDistance('abc', 'ab')).toBe(1);
    expect(editDistance('kitten', 'sitting')).toBe(3);
    expect(editDistance('abcdef', 'x', 3)).toBe(3);
  });
  test('are made only for similar names', () => {
    expect(suggest('hostnmae', ['dataDir', 'hostname'])).toBe('hostname');
    expect(suggest('MODE', ['mode'])).toBe('mode');
    expect(suggest('colour', ['hostname', 'store'])).toBeUndefined();
  });
});
