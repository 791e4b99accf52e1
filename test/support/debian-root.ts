/** A Debian system in a folder, made by mmdebstrap, as an operator or an image starts from. Packages come from the sources of this machine. */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { hasCommand, hasMountNamespaces, SEARCH_PATH } from './peers.ts';
import { mustRun, type Result, run } from './program.ts';

const MINUTE = 60_000;
const GIBIBYTE = 2 ** 30;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export type RunOptions = {
  readonly env?: Readonly<Record<string, string>>;
  /** False: a network of its own, with nothing but a loopback. Default: this machine's. */
  readonly network?: boolean;
  readonly input?: string;
  /** Milliseconds, then it is killed. */
  readonly timeout?: number;
};

export type DebianRoot = {
  readonly path: string;
  /** Runs a command in it as root, with /proc, /sys and /dev. Never rejects for its exit code. */
  run(command: readonly string[], options?: RunOptions): Promise<Result>;
  /** Copies a file or folder of this machine into it. */
  put(from: string, to: string): void;
  remove(): void;
};

export const hasDebianRoots = (): boolean => hasCommand('mmdebstrap', 'unshare', 'chroot') && hasMountNamespaces();

/** @param suite such as bookworm @param packages beside the smallest system that has apt */
export async function makeDebianRoot(suite: string, packages: readonly string[] = []): Promise<DebianRoot> {
  const path = join(temporaryFolder(), 'root');
  mkdirSync(path);
  const root = rootAt(path);
  const options = [...aptOptions(), 'APT::Install-Recommends "false"'].map((option) => `--aptopt=${option}`);
  await mustRun(
    'mmdebstrap',
    [
      '--variant=minbase',
      '--quiet',
      '--dpkgopt=force-unsafe-io',
      ...options,
      ...packages.map((name) => `--include=${name}`),
      suite,
      path,
    ],
    { timeout: 20 * MINUTE, env: { LC_ALL: 'C.UTF-8' } },
  ).catch((error: unknown) => {
    root.remove();
    throw error;
  });
  root.put('/etc/resolv.conf', '/etc/resolv.conf');
  if (existsSync(TRUSTED)) root.put(TRUSTED, AUTHORITIES);
  return root;
}

/** Copies the root: a copy takes seconds, a new root half a minute. */
export function copyRoot(root: DebianRoot): DebianRoot {
  const path = join(temporaryFolder(), 'root');
  execFileSync('cp', ['-a', root.path, path]);
  return rootAt(path);
}

/** In memory if there is room, because dpkg syncs each of thousands of files. */
function temporaryFolder(): string {
  const memory = '/dev/shm';
  const roomy = existsSync(memory) && statfsSync(memory).bavail * statfsSync(memory).bsize > 4 * GIBIBYTE;
  const folder = mkdtempSync(join(roomy ? memory : tmpdir(), 'smarthost-debian-'));
  chmodSync(folder, 0o755); // apt downloads as a user of its own
  return folder;
}

/** Copies this machine's settings for proxies, and for mirrors with old dates. */
function aptOptions(): readonly string[] {
  const dump = execFileSync('apt-config', ['dump'], { encoding: 'utf8' }).split('\n');
  return dump.filter((line) => /^Acquire::(Check-|https?::Proxy)\S* ".+";$/.test(line)).map((line) => line.slice(0, -1));
}

/** What this machine trusts, npm in the root trusts too; in a file that no package writes. */
const TRUSTED = '/etc/ssl/certs/ca-certificates.crt';
const AUTHORITIES = '/etc/authorities-of-this-machine.pem';

/** npm as this machine has set it up: below the project's own Node it would look for its settings elsewhere. */
function npmEnvironment(): Record<string, string> {
  const others = Object.entries(process.env).filter(([name]) => !name.toLowerCase().startsWith('npm_'));
  const path = SEARCH_PATH.split(':').filter((folder) => !folder.includes('node_modules'));
  const env = { ...Object.fromEntries(others), PATH: path.join(':') };
  const registry = execFileSync('npm', ['config', 'get', 'registry'], {
    encoding: 'utf8',
    env,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return { npm_config_registry: registry.trim(), ...(existsSync(TRUSTED) ? { npm_config_cafile: AUTHORITIES } : {}) };
}

const ENTER = `
  root=$1; shift
  mount --make-rprivate /
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --bind /sys "$root/sys"
  ip link set lo up 2>/dev/null || true
  exec chroot "$root" env -i "$@"`;

function rootAt(path: string): DebianRoot {
  const npm = npmEnvironment();
  return {
    path,
    run(command, { env = {}, network = true, input, timeout = 10 * MINUTE } = {}) {
      const variables = Object.entries({ HOME: '/root', LANG: 'C.UTF-8', PATH, ...npm, ...env }).map(
        ([name, value]) => `${name}=${value}`,
      );
      const namespaces = ['--mount', '--pid', '--fork', '--kill-child', ...(network ? [] : ['--net'])];
      const args = [...namespaces, 'bash', '-ec', ENTER, 'enter', path, ...variables, ...command];
      return run('unshare', args, { timeout, ...(input === undefined ? {} : { input }) });
    },
    put(from, to) {
      const target = join(path, to);
      mkdirSync(dirname(target), { recursive: true });
      cpSync(from, target, { recursive: true, dereference: true });
    },
    remove: () => rmSync(dirname(path), { recursive: true, force: true }),
  };
}
