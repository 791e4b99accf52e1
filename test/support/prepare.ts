/** Runs preparation by itself, with real keys and a spool in memory. */

import {
  createPreparation,
  type PreparationOptions,
  type PreparationRequest,
  type Prepared,
} from '../../src/preparation/preparation.ts';
import { createSigner, type Signer } from '../../src/signing/signing.ts';
import type { DkimKey, Spool, SpoolWriter } from '../../src/store/store.ts';

export const NOW = Date.UTC(2026, 10, 21, 10, 0, 0);
export const HOSTNAME = 'relay.test';

export function signerWith(keys: readonly DkimKey[], noKey: 'send' | 'warn' | 'refuse' = 'send'): Signer {
  return createSigner({ operation: { dkimKeys: async () => keys }, noKey, warn: () => {} });
}

/** Keeps what is spooled, and whether it was removed. */
export class MemorySpools {
  readonly open = new Set<MemorySpool>();
  readonly create = async (): Promise<SpoolWriter> => {
    const spool = new MemorySpool(this.open);
    this.open.add(spool);
    return spool;
  };
}

class MemorySpool implements SpoolWriter {
  readonly #chunks: Buffer[] = [];
  readonly #all: Set<MemorySpool>;
  constructor(all: Set<MemorySpool>) {
    this.#all = all;
  }
  async write(chunk: Uint8Array): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#chunks.push(Buffer.from(chunk));
  }
  async finish(): Promise<Spool> {
    const bytes = Buffer.concat(this.#chunks);
    return {
      name: 'memory',
      size: bytes.length,
      async *read() {
        yield bytes;
      },
    };
  }
  async abort(): Promise<void> {
    this.#all.delete(this);
  }
}

export type PrepareSetup = {
  readonly options?: Partial<PreparationOptions>;
  readonly request?: Partial<PreparationRequest>;
  readonly spools?: MemorySpools;
};

/** Everything through `write` in the pieces given, then `finish`. */
export async function prepare(pieces: readonly Buffer[], { options, request, spools = new MemorySpools() }: PrepareSetup = {}) {
  const preparation = createPreparation({
    hostname: HOSTNAME,
    maxMessageSize: 50 * 1024 * 1024,
    maxHeaderSize: 256 * 1024,
    bareNewlines: 'normalize',
    createSpool: spools.create,
    signer: signerWith([]),
    ...options,
  }).start({
    queueId: '0123456789abc',
    now: NOW,
    kind: 'submission',
    envelope: { reversePath: 'ann@sender.test', recipients: [{ address: 'bob@example.org' }], body: '8BITMIME', smtpUtf8: false },
    userToken: 'token',
    tls: { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
    ...request,
  });
  for (const piece of pieces) await preparation.write(piece);
  const prepared = await preparation.finish();
  return { prepared, bytes: await bytesOf(prepared) };
}

export async function bytesOf({ content }: Prepared): Promise<Buffer> {
  if (content.kind === 'inline') return Buffer.from(content.bytes);
  const parts: Uint8Array[] = [content.prefix];
  for await (const part of content.spool.read()) parts.push(part);
  return Buffer.concat(parts);
}

/** `code status` of the refusal, or what else was thrown. */
export async function refusalOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'accepted',
    (error: { reply?: { code: number; status: string }; message: string }) =>
      error.reply === undefined ? `error: ${error.message}` : `${error.reply.code} ${error.reply.status}`,
  );
}
