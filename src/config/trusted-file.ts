/**
 * Whose word a configuration is. It names the folder that holds keys and mail, so that root must not take one that somebody else
 * left where root happens to stand.
 */
import type { Stats } from 'node:fs';
import { lstat, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const OTHERS_MAY_WRITE = 0o022;
const STICKY = 0o1000;

/**
 * True where root alone decides what the file says: root owns it, its folder and all folders above, and nobody else may write
 * there. A folder further up may be open to all where its entries belong to their owners alone (as /tmp). Links are not followed.
 * Rejects where there is no such file.
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
