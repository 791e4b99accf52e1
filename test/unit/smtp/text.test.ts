/** The characters that move a cursor, end a line or change the direction of writing. */
import { expect, test } from 'vitest';
import { formatReply } from '../../../src/smtp/reply.ts';
import { forTerminal, oneLine, plainJson, plainLines } from '../../../src/smtp/text.ts';

const UNSAFE = [
  '\0',
  '\x07',
  '\b',
  '\r',
  '\x1b',
  '\x7f',
  '\x85',
  '\x9b',
  '\u061c',
  '\u200e',
  '\u2028',
  '\u2029',
  '\u202e',
  '\u2066',
  '\u2069',
];

test.each(UNSAFE)('%j passes nowhere', (character) => {
  const text = `a${character}b`;
  expect(oneLine(text)).toBe('a b');
  expect(plainLines(text)).toBe('a b');
  expect(forTerminal(text)).toBe('a\ufffdb');
  expect(plainJson(JSON.stringify(text))).toMatch(/^"a\\(?:u[0-9a-f]{4}|[br])b"$/);
  expect(JSON.parse(plainJson(JSON.stringify(text)))).toBe(text);
  expect(formatReply({ code: 250, status: '', text })).toBe('250 a b\r\n');
});

test('letters of any script stay, lines where there may be several, and our own colours', () => {
  expect(oneLine('Grüße, 例え')).toBe('Grüße, 例え');
  expect(oneLine('a\nb')).toBe('a b');
  expect(plainLines('a\nb')).toBe('a\nb');
  expect(forTerminal('a\tb\n\x1b[31mc\x1b[39m\x1b[2Jd')).toBe('a\tb\n\x1b[31mc\x1b[39m\ufffd[2Jd');
});
