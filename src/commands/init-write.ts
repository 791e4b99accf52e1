/** Where `init` puts the configuration, and whose it is: root keeps it, the user that owns the data may read it. */
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

/** What `--config` names, or SMARTHOST_CONFIG, as in every other command; else smarthost.yaml where it will be found. */
export async function chooseFile(io: Io, { dir, config }: { dir?: string; config?: string }): Promise<string> {
  if (config !== undefined && dir !== undefined) throw new UsageError('--dir or --config, not both');
  const named = config ?? (dir === undefined ? namedByEnvironment(io) : undefined);
  return named === undefined ? join(await chooseDir(io, dir), NAME) : resolve(io.cwd, named);
}

/** An empty one names nothing. */
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
 * As root, before the owner of the data is taken: that one may not be allowed to write there, and need not be.
 * @param owner who will read it, where that is not the user who writes.
 * @returns what takes it away again when the rest fails, and rejects with what was said there. What it replaced stays replaced.
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
      )); // the owner of the data may not be allowed to
    if (gone) throw error;
    throw new CommandError(`${error.message}\n${file} is written, keys are not: when that is put right, run init with --force.`, {
      cause: error,
    });
  };
}

/** Commands as they must be typed: with the file where it is not found by itself, and by the service where there is one. */
export function nextCommands(io: Io, file: string): { readonly start: string; command(words: string): string } {
  const found = [namedByEnvironment(io) ?? NAME, join(SYSTEM_DIR, NAME)].map((path) => resolve(io.cwd, path));
  const command = (words: string) => `smarthost ${words}${found.includes(file) ? '' : ` --config ${file}`}`;
  return {
    command,
    start: file === join(SYSTEM_DIR, NAME) && existsSync(UNIT) ? 'systemctl enable --now smarthost' : command('serve'),
  };
}

/**
 * Under a name of its own first, then renamed: no link is followed, whoever owns the folder, and nobody reads half a file.
 * @returns what was written.
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

/** Root's, and the group of the owner may enter. A link in its place is refused. */
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

/** Who owns what, as the end of the sentence that says where it is; and what is not as it should be. */
export async function describeOwners(file: string, dataDir: string, owner: DataOwner | undefined): Promise<readonly string[]> {
  if (process.getuid?.() === 0)
    return [
      `Wrote ${file}; keys are in ${dataDir}. Both are root's, and so will be the relay that is started. For a user of its own:`,
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

/** Asked as the owner of the data, who was taken by now. */
async function firstClosed(dir: string): Promise<string | undefined> {
  const above = dirname(dir);
  const closed = above === dir ? undefined : await firstClosed(above);
  if (closed !== undefined) return closed;
  return access(dir, constants.X_OK).then(
    () => undefined,
    () => dir,
  );
}
