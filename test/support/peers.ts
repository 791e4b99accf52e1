/** Finds the real programs on this machine. A test that needs a missing one is skipped and named in the output, and fails in CI. */
import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Daemons lie in the sbin folders, which an ordinary PATH leaves out. */
export const SEARCH_PATH = [process.env['PATH'] ?? '', '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'].join(
  delimiter,
);

/** Servers that change their user (Postfix), bind port 53 or have a mount namespace of their own start as root only. */
export const isRoot = process.getuid?.() === 0;

/**
 * For `describe.skipIf(!requirePeer('postfix', hasCommand('postfix')))`.
 * @throws Error in CI when the peer is missing, so that nothing is skipped there by accident.
 */
export function requirePeer(name: string, present: boolean): boolean {
  if (!present && process.env['CI'] === 'true') throw new Error(`${name} is needed by this test and was not found`);
  return present;
}

/** True when every one of the commands is found. */
export function hasCommand(...names: readonly string[]): boolean {
  return names.every((name) => SEARCH_PATH.split(delimiter).some((folder) => isExecutable(join(folder, name))));
}

/** True when the command runs and ends with 0: for modules of Python and Perl. */
export function succeeds(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore', timeout: 20_000, env: { ...process.env, PATH: SEARCH_PATH } });
    return true;
  } catch {
    return false; // not installed, or without the module: both mean "not here"
  }
}

/** True where a process may have mounts of its own; some containers forbid it to root. */
export function hasMountNamespaces(): boolean {
  return isRoot && hasCommand('unshare', 'mount') && succeeds('unshare', ['--mount', 'true']);
}

/** True where a process may have a network of its own, with every port free. */
export function hasNetworkNamespaces(): boolean {
  return isRoot && hasCommand('unshare', 'ip') && succeeds('unshare', ['--net', 'true']);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
