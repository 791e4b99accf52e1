/**
 * Large bodies. Each body is a file, which is written while the body arrives, so that it is never whole in memory.
 * `finish` syncs data and name: fdatasync of the file, then one sync of the directory for all bodies that finish at that time.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Spool, SpoolWriter } from '../message-store.ts';

/** Collects small chunks. Each writer has two buffers of this size: one is filled while the other is written. */
const BUFFER = 128 * 1024;
const READ = 128 * 1024;
/** A large body is synced in between, so that its `finish` does not delay all others. */
const SYNC_EVERY = 16 * 1024 * 1024;
/** Limits the syncs at one time, because signing and password hashes use the same threads. */
const PARALLEL_SYNCS = 2;

/** `verify` is the CRC-32 of the whole body. A reader checks it before it returns the last chunk. */
type SpoolFile = Spool & { readonly verify?: number };

/** 128 random bits, so that two processes never make the same name. */
export const newSpoolName = (): string => randomBytes(16).toString('hex');
/** True for a name of `newSpoolName`. Only such names become paths, and only such files are removed. */
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

  /** Makes a Spool from the row of a file. */
  read(row: { name: string; size: number; verify: number | null }): SpoolFile {
    const path = join(this.path, row.name);
    const verify = row.verify === null ? {} : { verify: row.verify };
    return { name: row.name, size: row.size, ...verify, read: (memory) => readSpool({ path, ...row, memory }) };
  }

  /** Removes only files with a spool name, because the row may come from a hostile backup. */
  async remove(names: readonly string[]): Promise<void> {
    for (const name of names.filter(isSpoolName)) await unlink(join(this.path, name)).catch(() => {}); // the next start removes the rest
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

  /** A running sync may have begun before the new name existed. So all that come meanwhile share the next sync. */
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
    await file?.close().catch(() => {}); // the file is removed anyway
    await this.#directory.remove([this.#name]);
  }

  /** Waits for the buffer that is being written, then writes the full one and fills the other. */
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

  /** Never rejects. The next `write` or `finish` rejects instead. */
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

/** @throws before the last chunk if the file differs from what was written, so that a wrong body is never sent completely. */
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
