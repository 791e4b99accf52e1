/** Gives one program its own view of the machine: a resolv.conf that names the test's DNS server and nothing else. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * For programs that ask the system's resolver and have no setting for it, so that no test leaves the machine.
 * The process keeps its id: `unshare` and `sh` are replaced by the program.
 * @param nameserver an address; the port is 53, resolv.conf knows no other
 * @param folder a temporary folder for the file
 */
export function withNameserver(
  nameserver: string,
  folder: string,
  command: string,
  args: readonly string[],
  options = '',
): { command: string; args: string[] } {
  const file = join(folder, 'resolv.conf');
  writeFileSync(file, `nameserver ${nameserver}\noptions timeout:1 attempts:1 ${options}\n`);
  const script = 'mount --bind "$0" "$(readlink -f /etc/resolv.conf)" && exec "$@"';
  return { command: 'unshare', args: ['--mount', '--propagation', 'private', 'sh', '-c', script, file, command, ...args] };
}

/**
 * A command to run a program under, with a folder on a small disk of its own that holds what the folder holds now.
 * Nobody outside sees that disk; `insideOf` enters it.
 */
export function onSmallDisk(folder: string, size: string): string[] {
  const script = [
    'mkdir -p "$0.disk" && mount -t tmpfs -o "size=$1" tmpfs "$0.disk" && cp -a "$0/." "$0.disk/"',
    'mount --bind "$0.disk" "$0" && umount "$0.disk" && rmdir "$0.disk" && shift && exec "$@"',
  ].join(' && ');
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, folder, size];
}

/** A command to run a program under, with the mounts of a process. */
export function insideOf(pid: number): string[] {
  return ['nsenter', '--target', String(pid), '--mount'];
}
