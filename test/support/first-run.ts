/** A first run as an operator begins it: the real command in a process of its own, with the small internet of the demo around it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { secretHash } from '../../src/console/access/cookie.ts';
import { startWorld, type World } from '../../src/demo/world.ts';
import { askOnce } from './console.ts';
import { freePort, type Program, startProgram, temporaryFolder, until, untilReady } from './program.ts';

export type FirstRunWorld = Awaited<ReturnType<typeof startFirstRunWorld>>;

const ROOT = new URL('../..', import.meta.url).pathname;

/** The folder, the ports and the internet of one new relay. */
export async function startFirstRunWorld() {
  const world: World = await startWorld();
  const folder = temporaryFolder('first-run');
  const clock = join(folder.path, 'clock');
  writeFileSync(clock, '0');
  writeFileSync(join(folder.path, 'authority.pem'), world.authority);
  const ports = { console: 0, admin: 0, submission: 0, submissions: 0 };
  for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort();
  const at = (name: keyof typeof ports) => `127.0.0.1:${ports[name]}`;
  const env: Record<string, string> = {
    SMARTHOST_LISTEN_CONSOLE: at('console'),
    SMARTHOST_LISTEN_ADMIN: at('admin'),
    SMARTHOST_LISTEN_SUBMISSION: at('submission'),
    SMARTHOST_LISTEN_SUBMISSIONS: at('submissions'),
    SMARTHOST_TLS_MODE: 'self-signed',
    SMARTHOST_DNS_SERVERS: world.dns,
    SMARTHOST_DELIVERY_PORT: String(world.mxPort),
    SMARTHOST_DELIVERY_ALLOW_PRIVATE: '127.0.0.0/8',
    SMARTHOST_DELIVERY_IP: 'v4-only',
    SMARTHOST_DELIVERY_CA: join(folder.path, 'authority.pem'),
    SMARTHOST_DOCTOR_DESTINATIONS: 'alpha.test',
    SMARTHOST_QUEUE_MIN_FREE: '16MiB',
    DEMO_CLOCK: clock,
  };
  const programs: Program[] = [];
  return {
    ...{ world, ports, env },
    folder: folder.path,
    file: join(folder.path, 'smarthost.yaml'),
    origin: `http://localhost:${ports.console}`,
    /** Moves the clock of processes that are started from here. */
    moveClock: (ms: number) => writeFileSync(clock, String(ms)),
    /** Resolves when it has printed where to open it. */
    async begin(...words: readonly string[]): Promise<BegunFirstRun> {
      const args = words.length === 0 ? ['init', '--web', '--dir', folder.path] : words;
      const program = startProgram({
        command: process.execPath,
        args: ['--import', join(ROOT, 'src/demo/clock.ts'), join(ROOT, 'src/smarthost.ts'), ...args],
        cwd: folder.path,
        env,
      });
      programs.push(program);
      await untilReady(program, 'the first run', () => /^Open \S+/m.test(program.output()));
      const link = /^Open (\S+)/m.exec(program.output())![1]!;
      return { program, link, code: link.split('#setup=')[1] ?? '' };
    },
    /** What a command of the relay prints. */
    configuration: () => readFileSync(join(folder.path, 'smarthost.yaml'), 'utf8'),
    async close() {
      await Promise.all(programs.map((program) => program.close()));
      await world.close();
      folder.remove();
    },
  };
}

export type BegunFirstRun = { readonly program: Program; readonly link: string; readonly code: string };

/** A browser without pages: it keeps the cookie, and sends the fields that a page of ours sends. */
export function createVisitor(origin: string) {
  let cookie = '';
  let csrf = '';
  const base = origin.replace('localhost', '127.0.0.1');
  return {
    async ask(method: string, path: string, body?: unknown) {
      const headers = {
        ...{ host: new URL(origin).host, 'sec-fetch-site': 'same-origin' },
        ...(cookie === '' ? {} : { cookie, 'x-smarthost-csrf': csrf }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      };
      const text = body === undefined ? undefined : JSON.stringify(body);
      const answer = await askOnce(`${base}/api/v1${path}`, method, headers, text);
      const set = answer.headers.get('set-cookie');
      if (set !== null) cookie = set.split(';')[0]!;
      if (typeof answer.body?.csrf === 'string') csrf = answer.body.csrf;
      return answer;
    },
    /** The hash by which the store knows the session. */
    sessionHash: () => secretHash(cookie.split('=')[1] ?? ''),
  };
}

export type Visitor = ReturnType<typeof createVisitor>;

/** Waits for the relay that follows the first run. */
export function untilRelay(visitor: Visitor): Promise<unknown> {
  return until('the relay answers', async () => {
    const answer = await visitor.ask('GET', '/status').catch(() => undefined);
    return answer?.status === 200 ? answer.body : undefined;
  });
}
