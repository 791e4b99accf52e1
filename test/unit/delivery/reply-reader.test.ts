import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MalformedReply, type RemoteReply, ReplyReader } from '../../../src/delivery/reply-reader.ts';

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

test('replies come out the same however the stream is cut', () => {
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

test('any bytes are read, wait for more, or are malformed, and nothing else happens', () => {
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

  test('what nobody has read is pending', () => {
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
