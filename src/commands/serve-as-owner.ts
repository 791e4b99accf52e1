/**
 * `serve`, begun by root. A process that changes its user loses the right to open ports below 1024, so another program makes the change and
 * keeps this one right: util-linux's setpriv. What runs as root then only waits, and hands signals on.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { Config } from '../config/config.ts';
import type { DataOwner } from '../store/store.ts';

const RIGHT = '-all,+net_bind_service';

/** Ports below this number need a right: 1024, unless this machine or container says otherwise. ip(7), `ip_unprivileged_port_start`. */
function firstFreePort(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
  } catch {
    return 1024;
  }
}

export function needsLowPorts({ listen }: Config): boolean {
  const first = firstFreePort();
  return Object.values(listen).some((places) => places.some(({ port }) => port !== 0 && port < first));
}

/**
 * Runs `smarthost serve` as the owner of the data until it ends.
 * @param words after `serve`. @param stopped resolves with the signal that ends it. @returns its exit code; undefined: there is no setpriv.
 */
export async function serveAsOwner(
  { uid, gid, user: name }: DataOwner,
  words: readonly string[],
  stopped: Promise<NodeJS.Signals>,
): Promise<number | undefined> {
  const rights = [`--inh-caps=${RIGHT}`, `--ambient-caps=${RIGHT}`, `--bounding-set=${RIGHT}`, '--no-new-privs'];
  const groups = name === String(uid) ? `--groups=${gid}` : '--init-groups'; // an account without a name has no others
  const user = [`--reuid=${uid}`, `--regid=${gid}`, groups, '--pdeathsig=TERM'];
  const command = [process.execPath, ...process.execArgv, process.argv[1]!, 'serve', ...words];
  const child = spawn('setpriv', [...user, ...rights, '--', ...command], { stdio: 'inherit' });
  const handOn = (signal: NodeJS.Signals) => void child.kill(signal);
  void stopped.then(handOn);
  process.on('SIGHUP', handOn);
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return code ?? 128 + constants.signals[signal!];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  } finally {
    process.off('SIGHUP', handOn);
  }
}
