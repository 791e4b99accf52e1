/** The command line as a process of its own: streams, exit codes, signals. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';

const CHECKOUT = new URL('../..', import.meta.url).pathname;
const SMARTHOST = join(CHECKOUT, 'src/smarthost.ts');
const VERSION = JSON.parse(readFileSync(join(CHECKOUT, 'package.json'), 'utf8')).version;

let folder: string;
let started: ChildProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'process-'));
});
afterEach(() => {
  started?.kill('SIGKILL');
  started = undefined;
  rmSync(folder, { recursive: true });
});

function configure(yaml: string): void {
  writeFileSync(join(folder, 'smarthost.yaml'), `hostname: relay.example.net\ndataDir: data\n${yaml}`);
}

async function run(...args: readonly string[]) {
  const env = { PATH: process.env['PATH'] };
  const done = promisify(execFile)(process.execPath, [SMARTHOST, ...args], { cwd: folder, env });
  const { code, stdout, stderr } = await done.then(
    (output) => ({ ...output, code: 0 }),
    (error) => error,
  );
  return { code, stdout, stderr };
}

test('version prints only the version', async () => {
  expect(await run('version')).toEqual({ code: 0, stdout: `${VERSION}\n`, stderr: '' });
  expect(await run('--version')).toEqual({ code: 0, stdout: `${VERSION}\n`, stderr: '' });
});

test.each([
  [[], 2],
  [['--help'], 0],
  [['user', 'add', '--help'], 0],
  [['usre'], 2],
  [['user', 'list', '--nonsense'], 2],
  [['user', 'list'], 1], // no configuration
])('%j exits with %i', async (args, code) => {
  const result = await run(...args);
  expect(result.code).toBe(code);
  expect(code === 0 ? result.stdout : result.stderr).not.toBe('');
  expect(code === 0 ? result.stderr : result.stdout).toBe('');
  expect(result.stderr).not.toMatch(/at .*\.ts:\d+|Warning/);
});

test('every command has a help text with an example', async () => {
  const { stdout } = await run('--help');
  const names = [...stdout.matchAll(/^ {2}(\w+)/gm)]
    .map(([, name]) => name!)
    .filter((name) => name !== 'smarthost' && name !== 'help');
  expect(names).toEqual(
    expect.arrayContaining([
      'init',
      'serve',
      'config',
      'user',
      'domain',
      'queue',
      'trace',
      'send',
      'client',
      'exchange',
      'cert',
      'version',
    ]),
  );
  for (const name of names) {
    const help = await run(name, '--help');
    expect(help.code).toBe(0);
    if (/^Commands:/m.test(help.stdout)) continue;
    expect(help.stdout).toMatch(/--config <file>/);
    expect(help.stdout).toMatch(/\nExamples?:\n {2}smarthost /);
  }
});

test('a command works without a relay, makes the store, and prints no warning', async () => {
  configure('');
  expect(await run('user', 'list', '--json')).toEqual({
    code: 0,
    stdout: '[]\n',
    stderr: expect.stringMatching(/^(The configuration is .*smarthost\.yaml\.\n)?$/),
  });
});

test('a reader that closes the pipe early ends the command without an error', async () => {
  configure('');
  const script = `"${process.execPath}" "${SMARTHOST}" config show | head -1; echo "\${PIPESTATUS[0]}"`;
  const { stdout, stderr } = await promisify(execFile)('bash', ['-c', script], { cwd: folder });
  expect(stdout).toBe('hostname: relay.example.net\n0\n');
  expect(stderr).not.toContain('EPIPE');
});

test.skipIf(process.getuid?.() !== 0 || existsSync('/var/lib/smarthost'))(
  'serve as root is refused for the place of the system, unless it is asked for',
  async () => {
    const args = [SMARTHOST, 'serve'];
    const options = { cwd: folder, env: { PATH: process.env['PATH'], SMARTHOST_HOSTNAME: 'relay.test' } };
    const child = spawn(process.execPath, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    expect((await once(child, 'close'))[0]).toBe(1);
    expect(said).toMatch(/^The relay would run as root, .* chown -R smarthost: .*: serve --as-root$/m);
    expect(existsSync('/var/lib/smarthost')).toBe(false);
  },
);

test('serve names all problems before any port opens', async () => {
  configure('listen: { submissions: ["[::]:25"] }\ntls: { mode: files, files: [{ certificate: c.pem, key: k.pem }] }');
  const problems = await run('serve');
  expect(problems.code).toBe(1);
  expect(problems.stdout).toBe('');
  expect(problems.stderr).toMatch(/listen\.submissions opens port 25/);
  configure('tls: { mode: files, files: [{ certificate: c.pem, key: k.pem }] }');
  expect((await run('serve')).stderr).toMatch(/c\.pem does not exist\n.*k\.pem does not exist/);
});

/** A relay on free ports; resolves once it says that it has started. */
async function serve() {
  configure(
    "listen: { submissions: ['127.0.0.1:0'], submission: [], http: [], alpn: [], admin: [], console: [] }\ntls: { mode: self-signed }\ndns: { servers: ['127.0.0.1:9'] }",
  );
  const child = spawn(process.execPath, [SMARTHOST, 'serve'], {
    cwd: folder,
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started = child;
  const events: { event: string; reason?: string }[] = [];
  const waiting = new Set<() => void>();
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    events.push(...lines.map((line) => JSON.parse(line)));
    for (const look of waiting) look();
  });
  const event = async (name: string) => {
    const deadline = AbortSignal.timeout(90_000); // a busy machine decides no test
    while (!events.some((one) => one.event === name)) {
      await new Promise<void>((resolve, reject) => {
        waiting.add(resolve);
        deadline.addEventListener('abort', () => reject(new Error(`no event ${name}`)), { once: true });
      });
      waiting.clear();
    }
    return events.find((one) => one.event === name)!;
  };
  await event('started');
  return { child, event, ended: once(child, 'exit') };
}

