/** A Debian root booted with its own systemd, in namespaces of its own: units run with everything that they ask for. */
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DebianRoot } from './debian-root.ts';
import { hasMountNamespaces } from './peers.ts';
import { type Result, run, startProgram, until } from './program.ts';

const MINUTE = 60_000;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export type BootedRoot = {
  /** The id of its first process, as this machine sees it. */
  readonly init: string;
  /** Runs a shell command in it as root. Never rejects for its exit code. */
  run(command: string, options?: { env?: Readonly<Record<string, string>>; timeout?: number }): Promise<Result>;
  close(): Promise<void>;
};

/** Where control groups of version 2 are, alone or beside those of version 1. */
const controlGroups = () => ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) => existsSync(join(path, 'cgroup.procs')));

export const canBoot = (): boolean => hasMountNamespaces() && controlGroups() !== undefined;

const BOOT = `
  root=$1; group=$2
  mkdir "$group"; echo $$ >"$group/cgroup.procs"
  exec unshare --mount --pid --fork --cgroup --uts --ipc --net --kill-child bash -ec '
    root=$1
    mount --make-rprivate /
    mount --bind "$root" "$root"
    ip link set lo up
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for device in null zero full random urandom tty; do
      touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"
    done
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    mount -t tmpfs tmpfs "$root/dev/shm"
    mount -t tmpfs tmpfs "$root/run"
    cd "$root"; mkdir -p .before; pivot_root . .before
    exec chroot . sh -c "umount -l /.before; rmdir /.before; exec env -i container=test PATH=${PATH} /lib/systemd/systemd --log-target=console"
  ' boot "$root"`;

export async function bootRoot(root: DebianRoot): Promise<BootedRoot> {
  const group = join(controlGroups()!, `smarthost-test-${process.pid}-${Date.now()}`);
  const program = startProgram({ command: 'bash', args: ['-ec', BOOT, 'boot', root.path, group] });
  const init = await until('the first process of the booted root', () => childOf(program.pid), { context: program.output });
  const enter = ['-t', init, '-m', '-p', '-u', '-i', '-n', '-C', 'env', '-i', 'HOME=/root', `PATH=${PATH}`];
  const booted: BootedRoot = {
    init,
    run: (command, { env = {}, timeout = 10 * MINUTE } = {}) =>
      run('nsenter', [...enter, ...Object.entries(env).map(([name, value]) => `${name}=${value}`), 'bash', '-ec', command], {
        timeout,
      }),
    async close() {
      program.signal('SIGKILL'); // and with it, by --kill-child, all that runs in there
      await program.close();
      await until('the end of what was booted', () => removeGroups(group));
    },
  };
  await until(
    'systemd',
    async () => /^(running|degraded)/.test((await booted.run('systemctl is-system-running || true')).stdout),
    {
      deadline: 4 * MINUTE,
      context: program.output,
    },
  );
  return booted;
}

function childOf(pid: number): string | undefined {
  try {
    const child = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0];
    return child && readFileSync(`/proc/${child}/comm`, 'utf8') === 'systemd\n' ? child : undefined;
  } catch {
    return undefined; // it has not started, or has ended: the deadline tells
  }
}

/** True when all are gone; a group with processes in it stays for a moment. */
function removeGroups(path: string): boolean {
  try {
    for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isDirectory()) removeGroups(join(path, entry.name));
    rmdirSync(path);
  } catch {
    return !existsSync(path);
  }
  return true;
}
