/**
 * Large bodies: files of their own, written while they arrive and never whole in memory.
 * `finish` promises data and name: fdatasync of the file, then one sync of the directory for all that finish at that time.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Spool, SpoolWriter } from '../message-store.ts';

/** Small chunks are gathered: two buffers of this size a writer, one filling while the other is written. */
const BUFFER = 128 * 1024;
const READ = 128 * 1024;
/** Synced in between, so that `finish` of a large one does not hold up everybody's. */
const SYNC_EVERY = 16 * 1024 * 1024;
/** The threads that sync are those that sign and verify passwords. */
const PARALLEL_SYNCS = 2;

/** Carries the CRC-32 of the whole, which is checked before the last chunk is handed out. */
type SpoolFile = Spool & { readonly verify?: number };

/** 128 random bits: no two processes make the same name. */
export const newSpoolName = (): string => randomBytes(16).toString('hex');
/** True for what `newSpoolName` makes: no other file is removed, and no path is made of another name. */
export const isSpoolName = (name: string): boolean => /^[0-9a-f]{32}$/.test(name);

export class SpoolDirectory {
  readonly path: string;
  #syncs = 0;
  readonly #waiting: (() => void)[] = [];
  #directorySync: Promise<void> | undefined;
  #nextDirectorySync: Promise<void> | undefined;

  constructor(path: string) {
    this.path = path;
  }

  async create(): Promise<SpoolWriter> {
    const name = newSpoolName();
    const file = await open(join(this.path, name), 'wx', 0o600);
    return new SpoolFileWriter(this, name, file);
  }

  /** What a row knows of a file becomes something to read. */
  read(row: { name: string; size: number; verify: number | null }): SpoolFile {
    const path = join(this.path, row.name);
    const verify = row.verify === null ? {} : { verify: row.verify };
    return { name: row.name, size: row.size, ...verify, read: (memory) => readSpool({ path, ...row, memory }) };
  }

  /** What no body is called is another file: a row may come from a backup that anybody made. */
  async remove(names: readonly string[]): Promise<void> {
    for (const name of names.filter(isSpoolName)) await unlink(join(this.path, name)).catch(() => {}); // the next start sweeps what stays
  }

  async syncFile(file: FileHandle): Promise<void> {
    if (this.#syncs >= PARALLEL_SYNCS) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#syncs++;
    try {
      await file.datasync();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#syncs--;
      else next();
    }
  }

  /** One that runs may have begun before our name was there: who comes meanwhile shares the next. */
  syncNames(): Promise<void> {
    if (this.#directorySync === undefined) {
      this.#directorySync = this.#syncDirectory().finally(() => {
        this.#directorySync = undefined;
      });
      return this.#directorySync;
    }
    this.#nextDirectorySync ??= this.#directorySync
      .catch(() => {})
      .then(() => {
        this.#nextDirectorySync = undefined;
        return this.syncNames();
      });
    return this.#nextDirectorySync;
  }

  async #syncDirectory(): Promise<void> {
    const directory = await open(this.path, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}

class SpoolFileWriter implements SpoolWriter {
  readonly #directory: SpoolDirectory;
  readonly #name: string;
  #file: FileHandle | undefined;
  #filling = Buffer.allocUnsafeSlow(BUFFER);
  #spare: Buffer<ArrayBuffer> | undefined;
  #filled = 0;
  #writing: Promise<void> | undefined;
  #failure: unknown;
  #size = 0;
  #unsynced = 0;
  #verify = 0;

  constructor(directory: SpoolDirectory, name: string, file: FileHandle) {
    this.#directory = directory;
    this.#name = name;
    this.#file = file;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#verify = crc32(chunk, this.#verify);
    this.#size += chunk.byteLength;
    for (let rest = chunk; rest.byteLength > 0; ) {
      const part = rest.subarray(0, BUFFER - this.#filled);
      this.#filling.set(part, this.#filled);
      this.#filled += part.byteLength;
      rest = rest.subarray(part.byteLength);
      if (this.#filled === BUFFER) await this.#swap();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async finish(): Promise<Spool> {
    try {
      await this.#swap();
      await this.#writing;
      if (this.#failure !== undefined) throw this.#failure;
      const file = this.#file;
      if (file === undefined) throw new Error('This spool file was finished or given up');
      await this.#directory.syncFile(file);
      this.#file = undefined;
      await file.close();
      await this.#directory.syncNames();
    } catch (error) {
      await this.abort();
      throw error;
    }
    return this.#directory.read({ name: this.#name, size: this.#size, verify: this.#verify });
  }

  async abort(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#failure ??= new Error('This spool file was given up');
    await this.#writing;
    await file?.close().catch(() => {}); // it goes anyway
    await this.#directory.remove([this.#name]);
  }

  /** Waits for the buffer that is being written, hands over the full one, and goes on with the other. */
  async #swap(): Promise<void> {
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure;
    const full = this.#filling;
    const length = this.#filled;
    this.#filling = this.#spare ?? Buffer.allocUnsafeSlow(BUFFER);
    this.#spare = full;
    this.#filled = 0;
    if (length > 0) this.#writing = this.#writeOut(full.subarray(0, length));
  }

  /** Never rejects: the next `write` or `finish` does. */
  async #writeOut(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.byteLength; ) {
        if (this.#file === undefined) return;
        done += (await this.#file.write(bytes, done)).bytesWritten;
      }
      this.#unsynced += bytes.byteLength;
      if (this.#unsynced < SYNC_EVERY || this.#file === undefined) return;
      this.#unsynced = 0;
      await this.#directory.syncFile(this.#file);
    } catch (error) {
      this.#failure ??= error;
    }
  }
}

type Reading = { path: string; size: number; verify: number | null; memory: Uint8Array | undefined };

/** @throws before the last chunk is handed out where the file is not what was written, so that it is never sent as a whole. */
async function* readSpool({ path, size, verify, memory }: Reading): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'r');
  try {
    let found = 0;
    let length = 0;
    while (length < size) {
      const buffer = memory ?? Buffer.allocUnsafeSlow(Math.min(READ, size - length));
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.byteLength, size - length), length);
      const chunk = buffer.subarray(0, bytesRead);
      length += bytesRead;
      if (verify !== null) found = crc32(chunk, found);
      if (bytesRead === 0 || (length === size && verify !== null && found !== verify))
        throw new Error(`${path} is damaged: it is not what was stored`);
      yield chunk;
    }
  } finally {
    await file.close();
  }
}
