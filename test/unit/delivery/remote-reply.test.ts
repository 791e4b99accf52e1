import { expect, test } from 'vitest';
import { cleanReply, toReply } from '../../../src/delivery/remote-reply.ts';
import { replyLine } from '../../../src/smtp/reply.ts';

test.each([
  ['250 2.1.5 Ok', { code: 250, status: '2.1.5', text: 'Ok' }],
  ['550 5.7.1', { code: 550, status: '5.7.1', text: '' }],
  ['550 No such user', { code: 550, status: '5.0.0', text: 'No such user', words: 'No such user' }],
  ['550 4.2.1 contradicts', { code: 550, status: '5.0.0', text: '4.2.1 contradicts', words: '4.2.1 contradicts' }],
  ['550 5.1.1.2 no status', { code: 550, status: '5.0.0', text: '5.1.1.2 no status', words: '5.1.1.2 no status' }],
  ['421 4.7.28 [1.2.3.4] too fast', { code: 421, status: '4.7.28', text: '[1.2.3.4] too fast' }],
  ['550 250 2.0.0 Ok', { code: 550, status: '5.0.0', text: '250 2.0.0 Ok', words: '250 2.0.0 Ok' }],
])('%j gives code, status and text', (line, expected) => {
  expect(toReply({ code: Number(line.slice(0, 3)), lines: [line.slice(4)] })).toEqual(expected);
});

test('lines are joined, and the status that each repeats is taken off: RFC 2034 §4', () => {
  const lines = ['5.7.1 First line', '5.7.1  second', 'third', '5.7.1'];
  expect(toReply({ code: 550, lines })).toEqual({ code: 550, status: '5.7.1', text: 'First line\nsecond\nthird\n' });
});

test('a reply that counts as temporary has a temporary status', () => {
  expect(toReply({ code: 552, lines: ['5.2.2 Too many'] }, 4)).toMatchObject({ code: 552, status: '4.2.2' });
  expect(toReply({ code: 554, lines: ['Go away'] }, 4)).toMatchObject({ code: 554, status: '4.0.0' });
});

test('is quoted as it came, whatever it counts as', () => {
  expect(replyLine(toReply({ code: 552, lines: ['5.2.2 Too many'] }, 4))).toBe('552 5.2.2 Too many');
  expect(replyLine(toReply({ code: 550, lines: ['No such user', 'here'] }))).toBe('550 No such user here');
  expect(replyLine(toReply({ code: 550, lines: ['5.1.1 No such user', '5.1.1 here'] }))).toBe('550 5.1.1 No such user here');
});

test('a text of 10 kB with control characters is cut and made harmless', () => {
  const text = cleanReply(`a\x1b[31m\0b\r\nDiagnostic-Code: x\u0085\u2028${'y'.repeat(10_000)}`);
  expect(text.length).toBeLessThanOrEqual(2001);
  expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]/);
  expect(text).toContain('a [31m b \nDiagnostic-Code: x');
});
