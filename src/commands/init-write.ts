/** Writes the configuration for `init`. Root owns the file, and the user that owns the data may read it. */
import { randomBytes } from 'node:crypto';
import { constants, existsSync, type Stats } from 'node:fs';
import { access, lstat, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { DataOwner } from '../store/store.ts';
import { CommandError, UsageError } from './errors.ts';
import type { Io } from './io.ts';

export const SYSTEM_DIR = '/etc/smarthost';
const NAME = 'smarthost.yaml';
const UNIT = '/etc/systemd/system/smarthost.service';

/** The file that `--config` or SMARTHOST_CONFIG names, as in every other command; else smarthost.yaml in a folder where commands find it. */
export async function chooseFile(io: Io, { dir, config }: { dir?: string; config?: string }): Promise<string> {
  if (config !== undefined && dir !== undefined) throw new UsageError('--dir or --config, not both');
  const named = config ?? (dir === undefined ? namedByEnvironment(io) : undefined);
  return named === undefined ? join(await chooseDir(io, dir), NAME) : resolve(io.cwd, named);
}

/** An empty variable counts as missing. */
function namedByEnvironment({ env }: Io): string | undefined {
  return env['SMARTHOST_CONFIG'] === '' ? undefined : env['SMARTHOST_CONFIG'];
}

async function chooseDir(io: Io, dir: string | undefined): Promise<string> {
  if (dir !== undefined) return resolve(io.cwd, dir);
  const exists = await stat(SYSTEM_DIR).catch(() => undefined);
  const writable = await access(exists ? SYSTEM_DIR : dirname(SYSTEM_DIR), constants.W_OK).then(
    () => true,
    () => false,
  );
  return writable ? SYSTEM_DIR : io.cwd;
}

/**
 * Runs as root, before the process becomes the owner of the data, who may have no right to write there.
 * @param owner the user who will read the file, if it is not the user who writes it.
 * @returns a function for a later failure: it removes the file again and rejects with that error. A replaced file does not come back.
 */
export async function writeConfiguration(
  file: string,
  text: string,
  owner: DataOwner | undefined,
): Promise<(error: Error) => Promise<never>> {
  const dir = dirname(file);
  const fresh = (await lstat(file).catch(() => undefined)) === undefined;
  let written: Stats;
  try {
    const made = await mkdir(dir, { recursive: true });
    if (owner !== undefined && (made !== undefined || dir === SYSTEM_DIR)) await handOverFolder(dir, owner);
    written = await replaceFile(file, text, owner);
  } catch (cause) {
    throw new CommandError(`${file} cannot be written (${(cause as NodeJS.ErrnoException).code}).`, { cause });
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
    throw new CommandError(`${error.message}\n${file} is written, keys are not: when that is put right, run init with --force.`, {
      cause: error,
    });
  };
}

/** Commands as they must be typed: with `--config` if the file is not found without it, and with the service's command if there is one. */
export function nextCommands(io: Io, file: string): { readonly start: string; command(words: string): string } {
  const found = [namedByEnvironment(io) ?? NAME, join(SYSTEM_DIR, NAME)].map((path) => resolve(io.cwd, path));
  const command = (words: string) => `smarthost ${words}${found.includes(file) ? '' : ` --config ${file}`}`;
  return {
    command,
    start: file === join(SYSTEM_DIR, NAME) && existsSync(UNIT) ? 'systemctl enable --now smarthost' : command('serve'),
  };
}

/**
 * Writes a new file under another name and renames it. So no link is followed, whoever owns the folder, and no reader sees half a file.
 * @returns facts of the written file.
 */
async function replaceFile(file: string, text: string, owner: DataOwner | undefined): Promise<Stats> {
  const partial = `${file}.${randomBytes(8).toString('hex')}`;
  const handle = await open(partial, 'wx', 0o640);
  try {
    await handle.writeFile(text);
    if (owner !== undefined) {
      await handle.chown(0, owner.gid);
      await handle.chmod(0o640);
    }
    await handle.sync();
    await rename(partial, file);
    return await handle.stat();
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  } finally {
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

/** Lines for the person: where file and keys are, who owns them, and which rights are wrong. */
export async function describeOwners(file: string, dataDir: string, owner: DataOwner | undefined): Promise<readonly string[]> {
  if (process.getuid?.() === 0)
    return [
      `Wrote ${file}; keys are in ${dataDir}. Both belong to root, so the relay will run as root. To give it a user of its own:`,
      `  useradd --system --user-group smarthost; chown -R smarthost: ${dataDir}; chgrp smarthost ${file}`,
    ];
  if (owner === undefined) return [`Wrote ${file}; keys are in ${dataDir}.`];
  const whose = `Wrote ${file}, root's and readable by the group ${owner.group}; keys are in ${dataDir}, ${owner.user}'s.`;
  const closed = await firstClosed(dirname(file));
  return closed === undefined
    ? [whose]
    : [
        whose,
        `The user ${owner.user} may not enter ${closed}, and will not find it there: chgrp ${owner.group} ${closed}; chmod g+x ${closed}`,
      ];
}

/** @returns the first folder on the way that the process may not enter. It runs as the owner of the data by now. */
async function firstClosed(dir: string): Promise<string | undefined> {
  const above = dirname(dir);
  const closed = above === dir ? undefined : await firstClosed(above);
  if (closed !== undefined) return closed;
  return access(dir, constants.X_OK).then(
    () => undefined,
    () => dir,
  );
}
