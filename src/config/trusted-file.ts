/**
 * Decides whether root may use a configuration file. The file names the folder with keys and mail, so root must not use a file that
 * another user has put into root's current folder.
 */
import type { Stats } from 'node:fs';
import { lstat, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const OTHERS_MAY_WRITE = 0o022;
const STICKY = 0o1000;

/**
 * @returns true if only root can change the file: root owns it, its folder and all folders above, and no other user may write there.
 * A folder further up may be writable for all if it has the sticky bit, as /tmp has. Links are not followed.
 * Rejects if the file does not exist.
 */
export async function isRootsAlone(path: string): Promise<boolean> {
  const file = await lstat(path);
  if (!file.isFile() || !isRoots(file)) return false;
  const folder = await realpath(dirname(path));
  if (!isRoots(await stat(folder))) return false;
  for (let above = dirname(folder), below = folder; above !== below; [below, above] = [above, dirname(above)])
    if (!isRoots(await stat(above), STICKY)) return false;
  return true;
}

function isRoots({ uid, mode }: Stats, exempt = 0): boolean {
  return uid === 0 && ((mode & OTHERS_MAY_WRITE) === 0 || (mode & exempt) !== 0);
}
