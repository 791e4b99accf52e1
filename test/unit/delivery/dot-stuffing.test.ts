import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DotStuffer } from '../../../src/delivery/dot-stuffing.ts';

function stuff(chunks: readonly Uint8Array[]): string {
  const stuffer = new DotStuffer();
  return Buffer.concat([...chunks.flatMap((chunk) => stuffer.stuff(chunk)), stuffer.end()]).toString('latin1');
}

/** By the letter of RFC 5321 §4.5.2. */
function plain(text: string): string {
  const ended = text === '' || text.endsWith('\r\n') ? text : `${text}\r\n`;
  return `${ended.replace(/(^|\r\n)\./g, '$1..')}.\r\n`;
}

test('every dot at the start of a line is doubled, however the content is cut', () => {
  const text = fc
    .array(fc.constantFrom('.', '\r\n', 'a', '\r\n.', '\r\n.\r\n', '..'), { maxLength: 30 })
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, fc.array(fc.nat(), { maxLength: 8 }), (content, cuts) => {
      const bytes = Buffer.from(content, 'latin1');
      const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
      const chunks = places.slice(1).map((end, i) => bytes.subarray(places[i], end));
      expect(stuff(chunks)).toBe(plain(content));
    }),
    { numRuns: 1000 },
  );
});

test('content without such a line is passed on, not copied', () => {
  const bytes = new Uint8Array(Buffer.from('Subject: x\r\n\r\nno dot. at a start\r\n'));
  const pieces = new DotStuffer().stuff(bytes);
  expect(pieces).toHaveLength(1);
  expect(pieces[0]!.buffer).toBe(bytes.buffer);
});
