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
): { command: string; args: string[] } {
  const file = join(folder, 'resolv.conf');
  writeFileSync(file, `nameserver ${nameserver}\noptions timeout:1 attempts:1\n`);
  const script = 'mount --bind "$0" "$(readlink -f /etc/resolv.conf)" && exec "$@"';
  return { command: 'unshare', args: ['--mount', '--propagation', 'private', 'sh', '-c', script, file, command, ...args] };
}
