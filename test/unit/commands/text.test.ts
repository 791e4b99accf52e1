/** How commands print: tables, facts, times, zone lines, JSON arrays that are never whole in memory. */
import { describe, expect, test } from 'vitest';
import { type Io, printJsonArray, readLine } from '../../../src/commands/io.ts';
import { clean, facts, several, table, time } from '../../../src/commands/text.ts';
import { parseExpiry } from '../../../src/control/control.ts';
import { iso } from '../../../src/control/shapes.ts';
import { publicAddresses } from '../../../src/net/addresses.ts';
import { neededRecords } from '../../../src/setup/setup.ts';

function io(chunks: readonly string[] = []): Io & { text: string } {
  return {
    text: '',
    env: {},
    cwd: '/',
    interactive: false,
    err: () => {},
    async out(text) {
      this.text += text;
    },
    stdin: (async function* () {
      for (const chunk of chunks) yield Buffer.from(chunk);
    })(),
  };
}

describe('tables', () => {
  test('are aligned, without blanks at the end, and show empty values', () => {
    expect(table(['A', 'BB', 'C'], [['long', '', 'x']])).toBe('A     BB  C\nlong  -   x\n');
    expect(
      facts([
        ['a', '1'],
        ['long', ''],
      ]),
    ).toBe('a:    1\nlong: -\n');
  });
  test('have no characters that move the cursor', () => {
    expect(clean('a\x1b[31m\r\nb\x9b\u202e\u2028')).toBe('a\ufffd[31m\ufffd\ufffdb\ufffd\ufffd\ufffd');
  });
});

test('times are UTC', () => {
  expect(iso(0)).toBe('1970-01-01T00:00:00.000Z');
  expect(iso(null)).toBeNull();
  expect(time(1500)).toBe('1970-01-01T00:00:01Z');
  expect([several(0, 'key'), several(1, 'key')]).toEqual(['0 keys', '1 key']);
});

describe('a long list as JSON', () => {
  const print = async (...pages: readonly (readonly unknown[])[]) => {
    const to = io();
    await printJsonArray(
      to,
      (async function* () {
        yield* pages;
      })(),
    );
    return JSON.parse(to.text);
  };
  test('is one array, whatever its pages', async () => {
    expect(await print()).toEqual([]);
    expect(await print([], [])).toEqual([]);
    expect(await print([1, { a: 2 }], [], [3])).toEqual([1, { a: 2 }, 3]);
  });
});

test.each([
  [['secret\n'], 'secret'],
  [['secret'], 'secret'],
  [['se', 'cret\r', '\nmore'], 'secret'],
  [[Buffer.from('gehe\u00efm').toString(), '\n'], 'gehe\u00efm'],
  [[], ''],
  [['\nx'], ''],
])('the first line of %j', async (chunks, line) => {
  expect(await readLine(io(chunks))).toBe(line);
});

test.each([
  ['2027-12-31', '2027-12-31T00:00:00.000Z'],
  ['2027-12-31T18:00', '2027-12-31T18:00:00.000Z'],
  ['2027-12-31 18:00:30Z', '2027-12-31T18:00:30.000Z'],
  ['2027-12-31T18:00+02:00', '2027-12-31T16:00:00.000Z'],
  ['never', null],
])('a credential expires %s', (text, expected) => expect(iso(parseExpiry(text))).toBe(expected));

test.each(['', 'soon', '2027-13-01', '2027-02-31', '2027-02-31T10:00', '31.12.2027', '2027-12-31T25:00', '20271231'])(
  'no date: %j',
  (text) => {
    expect(() => parseExpiry(text)).toThrow(/^must be a date/);
  },
);

describe('the DNS records of a new relay', () => {
  test('use the public addresses', () => {
    const face = (address: string, family: 'IPv4' | 'IPv6', internal = false) => ({
      address,
      family,
      internal,
      netmask: '',
      mac: '',
      cidr: null,
      scopeid: 0,
    });
    const faces = [
      face('127.0.0.1', 'IPv4', true),
      face('10.0.0.1', 'IPv4'),
      face('192.0.2.5', 'IPv4'),
      face('fe80::1', 'IPv6'),
      face('2001:db8::1', 'IPv6'),
    ];
    expect(publicAddresses({ eth0: faces as never })).toEqual(['192.0.2.5', '2001:db8::1']);
  });

  test('list a domain once if it is the host name', () => {
    const groups = neededRecords({ hostname: 'relay.example.net', domains: ['relay.example.net'], dkim: [], addresses: [] });
    const names = groups.flatMap(({ records }) => records.map(({ name }) => name));
    expect(names).toEqual(['relay.example.net', '_dmarc.relay.example.net']);
  });

  test('extend the existing SPF record of a domain, and keep its DMARC record', () => {
    const existing = new Map([['example.org', { spf: 'v=spf1 mx a:relay.example.net -all', dmarc: true }]]);
    const needed = { hostname: 'relay.example.net', domains: ['example.org'], dkim: [], addresses: ['192.0.2.5'], existing };
    const { comment, records } = neededRecords(needed).at(-1)!;
    expect(records).toEqual([{ name: 'example.org', type: 'TXT', ttl: 3600, value: 'v=spf1 mx a:relay.example.net -all' }]);
    expect(comment).toMatch(/replaces the one that is there.*DMARC record stays/);
  });
});
