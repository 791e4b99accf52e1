import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MemorySpools, prepare, refusalOf } from '../../support/prepare.ts';
import { sized } from '../../support/size.ts';

const HEADER = 'From: ann@sender.test\r\nDate: x\r\nMessage-ID: <m@sender.test>\r\n\r\n';
const message = (body: string) => Buffer.from(HEADER + body, 'latin1');

/** The body that is stored, or how it was refused. */
async function bodyOf(pieces: readonly Buffer[], bareNewlines: 'normalize' | 'reject' = 'normalize') {
  const result = prepare(pieces, { options: { bareNewlines } });
  const refusal = await refusalOf(result);
  if (refusal !== 'accepted') return refusal;
  const { bytes } = await result;
  return bytes.toString('latin1').slice(bytes.indexOf('\r\n\r\n') + 4);
}

describe('RFC 5321 §2.3.8: lines end with CRLF and nothing else', () => {
  test.each([
    ['a\nb\r\n', 'a\r\nb\r\n'],
    ['a\rb\r\n', 'a\r\nb\r\n'],
    ['a\n\nb\r\n', 'a\r\n\r\nb\r\n'],
    ['a\r\rb\r\n', 'a\r\n\r\nb\r\n'],
    ['a\n\rb\r\n', 'a\r\n\r\nb\r\n'],
    ['a\r\r\nb\r\n', 'a\r\nb\r\n'],
    ['a\r\r\n\r\r\nb\r\r\n', 'a\r\n\r\nb\r\n'],
    ['a\r\r\r\nb\r\n', 'a\r\n\r\nb\r\n'],
    ['\r\r\na\r\n', '\r\na\r\n'],
    ['a\r\r', 'a\r\n\r\n'],
    ['a\r\rb', 'a\r\n\r\nb\r\n'],
    ['\n', '\r\n'],
    ['a', 'a\r\n'],
    ['a\r', 'a\r\n'],
    ['a\r\n', 'a\r\n'],
    ['', ''],
  ])('%j becomes %j', async (body, normalized) => {
    expect(await bodyOf([message(body)])).toBe(normalized);
  });

  test.each(['a\nb\r\n', 'a\rb\r\n', 'a\r', 'a\r\r\nb\r\n'])('%j is refused by bareNewlines: reject', async (body) => {
    expect(await bodyOf([message(body)], 'reject')).toBe('550 5.6.11');
    expect(await bodyOf([message('clean\r\n')], 'reject')).toBe('clean\r\n');
  });

  test('bare newlines are reported, and only if there were some', async () => {
    expect((await prepare([message('a\nb\r\n')])).prepared.bareNewlines).toBe(true);
    expect((await prepare([message('a\r\nb\r\n')])).prepared.bareNewlines).toBe(false);
  });
});

describe('a line that another server could take for the end of the data is refused with 550 5.6.11', () => {
  const evil = 'MAIL FROM:<evil@x>\r\n';
  const looksLikeAnEnd = [
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
    '\r\r\n.\r\r\n',
    '\n\n.\n',
    '\r\n\n.\r\n',
    '\r\n\r.\r\n',
  ];
  test.each(looksLikeAnEnd)('%j in a body', async (ending) => {
    expect(await bodyOf([message(`text${ending}${evil}`)])).toBe('550 5.6.11');
  });

  test.each(looksLikeAnEnd)('%j, cut anywhere or into single bytes', async (ending) => {
    const whole = message(`text${ending}${evil}`);
    const start = HEADER.length;
    for (let cut = start; cut < start + 12; cut++) {
      expect(await bodyOf([whole.subarray(0, cut), whole.subarray(cut)])).toBe('550 5.6.11');
    }
    expect(await bodyOf([...whole].map((byte) => Buffer.from([byte])))).toBe('550 5.6.11');
  });

  test.each(['.\n', '.\r', '.\rx'])('%j as the very first line of the body', async (start) => {
    expect(await bodyOf([message(start)])).toBe('550 5.6.11');
  });

  test('a NUL is refused anywhere', async () => {
    expect(await bodyOf([message('a\0b\r\n')])).toBe('550 5.6.11');
    expect(await bodyOf([Buffer.from('From: ann@sender.test\r\nSubject: a\0b\r\n\r\nx\r\n')])).toBe('550 5.6.11');
  });

  test('a bare CR is refused in the header, whatever the body may have', async () => {
    expect(await bodyOf([Buffer.from('From: ann@sender.test\r\nX: 1\rBcc: z@z.test\r\n\r\nx\r\n')])).toBe('550 5.6.11');
    expect(await bodyOf([Buffer.from('From: ann@sender.test\r\n\rx\r\n')])).toBe('550 5.6.11');
  });

  test.each(['.\r\n', 'a\r\n.\r\nb\r\n', '.\r\n.\r\n', 'a\r\n.', '\r\r\n.\r\n'])(
    'a stuffed dot, unstuffed to %j, passes',
    async (body) => {
      expect(await bodyOf([message(body)])).not.toMatch(/^5/);
    },
  );
});

