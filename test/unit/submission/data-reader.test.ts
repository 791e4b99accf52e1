import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DataReader } from '../../../src/submission/data-reader.ts';
import { sized } from '../../support/size.ts';

/** RFC 5321 §4.5.2, byte by byte, as plainly as it can be written. */
function reference(input: string): { text: string; rest: string | undefined; loneDot: boolean } {
  let text = '';
  let loneDot = false;
  for (let i = 0; i < input.length; i++) {
    const lineStart = i === 0 || input.slice(i - 2, i) === '\r\n';
    if (!lineStart || input[i] !== '.') text += input[i];
    else if (input.startsWith('.\r\n', i)) return { text, rest: input.slice(i + 3), loneDot };
    else if (input[i + 1] === undefined || (input[i + 1] === '\r' && input[i + 2] === undefined))
      break; // not known yet
    else if (input[i + 1] === '\r' || input[i + 1] === '\n') {
      loneDot = true;
      text += '.';
    }
  }
  return { text, rest: undefined, loneDot };
}

function read(pieces: readonly string[]) {
  const reader = new DataReader();
  let text = '';
  let rest: string | undefined;
  for (const piece of pieces) {
    if (rest !== undefined) rest += piece;
    else {
      text += reader.read(Buffer.from(piece, 'latin1')).toString('latin1');
      rest = reader.rest?.toString('latin1');
    }
  }
  return { text, rest, loneDot: reader.loneDot };
}

describe('the text of DATA', () => {
  test.each([
    ['Hello\r\n.\r\n', 'Hello\r\n', ''],
    ['.\r\nQUIT\r\n', '', 'QUIT\r\n'],
    ['..\r\n.\r\n', '.\r\n', ''],
    ['a\r\n..b\r\n.c\r\n.\r\nNOOP\r\n', 'a\r\n.b\r\nc\r\n', 'NOOP\r\n'],
    ['a\n.\nb\r.\rc\r\n.\r\n', 'a\n.\nb\r.\rc\r\n', ''],
  ])('%j', (input, text, rest) => {
    expect(read([input])).toEqual({ text, rest, loneDot: false });
  });

  test.each([
    '\n.\n',
    '\r.\r',
    '\r.\n',
    '\n.\r',
    '\n.\r\n',
    '\r\n.\n',
    '\r.\r\n',
    '\r\n.\r',
    '\r\n\0.\r\n',
    '\r\n.\0\r\n',
    '\r\n.\r\r\n',
  ])('%j does not end it', (form) => {
    const found = read([`x${form}y\r\n.\r\nrest`]);
    expect(found.rest).toBe('rest');
    expect(found.text.endsWith('y\r\n')).toBe(true);
  });

  test('any split gives what the whole gives, and that is what the standard says', () => {
    const bytes = fc.array(fc.constantFrom('\r', '\n', '.', '\r\n', '\r\n.', '\r\n.\r\n', 'a', 'bc'), { maxLength: 30 });
    const cuts = fc.array(fc.nat(60), { maxLength: 6 });
    fc.assert(
      fc.property(bytes, cuts, (parts, at) => {
        const input = parts.join('');
        const expected = reference(input);
        expect(read([...input])).toEqual(expected);
        const places = [0, ...at.filter((n) => n < input.length).sort((a, b) => a - b), input.length];
        expect(read(places.slice(1).map((end, i) => input.slice(places[i], end)))).toEqual(expected);
      }),
      { numRuns: sized(5000, 500) },
    );
  });

  test('five million bytes of dots cost well below a second', () => {
    const chunks = Array.from({ length: 80 }, () => Buffer.from('..\r\n'.repeat(16_384)));
    const reader = new DataReader();
    const before = process.cpuUsage();
    let length = 0;
    for (const chunk of chunks) length += reader.read(chunk).length;
    expect(length).toBe(80 * 16_384 * 3);
    expect(process.cpuUsage(before).user).toBeLessThan(1_500_000);
  });
});
