import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createBodyHash } from '../../../src/signing/signing.ts';
import { sized } from '../../support/size.ts';

/** The relaxed form as RFC 6376 §3.4.4 says it, without any thought of speed. */
function relaxed(body: string): string {
  const lines = body.split('\r\n').map((line) => line.replace(/[ \t]+/g, ' ').replace(/ $/, ''));
  while (lines.at(-1) === '') lines.pop();
  return lines.map((line) => `${line}\r\n`).join('');
}

const expected = (body: string) => createHash('sha256').update(relaxed(body), 'latin1').digest('base64');

function hashed(pieces: readonly Buffer[]): string {
  const hash = createBodyHash();
  for (const piece of pieces) hash.update(piece);
  return hash.digest();
}

describe('RFC 6376 §3.4.4: the relaxed body', () => {
  test.each([
    ['', '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='], // §3.4.4: the hash of an empty body
    ['\r\n', '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='],
    [' \t\r\n \r\n', '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='],
    [' C \r\nD \t E\r\n\r\n\r\n', createHash('sha256').update(' C\r\nD E\r\n').digest('base64')], // §3.4.5
  ])('%j', (body, hash) => {
    expect(hashed([Buffer.from(body)])).toBe(hash);
  });

  const piece = fc.constantFrom(
    '\r\n',
    '\r\n',
    ' ',
    '\t',
    'a',
    'word',
    '.',
    '  ',
    '\r\n \r\n',
    'a b',
    'x'.repeat(33),
    'y z'.repeat(30),
    '\x0c',
    'ü',
    '\xff',
  );
  const bodies = fc.array(piece, { maxLength: 80 }).map((pieces) => pieces.join(''));

  test('is what the plain words of the standard make, however the body is cut', () => {
    fc.assert(
      fc.property(bodies, fc.array(fc.nat(), { maxLength: 20 }), fc.nat(3), (body, cuts, shift) => {
        // shifted, so that words of four bytes begin anywhere
        const bytes = Buffer.concat([Buffer.alloc(shift), Buffer.from(body, 'latin1')]).subarray(shift);
        const at = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
        const pieces = at.map((end, i) => bytes.subarray(i === 0 ? 0 : at[i - 1], end));
        expect(hashed(pieces)).toBe(expected(body));
        expect(hashed([bytes])).toBe(expected(body));
      }),
      { numRuns: sized(3000, 300) },
    );
  });

  test('finds a double blank at every place of a long clean text', () => {
    const clean = 'one two three four five six seven eight nine ten\r\n'.repeat(3);
    for (let at = 0; at <= clean.length; at++) {
      for (const insert of ['  ', ' ', '\t']) {
        const body = (clean.slice(0, at) + insert + clean.slice(at)).replace(/\r(?!\n)[ \t]+\n/g, '\r\n');
        expect(hashed([Buffer.from(body)])).toBe(expected(body));
      }
    }
  });

  test.each([
    ['5 MB of spaces on one line', `a${' '.repeat(5_000_000)}b\r\n`],
    ['half a million empty lines', `a${'\r\n'.repeat(500_000)}b\r\n`],
    ['half a million empty lines at the end', `a${'\r\n'.repeat(500_000)}`],
    ['a million lines of one blank', `a${' \r\n'.repeat(1_000_000)}b\r\n`],
    // Work that grew with the square of the length would not end here.
  ])('comes to its end for %s', (_, body) => {
    const bytes = Buffer.from(body);
    const pieces = Array.from({ length: Math.ceil(bytes.length / 4096) }, (_unused, i) =>
      bytes.subarray(i * 4096, (i + 1) * 4096),
    );
    expect(hashed(pieces)).toBe(expected(body));
    expect(hashed([bytes])).toBe(expected(body));
  });
});
