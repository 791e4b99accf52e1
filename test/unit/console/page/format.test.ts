/** How pages write sizes and times, read their address, and show what strangers wrote. */
import { expect, test } from 'vitest';
import { clockText, durationText, sizeText } from '../../../../src/console/page/format.ts';
import { strangerPieces, strangerText } from '../../../../src/console/page/stranger.ts';
import { matchPath, pathTo, queryWith } from '../../../../src/console/page/url.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

test.each([
  [0, '0ms'],
  [340, '340ms'],
  [1500, '1.5s'],
  [59_999, '59s'],
  [5 * MINUTE, '5m'],
  [2 * HOUR + 10 * MINUTE, '2h 10m'],
  [3 * HOUR, '3h'],
  [DAY + 5 * HOUR, '1d 5h'],
  [61 * DAY + 5 * HOUR, '61d'],
])('%i ms are %s', (ms, text) => {
  expect(durationText(ms)).toBe(text);
});

test.each([
  [0, '0 B'],
  [1023, '1,023 B'],
  [1536, '1.5 KiB'],
  [41 * 1024 ** 3, '41 GiB'],
])('%i octets are %s', (octets, text) => {
  expect(sizeText(octets).replace('\u00a0', ' ')).toBe(text);
});

test('a time says its day if it was another one', () => {
  const now = new Date(2026, 10, 28, 10, 42, 7).getTime();
  expect(clockText(now - MINUTE, now)).toBe('10:41:07');
  expect(clockText(now - DAY, now)).toMatch(/27 Nov|Nov 27/);
});

test('what a stranger wrote is shown, and what steers or hides is shown by its number', () => {
  expect(strangerPieces('550 no such user')).toEqual(['550 no such user']);
  expect(strangerPieces('safe\u202egpj.exe')).toEqual(['safe', { odd: 'U+202E' }, 'gpj.exe']);
  expect(strangerText('a\u0000b\u200bc\u001b[31m')).toBe('a⟦U+0000⟧b⟦U+200B⟧c⟦U+001B⟧[31m');
  expect(strangerText('\ud800x')).toBe('⟦U+D800⟧x');
  expect(strangerText('👨\u200d👩\u200d👧 ok a\u200db')).toBe('👨\u200d👩\u200d👧 ok a⟦U+200D⟧b');
  expect(strangerText('x'.repeat(100_000), 10)).toBe('xxxxxxxxxx…');
});

test('the address of a page names its parameters, decoded', () => {
  expect(matchPath('/messages', '/messages')).toEqual({});
  expect(matchPath('/credentials/:name', pathTo('/credentials', 'a/b ü'))).toEqual({ name: 'a/b ü' });
  expect(matchPath('/messages/:id', '/messages')).toBeUndefined();
  expect(matchPath('/messages/:id', '/messages/')).toBeUndefined();
  expect(matchPath('/messages/:id', '/messages/%')).toBeUndefined();
});

test('a filter is changed in the address without losing the others', () => {
  expect(queryWith('?a=1&b=2', { b: null, c: 'x y' })).toBe('?a=1&c=x+y');
  expect(queryWith('?a=1', { a: '' })).toBe('');
});
