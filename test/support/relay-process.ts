/** The relay as operators run it: `smarthost serve` as a process of its own, set up by its commands, watched by its log. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, mustRun, type Program, startProgram, temporaryFolder, until } from './program.ts';
import { testStore } from './test-store.ts';
import { testThreads } from './threads.ts';

const CHECKOUT = new URL('../..', import.meta.url).pathname;
const NODE = join(CHECKOUT, 'node_modules/.bin/node');
const SMARTHOST = join(CHECKOUT, 'src/smarthost.ts');
const SERVICE = readFileSync(join(CHECKOUT, 'deploy/smarthost.service'), 'utf8');
/** What the service gives to V8, and to glibc. */
const LIMITS = SERVICE.match(/(?<=^ExecStart=.*)--\S+/gm) ?? [];
const MALLOC = Object.fromEntries(
  [...SERVICE.matchAll(/^Environment=(MALLOC_\w+)=(\S+)$/gm)].map(([, name, value]) => [name, value]),
);
const ADDRESS = '127.0.0.1';

/** One line of its log. */
export type LogEvent = { readonly event: string; readonly time: string } & Readonly<Record<string, unknown>>;

/** One record that `domain records` asks the operator to publish. */
export type DnsRecord = { readonly name: string; readonly type: string; readonly ttl: number; readonly value: string };

export type RelayOptions = {
  readonly hostname?: string;
  /** `address:port` of the resolver. */
  readonly dns: string;
  /** The one port that every destination listens on. */
  readonly deliveryPort: number;
  /** Laid over the test's configuration, section by section; a list or a single value takes the place of the one that is there. */
  readonly settings?: Readonly<Record<string, Readonly<Record<string, unknown>> | readonly unknown[] | string>>;
  /** Laid over the environment of the relay. */
  readonly env?: Readonly<Record<string, string>>;
  /** Another smarthost.ts, changed to see that a test notices. */
  readonly program?: string;
};

export type RelayProcess = {
  readonly folder: string;
  readonly hostname: string;
  readonly address: string;
  /** Port with TLS from the first byte (465), and port with STARTTLS (587). */
  readonly ports: { readonly submissions: number; readonly submission: number };
  /** Runs a command of smarthost to its end. @returns its stdout @throws Error when it fails */
  command(args: readonly string[], input?: string): Promise<string>;
  addUser(name: string, password: string, ...options: readonly string[]): Promise<void>;
  /** Gives the domain its DKIM keys; the first ones sign at once. @returns the records to publish */
  addDomain(domain: string): Promise<readonly DnsRecord[]>;
  /** Starts it; resolves once every port is open. @param under a command to run it under, as strace @throws Error when it ends before */
  start(under?: readonly string[]): Promise<void>;
  running(): boolean;
  /** Of the process that runs. */
  pid(): number;
  /** Ends it by a signal and waits until it is gone. SIGKILL is a crash. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
  /** The log of all starts so far, only one kind of event where a name is given. */
  events(name?: string): readonly LogEvent[];
  /** Waits for an event that is in the log already, or comes. @param deadline milliseconds */
  event(name: string, matches?: (event: LogEvent) => boolean, deadline?: number): Promise<LogEvent>;
  output(): string;
  close(): Promise<void>;
};

