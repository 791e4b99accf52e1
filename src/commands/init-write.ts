/** Where `init` writes the configuration, and what it says about it. */
import { constants, existsSync } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { SYSTEM_DIR } from '../setup/setup.ts';
import type { DataOwner } from '../store/store.ts';
import { UsageError } from './errors.ts';
import type { Io } from './io.ts';

/** Where the installed relay, and that in a container, has its data. */
export const SYSTEM_DATA = '/var/lib/smarthost';
const NAME = 'smarthost.yaml';
const UNIT = '/etc/systemd/system/smarthost.service';
/** sd_booted(3) */
const BOOTED = '/run/systemd/system';

/** The setting `dataDir` for a file that is written there. */
export function dataDirFor(file: string): string {
  return [SYSTEM_DIR, SYSTEM_DATA].includes(dirname(file)) ? SYSTEM_DATA : './data';
}

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

/** True for the configuration that the installed service reads, where systemd runs to start it: in most containers it does not. */
export function isOfService(file: string): boolean {
  return file === join(SYSTEM_DIR, NAME) && existsSync(UNIT) && existsSync(BOOTED);
}

/** Commands as they must be typed: with `--config` if the file is not found without it, and with the service's command if there is one. */
export function nextCommands(io: Io, file: string): { readonly start: string; command(words: string): string } {
  const found = [namedByEnvironment(io) ?? NAME, join(SYSTEM_DIR, NAME)].map((path) => resolve(io.cwd, path));
  const command = (words: string) => `smarthost ${words}${found.includes(file) ? '' : ` --config ${file}`}`;
  return {
    command,
    start: isOfService(file) ? 'systemctl enable --now smarthost' : command('serve'),
  };
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
