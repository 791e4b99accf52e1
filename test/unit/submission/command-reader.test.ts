import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CommandReader, type LineProblem } from '../../../src/submission/command-reader.ts';

function readAll(pieces: readonly Buffer[], isAuth = false) {
  const reader = new CommandReader();
  const lines: (string | LineProblem['problem'])[] = [];
  for (const piece of pieces) {
    reader.push(piece);
    for (let line = reader.next(isAuth); line !== undefined; line = reader.next(isAuth)) {
      lines.push(typeof line === 'string' ? line : `! ${line.problem}`);
    }
  }
  return { lines, pending: reader.pending };
}
const read = (text: string, isAuth = false) => readAll([Buffer.from(text, 'utf8')], isAuth);

describe('command lines', () => {
  test.each([
    ['EHLO x\r\nMAIL FROM:<a@b>\r\n', ['EHLO x', 'MAIL FROM:<a@b>']],
    ['NOOP\nNOOP\r\n', ['! bare newline', 'NOOP']],
    ['\n\r\n', ['! bare newline', '']],
    ['a\rb\r\n', ['! control character']],
    ['a\tb\r\n', ['! control character']],
    ['grüße\r\n', ['grüße']],
    ['NOOP', []],
  ])('%j', (text, lines) => {
    expect(read(text).lines).toEqual(lines);
  });

  test('what is not UTF-8 is named', () => {
    expect(readAll([Buffer.from([0x61, 0xff, 0x0d, 0x0a])]).lines).toEqual(['! not utf-8']);
    expect(readAll([Buffer.from('NOOP b\xfcro\r\n', 'latin1')]).lines).toEqual(['! not utf-8']);
  });

  test('a name in ISO 8859-1 is taken in EHLO and HELO', () => {
    expect(readAll([Buffer.from('EHLO b\xfcro\r\nhelo b\xfcro\r\n', 'latin1')]).lines).toEqual(['EHLO büro', 'helo büro']);
    expect(readAll([Buffer.from('EHLO b\xfc\0\r\n', 'latin1')]).lines).toEqual(['! control character']);
  });

  test('4096 octets with CRLF pass, 4097 do not, AUTH may have 12288', () => {
    expect(read(`${'x'.repeat(4094)}\r\n`).lines[0]).toHaveLength(4094);
    expect(read(`${'x'.repeat(4095)}\r\nNOOP\r\n`).lines).toEqual(['! too long', 'NOOP']);
    expect(read(`auth PLAIN ${'x'.repeat(12_275)}\r\n`).lines[0]).toHaveLength(12_286);
    expect(read(`AUTH PLAIN ${'x'.repeat(12_276)}\r\n`).lines).toEqual(['! too long']);
    expect(read(`${'x'.repeat(12_286)}\r\n`, true).lines[0]).toHaveLength(12_286);
  });

  test('a line without end is dropped, not kept', () => {
    const piece = Buffer.from('x'.repeat(3000));
    const { lines, pending } = readAll([piece, piece, piece, piece, Buffer.from('y\r\nNOOP\r\n')]);
    expect(lines).toEqual(['! too long', 'NOOP']);
    expect(pending).toBe(0);
  });

  test('any split gives the same lines', () => {
    const part = fc.constantFrom('\r\n', '\n', '\r', 'NOOP', 'ü', '\0', 'x'.repeat(5000));
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), fc.integer({ min: 1, max: 700 }), (parts, size) => {
        const bytes = Buffer.from(`${parts.join('')}\r\n`);
        const pieces: Buffer[] = [];
        for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
        expect(readAll(pieces)).toEqual(readAll([bytes]));
      }),
    );
  });

  test('what follows a command is handed over as it is', () => {
    const reader = new CommandReader();
    reader.push(Buffer.from('DATA\r\nHello\r\n.'));
    expect(reader.next()).toBe('DATA');
    expect(reader.takeAll().toString()).toBe('Hello\r\n.');
    expect(reader.pending).toBe(0);
  });
});