describe('the same bytes give the same result however they are cut', () => {
  const part = fc.constantFrom(
    '\r\n',
    '\r\r\n',
    '\r',
    '\n',
    '.',
    ' ',
    '\t',
    'a',
    'text of a line',
    '\r\n.\r\n',
    'x'.repeat(70),
    'ü',
    '\r\n\r\n',
    'B: ',
  );
  const content = fc.array(part, { maxLength: 60 }).map((parts) => parts.join(''));
  const cuts = fc.array(fc.nat(), { maxLength: 30 });

  function split(bytes: Buffer, at: readonly number[]): Buffer[] {
    const sorted = [...at.map((n) => n % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
    return sorted.map((end, i) => bytes.subarray(i === 0 ? 0 : sorted[i - 1], end));
  }

  async function all(pieces: readonly Buffer[], bareNewlines: 'normalize' | 'reject') {
    const spools = new MemorySpools();
    const work = prepare(pieces, {
      spools,
      options: { bareNewlines, maxHeaderSize: 200, inlineLimit: 400, maxMessageSize: 2000 },
    });
    const refusal = await refusalOf(work);
    if (refusal !== 'accepted') return { refusal, left: spools.open.size };
    const { prepared, bytes } = await work;
    const { content: kept, ...facts } = prepared;
    // A Message-ID of ours is never the same.
    const told = (text: string) => text.replace(/(<0123456789abc\.)[0-9a-z]{10}(@relay\.test>)/, '$1…$2');
    return { facts: { ...facts, messageId: told(facts.messageId) }, bytes: told(bytes.toString('latin1')), kind: kept.kind };
  }

  test('for messages of any shape', async () => {
    await fc.assert(
      fc.asyncProperty(content, cuts, fc.boolean(), fc.boolean(), async (text, at, withHeader, reject) => {
        const bytes = Buffer.from((withHeader ? HEADER : 'From: a@b.test\r\n') + text);
        const mode = reject ? 'reject' : 'normalize';
        expect(await all(split(bytes, at), mode)).toEqual(await all([bytes], mode));
      }),
      { numRuns: sized(600, 100) },
    );
  });

  test('of two errors the first one is reported', async () => {
    const line = 'x'.repeat(140);
    const bytes = Buffer.from(`From: a@b.test\r\n${line}\n${line}\r\r\n`); // the header is too long before its bare CR
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(await all(split(bytes, [cut]), 'normalize')).toEqual({ refusal: '552 5.3.4', left: 0 });
    }
  });

  test('and the stored message has CRLF only, no NUL, and ends with CRLF', async () => {
    await fc.assert(
      fc.asyncProperty(content, cuts, async (text, at) => {
        const result = await all(split(message(text), at), 'normalize');
        if (result.bytes === undefined) return;
        expect(result.bytes).not.toMatch(/\r(?!\n)|(?<!\r)\n|\0/);
        expect(result.bytes.endsWith('\r\n')).toBe(true);
      }),
      { numRuns: sized(300, 100) },
    );
  });

  test('a message sent byte by byte, with a line on every alignment', async () => {
    for (let shift = 0; shift < 9; shift++) {
      const bytes = message(`${'y'.repeat(shift)}\r\n${`${'x'.repeat(61 + shift)}\r\n`.repeat(5)}.\r\nend\nbare\r\n`);
      const single = [...bytes].map((byte) => Buffer.from([byte]));
      expect(await bodyOf(single)).toBe(await bodyOf([bytes]));
      const unaligned = Buffer.concat([Buffer.alloc(shift), bytes]).subarray(shift);
      expect(await bodyOf([unaligned])).toBe(await bodyOf([bytes]));
    }
  });
});

describe('lines', () => {
  test.each([998, 999, 5000, 65_536, 65_537, 300_000])('of any length pass unchanged: %i', async (length) => {
    for (const end of ['\r\n', '\r\n.\r\n', '\r\nshort\r\n']) {
      const body = `first\r\n${'x'.repeat(length)}${end}`;
      const bytes = message(body);
      expect(await bodyOf([bytes])).toBe(body);
      expect(await bodyOf([bytes.subarray(0, 70), bytes.subarray(70, 900), bytes.subarray(900)])).toBe(body);
    }
  });

  test('a line of the largest message size is never held in memory', async () => {
    const spools = new MemorySpools();
    const chunk = Buffer.alloc(64 * 1024, 'x');
    const { prepared } = await prepare([message(''), ...Array.from({ length: 160 }, () => chunk)], { spools });
    expect(prepared.content).toMatchObject({ kind: 'spooled' });
    expect(prepared.size).toBeGreaterThan(10 * 1024 * 1024);
  });
});
