import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { createPreparation, discard, type PreparationOptions } from '../../../src/preparation/preparation.ts';
import type { SpoolWriter } from '../../../src/store/store.ts';
import { bytesOf, HOSTNAME, MemorySpools, NOW, prepare, refusalOf, signerWith } from '../../support/prepare.ts';

const HEADER =
  'From: ann@sender.test\r\nDate: Sat, 21 Nov 2026 09:00:00 +0000\r\nMessage-ID: <m@sender.test>\r\nBcc: b@x.test\r\n\r\n';
const LINE = `${'QUJD'.repeat(19)}\r\n`;
const message = (size: number) => Buffer.from(HEADER + LINE.repeat(Math.ceil(size / LINE.length)));

function chunks(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => Buffer.from(bytes.subarray(i * size, (i + 1) * size)));
}

function start(options: Partial<PreparationOptions>) {
  return createPreparation({
    hostname: HOSTNAME,
    maxMessageSize: 1e9,
    maxHeaderSize: 256 * 1024,
    bareNewlines: 'normalize',
    createSpool: new MemorySpools().create,
    signer: signerWith([]),
    ...options,
  }).start({
    queueId: '0123456789abc',
    now: NOW,
    kind: 'submission',
    envelope: { reversePath: 'ann@sender.test', recipients: [], body: '7BIT', smtpUtf8: false },
  });
}

describe('small messages', () => {
  test('are one buffer with its own memory, which can be transferred', async () => {
    const { prepared } = await prepare([message(4000)]);
    expect(prepared.content.kind).toBe('inline');
    if (prepared.content.kind !== 'inline') return;
    const { bytes } = prepared.content;
    expect(bytes.byteOffset).toBe(0);
    expect(bytes.buffer.byteLength).toBe(bytes.length);
    expect(prepared.size).toBe(bytes.length);
    expect(structuredClone(bytes, { transfer: [bytes.buffer] })).toHaveLength(prepared.size);
  });

  test('sent a byte at a time are the same', async () => {
    const bytes = message(10_000);
    expect((await prepare(chunks(bytes, 1))).bytes).toEqual((await prepare([bytes])).bytes);
  });
});

describe('large messages', () => {
  test.each([1000, 16_384, 70_000, 400_000])('go to the spool, in chunks of %i, and come out the same', async (size) => {
    const bytes = message(600_000);
    const spooled = await prepare(chunks(bytes, size));
    const inline = await prepare([bytes], { options: { inlineLimit: 1e9 } });
    expect(spooled.prepared.content.kind).toBe('spooled');
    expect(inline.prepared.content.kind).toBe('inline');
    expect(spooled.bytes).toEqual(inline.bytes);
    expect(spooled.prepared.size).toBe(spooled.bytes.length);
  });

  test('are the same if the caller does not wait', async () => {
    const bytes = message(600_000);
    const eager = start({});
    for (const chunk of chunks(bytes, 5000)) void eager.write(chunk);
    const stored = await bytesOf(await eager.finish());
    const expected = Buffer.from(bytes.toString().replace('Bcc: b@x.test\r\n', ''));
    expect(stored.subarray(-expected.length).equals(expected)).toBe(true);
  });

  test('hold the client back while the disk is busy, and memory stays flat', async () => {
    let release = () => {};
    let waiting = 0;
    const slow = async (): Promise<SpoolWriter> => ({
      write: () =>
        new Promise((resolve) => {
          waiting++;
          release = resolve;
        }),
      finish: async () => ({ name: 'slow', size: 0, async *read() {} }),
      abort: async () => {},
    });
    const preparation = start({ createSpool: slow });
    let held: Promise<void> | undefined;
    let written = 0;
    for (const chunk of chunks(message(2_000_000), 16_384)) {
      held = preparation.write(chunk);
      written += chunk.length;
      if (held !== undefined) break;
    }
    expect(written).toBeLessThan(256 * 1024 + 2 * 16_384);
    let through = false;
    void held!.then(() => {
      through = true;
    });
    for (let i = 0; i < 5; i++) await turn();
    expect({ waiting, through }).toEqual({ waiting: 1, through: false });
    while (!through) {
      release();
      await turn();
    }
  });

  test('written chunks are released: of 2000 chunks hardly one is alive', async () => {
    const sink = async (): Promise<SpoolWriter> => ({
      write: () => turn(),
      finish: async () => ({ name: 'none', size: 0, async *read() {} }),
      abort: async () => {},
    });
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const preparation = start({ createSpool: sink });
    await preparation.write(Buffer.from(HEADER));
    const given: WeakRef<Buffer>[] = [];
    for (let i = 0; i < 2000; i++) {
      const chunk = Buffer.alloc(16_384, LINE);
      given.push(new WeakRef(chunk));
      await preparation.write(chunk);
    }
    await turn();
    collectGarbage();
    expect(given.filter((chunk) => chunk.deref() !== undefined).length).toBeLessThan(10);
    expect((await preparation.finish()).content.kind).toBe('spooled');
  });
});

describe('after a refusal nothing is left on disk', () => {
  test.each([
    ['a NUL far behind', { tail: '\0' }, '550 5.6.11'],
    ['too large', { options: { maxMessageSize: 500_000 } }, '552 5.3.4'],
    ['a signer that fails', { options: { signer: { sign: () => Promise.reject(new Error('key')) } } }, 'error: key'],
    ['a signer that refuses', { options: { signer: signerWith([], 'refuse') } }, '550 5.7.20'],
  ])('%s', async (_, { tail = '', options = {} }: { tail?: string; options?: Partial<PreparationOptions> }, expected) => {
    const spools = new MemorySpools();
    const bytes = Buffer.concat([message(600_000), Buffer.from(tail)]);
    expect(await refusalOf(prepare(chunks(bytes, 16_384), { spools, options }))).toBe(expected);
    expect(spools.open.size).toBe(0);
  });

  test('nor after the client went away', async () => {
    const spools = new MemorySpools();
    const preparation = start({ createSpool: spools.create });
    for (const chunk of chunks(message(600_000), 16_384)) void preparation.write(chunk);
    await preparation.abort();
    expect(spools.open.size).toBe(0);
    await expect(preparation.finish()).rejects.toThrow('aborted');
  });

  test('nor after the caller discards what the queue did not take; abort then does nothing', async () => {
    const spools = new MemorySpools();
    const preparation = start({ createSpool: spools.create });
    for (const chunk of chunks(message(600_000), 16_384)) await preparation.write(chunk);
    const { content } = await preparation.finish();
    await preparation.abort();
    expect(spools.open.size).toBe(1);
    await discard(content);
    expect(spools.open.size).toBe(0);
  });
});

describe('a spool that fails is our fault', () => {
  const failing = (where: 'create' | 'write' | 'finish') => async (): Promise<SpoolWriter> => {
    if (where === 'create') throw new Error('ENOSPC at create');
    return {
      write: async () => {
        if (where === 'write') throw new Error('ENOSPC at write');
      },
      finish: () => Promise.reject(new Error('ENOSPC at finish')),
      abort: async () => {},
    };
  };
  test.each(['create', 'write', 'finish'] as const)('at %s: reported by finish, never by write', async (where) => {
    const work = prepare(chunks(message(900_000), 16_384), { options: { createSpool: failing(where) } });
    expect(await refusalOf(work)).toBe(`error: ENOSPC at ${where}`);
  });
});