/** Writes a configuration and opens nothing yet. */
export async function prepareRelay(options: RelayOptions): Promise<RelayProcess> {
  const temporary = temporaryFolder('relay');
  const folder = temporary.path;
  const hostname = options.hostname ?? 'relay.sender.test';
  const ports = { submissions: await freePort(ADDRESS), submission: await freePort(ADDRESS) };
  const main = options.program ?? SMARTHOST;
  const file = join(folder, 'smarthost.yaml');
  const store = { store: await testStore(folder) };
  writeFileSync(file, JSON.stringify({ ...store, ...configuration(folder, hostname, ports, options) }, null, 2)); // JSON is YAML
  const log = watchLog();
  let program: Program | undefined;
  let ended = false;

  const command = (args: readonly string[], input = '') =>
    mustRun(NODE, [main, '--config', file, ...args], { input, timeout: 60_000 });
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (program === undefined) return 0;
    const ending = program;
    program = undefined;
    log.keep(ending.output());
    ending.signal(signal);
    const code = await ending.ended;
    await ending.close();
    log.keep(ending.output());
    log.finish();
    return code;
  };
  const output = () => log.text(program?.output());
  const events = (name?: string) => log.events(program?.output(), name);

  return {
    folder,
    hostname,
    address: ADDRESS,
    ports,
    command,
    async addUser(name, password, ...more) {
      await command(['user', 'add', name, '--password-stdin', ...more], `${password}\n`);
    },
    async addDomain(domain) {
      await command(['domain', 'add', domain]);
      return JSON.parse(await command(['domain', 'records', domain, '--json'])) as DnsRecord[];
    },
    async start(under = []) {
      const before = events('started').length;
      const [first, ...args] = [...under, NODE, ...LIMITS, main, '--config', file, 'serve'];
      const starting = startProgram({
        ...{ command: first!, args, cwd: folder },
        // calls that are counted under strace are ours, not those of Node's cache
        env: { ...MALLOC, ...(under.length > 0 && { NODE_DISABLE_COMPILE_CACHE: '1' }), ...options.env },
      });
      program = starting;
      let end: number | NodeJS.Signals | undefined;
      ended = false;
      void starting.ended.then((code) => {
        end = code;
        ended ||= program === starting;
      });
      const started = () => {
        if (end !== undefined) throw new Error(`smarthost ended with ${end}\n${starting.output()}`);
        return events('started').length > before;
      };
      await until('smarthost started', started, { deadline: 90_000, context: starting.output });
    },
    running: () => program !== undefined && !ended,
    pid: () => program?.pid ?? 0,
    stop,
    events,
    event: (name, matches = () => true, deadline = 30_000) =>
      until(`event ${name}`, () => events(name).find(matches), { deadline, context: output }),
    output,
    async close() {
      await stop();
      temporary.remove();
    },
  };
}

function configuration(folder: string, hostname: string, ports: RelayProcess['ports'], options: RelayOptions): object {
  const base: Record<string, unknown> = {
    hostname,
    dataDir: join(folder, 'data'),
    listen: {
      submissions: [`${ADDRESS}:${ports.submissions}`],
      submission: [`${ADDRESS}:${ports.submission}`],
      http: [],
      alpn: [],
      admin: [],
      console: [],
    },
    tls: { mode: 'self-signed' },
    limits: { messages: [], recipients: [], newRecipients: [] },
    delivery: { port: options.deliveryPort, allowPrivate: ['127.0.0.0/8'] },
    queue: { retry: ['1s', '2s', '5s'], minFree: '1MiB' },
    dns: { servers: [options.dns] },
    threads: testThreads(),
  };
  for (const [section, values] of Object.entries(options.settings ?? {}))
    base[section] =
      typeof values === 'string' || Array.isArray(values) ? values : { ...(base[section] as object | undefined), ...values };
  return base;
}

/** Logs of earlier starts, and the one that runs; lines are parsed once. */
function watchLog() {
  let earlier = '';
  let current = '';
  let parsedLength = 0;
  let parsed: LogEvent[] = [];
  const text = (running?: string) => earlier + (running ?? current);
  return {
    text,
    keep(output: string) {
      current = output;
    },
    /** A line that a crash cut short ends here. */
    finish() {
      earlier += current.endsWith('\n') || current === '' ? current : `${current}\n`;
      current = '';
    },
    events(running: string | undefined, name: string | undefined): readonly LogEvent[] {
      const all = text(running);
      if (all.length !== parsedLength) {
        parsed = all.split('\n').flatMap(parseLine);
        parsedLength = all.length;
      }
      return name === undefined ? parsed : parsed.filter(({ event }) => event === name);
    },
  };
}

/** Warnings of the runtime and a last line cut by a crash are no events. */
function parseLine(line: string): LogEvent[] {
  if (!line.startsWith('{') || !line.endsWith('}')) return [];
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'event' in value ? [value as LogEvent] : [];
  } catch {
    return [];
  }
}
