import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cleanReply, MalformedReply, type RemoteReply, ReplyReader, toReply } from '../../../src/delivery/reply-reader.ts';
import { replyLine } from '../../../src/smtp/reply.ts';

/** Everything that can be read when the bytes come in these chunks. */
function readAll(chunks: readonly (string | Buffer)[]): RemoteReply[] {
  const reader = new ReplyReader();
  const replies: RemoteReply[] = [];
  for (const chunk of chunks) {
    reader.push(Buffer.from(chunk as string));
    for (let reply = reader.next(); reply !== undefined; reply = reader.next()) replies.push(reply);
  }
  return replies;
}

const line = fc.string({ unit: fc.constantFrom('a', ' ', '5', '-', '.', 'é', '\t', '\x1b', '\0', '\r'), maxLength: 20 });
const reply = fc.record({ code: fc.integer({ min: 200, max: 599 }), lines: fc.array(line, { minLength: 1, maxLength: 4 }) });

function bytesOf({ code, lines }: RemoteReply): Buffer {
  return Buffer.from(lines.map((text, i) => `${code}${i < lines.length - 1 ? '-' : ' '}${text}\r\n`).join(''));
}

test('the parsed replies are the same, however the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(reply, { minLength: 1, maxLength: 5 }), fc.array(fc.nat(), { maxLength: 10 }), (replies, cuts) => {
      const bytes = Buffer.concat(replies.map(bytesOf));
      const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
      const chunks = places.slice(1).map((end, i) => bytes.subarray(places[i], end));
      // A CR before the CRLF belongs to the line's end or to its text: nobody cares, but both ways must agree.
      expect(readAll(chunks)).toEqual(readAll([bytes]));
      expect(readAll(chunks)).toHaveLength(replies.length);
      expect(readAll(chunks).map(({ code }) => code)).toEqual(replies.map(({ code }) => code));
    }),
  );
});

test('any bytes are a reply, need more bytes, or are malformed, and never throw', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }), (chunks) => {
      try {
        for (const { code } of readAll(chunks.map((chunk) => Buffer.from(chunk)))) expect(code).toBeGreaterThanOrEqual(200);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedReply);
      }
    }),
  );
});

describe('what servers send', () => {
  test.each([
    ['250 ok\r\n', 250, ['ok']],
    ['250\r\n', 250, ['']],
    ['250 \r\n', 250, ['']],
    ['250-a\r\n250-\r\n250 b\r\n', 250, ['a', '', 'b']],
    ['250 bare LF\n', 250, ['bare LF']],
    ['250-a\r\n250\r\n', 250, ['a', '']],
    ['550 5.1.1 né\r\n', 550, ['5.1.1 né']],
    ['290 unknown digits\r\n', 290, ['unknown digits']],
    ['250-a\r\n251 b\r\n', 251, ['a', 'b']],
    ['550-no\r\n553 such user\r\n', 553, ['no', 'such user']],
    ['450-a\r\n451-b\r\n452 c\r\n', 452, ['a', 'b', 'c']],
    ['421-closing\r\n450 later\r\n', 421, ['closing', 'later']],
    ['450-later\r\n421 closing\r\n', 421, ['later', 'closing']],
  ])('%j is a reply', (bytes, code, lines) => {
    expect(readAll([bytes])).toEqual([{ code, lines }]);
  });

  test.each([
    '25\r\n',
    '999 no\r\n',
    '199 no\r\n',
    'hello\r\n',
    '\r\n',
    '250x\r\n',
    '2 50 ok\r\n',
    '250-a\r\n550 b\r\n',
    '550-a\r\n450 b\r\n',
    '450-a\r\n550 b\r\n',
    '250-a\r\nb\r\n',
    '\x16\x03\x01\n',
  ])('%j is none', (bytes) => {
    expect(() => readAll([bytes])).toThrow(MalformedReply);
  });

  test('a line without end, a reply of a million lines and one of many megabytes are cut off', () => {
    expect(() => readAll(Array.from({ length: 70 }, () => 'x'.repeat(1024)))).toThrow(MalformedReply);
    expect(() => readAll(Array.from({ length: 1001 }, () => '250-more\r\n'))).toThrow(/1000 lines/);
    expect(() => readAll(Array.from({ length: 30 }, () => `250-${'x'.repeat(50_000)}\r\n`))).toThrow(/without end/);
    expect(readAll([...Array.from({ length: 999 }, () => '250-more\r\n'), '250 end\r\n'])).toHaveLength(1);
  });

  test('unread data are pending', () => {
    const reader = new ReplyReader();
    expect(reader.pending).toBe(false);
    reader.push(Buffer.from('250 a\r\n250-b\r\n'));
    expect(reader.next()).toEqual({ code: 250, lines: ['a'] });
    expect(reader.pending).toBe(true);
    expect(reader.next()).toBeUndefined();
    expect(reader.pending).toBe(true);
    reader.push(Buffer.from('250 c\r\n'));
    expect(reader.next()).toEqual({ code: 250, lines: ['b', 'c'] });
    expect(reader.pending).toBe(false);
  });
});

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

test('is quoted unchanged, whatever it counts as', () => {
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