test('serve stops on SIGTERM, also if the signal comes more than once, and exits with 0', async () => {
  const { child, event, ended } = await serve();
  child.kill('SIGTERM');
  child.kill('SIGTERM');
  expect((await event('stopped')).reason).toBe('SIGTERM');
  expect(await ended).toEqual([0, null]);
});

test('SIGHUP reads the configuration again and is in the list of changes, and a broken file changes nothing', async () => {
  const { child, event, ended } = await serve();
  child.kill('SIGHUP');
  await event('reloaded');
  // As one that the console was asked for, by the relay, because a signal does not say who sent it.
  const rows = async () => JSON.parse((await run('changes', '--action', 'configuration.reload', '--json')).stdout);
  await expect.poll(rows).toMatchObject([{ actor: 'smarthost', way: 'relay', target: 'all', after: { restartNeeded: [] } }]);
  const file = join(folder, 'smarthost.yaml');
  const before = readFileSync(file);
  writeFileSync(file, 'hostnam: x');
  child.kill('SIGHUP');
  expect(await event('reloadRefused')).toMatchObject({
    problems: [expect.stringMatching(/did you mean hostname/), expect.any(String)],
  });
  writeFileSync(file, before);
  expect(await rows()).toHaveLength(1);
  child.kill('SIGINT');
  expect(await ended).toEqual([0, null]);
});

test('commands work beside a running relay; a second relay is refused with a sentence', async () => {
  const { child, ended } = await serve();
  expect((await run('user', 'add', 'anna@example.org', '--json')).code).toBe(0);
  expect((await run('cert', 'show')).stdout).toMatch(/relay\.example\.net/);
  const second = await run('serve');
  expect(second.code).toBe(1);
  expect(second.stderr).toMatch(/^Another smarthost serve \(process \d+\) runs on .*\n$/m);
  child.kill('SIGTERM');
  await ended;
});

test.runIf(process.platform === 'linux')('serve gives libuv a larger pool than RSA and argon2 can fill', async () => {
  const { child, ended } = await serve();
  const environment = readFileSync(`/proc/${child.pid}/environ`, 'utf8');
  expect(environment).not.toContain('UV_THREADPOOL_SIZE');
  const tasks = `/proc/${child.pid}/task`;
  const names = readdirSync(tasks).map((task) => readFileSync(join(tasks, task, 'comm'), 'utf8').trim());
  expect(names.filter((name) => name === 'libuv-worker').length).toBeGreaterThanOrEqual(8);
  child.kill('SIGTERM');
  await ended;
});
