/**
 * Large bodies in rows of 256 KiB, written while they arrive. No chunk is waited for: it is committed without the standby. The commit of
 * the message lies behind them in the log of the database, so that its wait covers them. That transaction counts them.
 */
import { crc32 } from 'node:zlib';
import type { Spool, SpoolWriter } from '../message-store.ts';
import type { Requests } from '../sqlite/requests.ts';
import { newSpoolName } from '../sqlite/spool.ts';
import type { DatabaseSession } from './database-session.ts';

export const CHUNK = 256 * 1024;

/** Requests to the thread of the store that only this store has. */
export type ChunkRequest =
  | readonly [
      name: 'writeChunk',
      argument: { readonly spool: string; readonly seq: number; readonly bytes: Uint8Array<ArrayBuffer> },
    ]
  | readonly [name: 'readChunk', argument: { readonly spool: string; readonly seq: number }]
  | readonly [name: 'dropChunks', argument: string];
type ChunkCall = {
  (
    name: 'writeChunk',
    argument: { spool: string; seq: number; bytes: Uint8Array<ArrayBuffer> },
    options: { transfer: ArrayBuffer },
  ): Promise<void>;
  (name: 'readChunk', argument: { spool: string; seq: number }): Promise<Uint8Array<ArrayBuffer> | undefined>;
  (name: 'dropChunks', argument: string): Promise<void>;
};

/** Runs in the thread of the store. Each statement may run twice. */
export async function runChunk(
  session: DatabaseSession,
  [name, argument]: ChunkRequest,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  switch (name) {
    case 'writeChunk': {
      const { spool, seq, bytes } = argument;
      await session.ask('INSERT INTO chunks (spool, seq, bytes) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', [spool, seq, bytes]);
      return undefined;
    }
    case 'readChunk': {
      const sql = 'SELECT bytes FROM chunks WHERE spool = $1 AND seq = $2';
      return (await session.ask<{ bytes: Uint8Array<ArrayBuffer> }>(sql, [argument.spool, argument.seq])).rows[0]?.bytes;
    }
    case 'dropChunks':
      await session.ask('DELETE FROM chunks k WHERE k.spool = $1 AND NOT EXISTS (SELECT 1 FROM open o WHERE o.spool = $1)', [
        argument,
      ]);
      return undefined;
  }
}

export const isChunkRequest = (name: string) => name === 'writeChunk' || name === 'readChunk' || name === 'dropChunks';

/** As `SpoolDirectory` for a store in files. */
export class ChunkSpool {
  readonly #call: ChunkCall;

  constructor(client: Requests) {
    // The thread of this store takes more requests than that of a store in files.
    this.#call = ((...request: Parameters<Requests['call']>) => client.call(...request)) as unknown as ChunkCall;
  }

  async create(): Promise<SpoolWriter> {
    return new ChunkWriter(this.#call, this, newSpoolName());
  }

  read(row: { name: string; size: number; verify: number | null }): Spool & { readonly verify?: number } {
    const verify = row.verify === null ? {} : { verify: row.verify };
    return { name: row.name, size: row.size, ...verify, read: (memory) => readChunks(this.#call, row, memory) };
  }
}

class ChunkWriter implements SpoolWriter {
  readonly #call: ChunkCall;
  readonly #spool: ChunkSpool;
  readonly #name: string;
  #filling = new Uint8Array(CHUNK);
  #filled = 0;
  #seq = 0;
  #size = 0;
  #verify = 0;
  #writing: Promise<void> | undefined;
  #failure: unknown;
  #finished = false;

  constructor(call: ChunkCall, spool: ChunkSpool, name: string) {
    this.#call = call;
    this.#spool = spool;
    this.#name = name;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#verify = crc32(chunk, this.#verify);
    this.#size += chunk.byteLength;
    for (let rest = chunk; rest.byteLength > 0; ) {
      const part = rest.subarray(0, CHUNK - this.#filled);
      this.#filling.set(part, this.#filled);
      this.#filled += part.byteLength;
      rest = rest.subarray(part.byteLength);
      if (this.#filled === CHUNK) await this.#send();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async finish(): Promise<Spool> {
    try {
      if (this.#filled > 0) await this.#send();
      await this.#writing;
      if (this.#finished) throw new Error('This body was finished before');
      if (this.#failure !== undefined) throw this.#failure;
      this.#finished = true;
    } catch (error) {
      await this.abort();
      throw error;
    }
    return this.#spool.read({ name: this.#name, size: this.#size, verify: this.#verify });
  }

  async abort(): Promise<void> {
    this.#failure ??= new Error('This body was given up');
    await this.#writing;
    await this.#call('dropChunks', this.#name).catch(() => {}); // what is left is removed an hour later
  }

  /** Waits for the chunk before, so that at most one is on its way while the next one fills. */
  async #send(): Promise<void> {
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure;
    const bytes = this.#filling.slice(0, this.#filled);
    this.#filled = 0;
    this.#writing = this.#call('writeChunk', { spool: this.#name, seq: this.#seq++, bytes }, { transfer: bytes.buffer }).catch(
      (error) => {
        this.#failure ??= error;
      },
    );
  }
}

type Row = { readonly name: string; readonly size: number; readonly verify: number | null };

/** @throws before the last piece if the body differs from what was written, so that a wrong body is never sent completely. */
async function* readChunks(
  call: ChunkCall,
  { name, size, verify }: Row,
  memory: Uint8Array | undefined,
): AsyncGenerator<Uint8Array> {
  let found = 0;
  let length = 0;
  for (let seq = 0; length < size; seq++) {
    const chunk = await call('readChunk', { spool: name, seq });
    if (chunk !== undefined && verify !== null) found = crc32(chunk, found);
    length += chunk?.byteLength ?? 0;
    if (chunk === undefined || length > size || (length === size && verify !== null && found !== verify))
      throw new Error(`The body ${name} is damaged: it is not what was stored`);
    if (memory === undefined) yield chunk;
    else
      for (let at = 0; at < chunk.byteLength; at += memory.byteLength) {
        const part = chunk.subarray(at, at + memory.byteLength);
        memory.set(part);
        yield memory.subarray(0, part.byteLength);
      }
  }
}
