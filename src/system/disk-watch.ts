/** Looks at the free space of a file system now and then, so that nobody has to ask the kernel for each message. */
import { statfs } from 'node:fs/promises';
import { SECOND } from './clock.ts';

export type DiskWatch = {
  /** Bytes that an unprivileged process may still write; undefined where the file system does not say. */
  free(): number | undefined;
  close(): void;
};

/** @param interval milliseconds between looks: short enough that a busy relay does not fill a disk between two of them. */
export async function startDiskWatch(dir: string, interval = SECOND): Promise<DiskWatch> {
  let free: number | undefined;
  const look = async () => {
    const { bavail, bsize } = await statfs(dir);
    free = bavail * bsize;
  };
  await look().catch(() => undefined);
  const timer = setInterval(() => {
    look().catch(() => {
      free = undefined; // a file system that cannot be asked is judged by the writes that fail
    });
  }, interval).unref();
  return { free: () => free, close: () => clearInterval(timer) };
}
