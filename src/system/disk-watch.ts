/** Reads the free space of a file system at intervals, so that accepting a message needs no system call for it. */
import { statfs } from 'node:fs/promises';
import { SECOND } from './clock.ts';

export type DiskWatch = {
  /** Bytes that an unprivileged process may still write; undefined if the file system does not tell. */
  free(): number | undefined;
  close(): void;
};

/** @param interval milliseconds between two reads: short enough that a busy relay cannot fill the disk in between. */
export async function startDiskWatch(dir: string, interval = SECOND): Promise<DiskWatch> {
  let free: number | undefined;
  const look = async () => {
    const { bavail, bsize } = await statfs(dir);
    free = bavail * bsize;
  };
  await look().catch(() => undefined);
  const timer = setInterval(() => {
    look().catch(() => {
      free = undefined; // without an answer, only failing writes show that the disk is full
    });
  }, interval).unref();
  return { free: () => free, close: () => clearInterval(timer) };
}
