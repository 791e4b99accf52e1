/** Writes the first configuration. Root owns the file, and the user that owns the data may read it. */
import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { link, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ControlError } from '../control/control.ts';
import type { DataOwner } from '../store/store.ts';

/** Where the installed relay has its configuration. */
export const SYSTEM_DIR = '/etc/smarthost';

/**
 * Runs as root, before the process becomes the owner of the data, who may have no right to write there.
 * @param replace false: an existing file stays, and the function rejects.
 * @param owner the user who will read the file, if it is not the user who writes it.
 * @returns a function for a later failure: it removes the file again and rejects with that error. A replaced file does not come back.
 */
export async function writeConfiguration(
  file: string,
  text: string,
  { owner, replace }: { readonly owner: DataOwner | undefined; readonly replace: boolean },
): Promise<(error: Error) => Promise<never>> {
  const dir = dirname(file);
  const fresh = (await lstat(file).catch(() => undefined)) === undefined;
  let written: Stats;
  try {
    const made = await mkdir(dir, { recursive: true });
    if (owner !== undefined && (made !== undefined || dir === SYSTEM_DIR)) await handOverFolder(dir, owner);
    written = await putFile(file, text, { owner, replace });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST')
      throw new ControlError('exists', 'configuration', `${file} exists already, and is not replaced.`, { cause });
    throw new ControlError('conflict', 'configuration', `${file} cannot be written (${(cause as NodeJS.ErrnoException).code}).`, {
      cause,
    });
  }
  return async (error) => {
    const gone =
      fresh &&
      (await isSame(file, written)) &&
      (await rm(file).then(
        () => true,
        () => false,
      )); // the owner of the data may have no right to do so
    if (gone) throw error;
    throw new ControlError(
      'conflict',
      'configuration',
      `${error.message}\n${file} is written, keys are not: when that is put right, run init with --force.`,
      {
        cause: error,
      },
    );
  };
}

/**
 * Writes a new file under another name and renames it. So no link is followed, whoever owns the folder, and no reader sees half a file.
 * @returns facts of the written file.
 */
async function putFile(
  file: string,
  text: string,
  { owner, replace }: { readonly owner: DataOwner | undefined; readonly replace: boolean },
): Promise<Stats> {
  const partial = `${file}.${randomBytes(8).toString('hex')}`;
  const handle = await open(partial, 'wx', 0o640);
  try {
    await handle.writeFile(text);
    if (owner !== undefined) {
      await handle.chown(0, owner.gid);
      await handle.chmod(0o640);
    }
    await handle.sync();
    const facts = await handle.stat();
    if (replace) await rename(partial, file);
    else await link(partial, file); // fails if there is one
    return facts;
  } finally {
    await rm(partial, { force: true });
    await handle.close();
  }
}

/** Gives the folder to root, and lets the owner's group enter it. @throws if a link is in its place */
async function handOverFolder(dir: string, { gid }: DataOwner): Promise<void> {
  const handle = await open(dir, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    await handle.chown(0, gid);
    await handle.chmod(0o750);
  } finally {
    await handle.close();
  }
}

async function isSame(file: string, { dev, ino }: Stats): Promise<boolean> {
  const found = await lstat(file).catch(() => undefined);
  return found?.dev === dev && found.ino === ino;
}
