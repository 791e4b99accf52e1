/** The relay of the demo: the real program in its own process, used by its own commands. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const PROGRAM = new URL('../smarthost.ts', import.meta.url).pathname;
/** How Node starts the program. @param clock the file of its clock; absent: the time of this machine. */
const programWith = (clock?: string) =>
  clock === undefined ? [PROGRAM] : ['--import', import.meta.resolve('./clock.ts'), PROGRAM];
const environment = (clock?: string) => (clock === undefined ? process.env : { ...process.env, DEMO_CLOCK: clock });

type LogLine = { readonly event: string; readonly [field: string]: unknown };

/** A configuration file, and the file of its clock. */
export type Site = { readonly config: string; readonly clock?: string };

export type RelayProcess = {
  readonly ports: { readonly submissions: number; readonly submission: number };
  onLog(listener: (line: LogLine) => void): void;
  /** Asks it to stop, and waits until it has stopped. */
  stop(): Promise<void>;
  /** Resolves when the process has ended for any reason. */
  readonly ended: Promise<unknown>;
};

/** Runs one command of the program. @returns its stdout. */
export async function smarthost({ config, clock }: Site, ...words: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [...programWith(clock), ...words, '--config', config], {
    env: environment(clock),
  });
  return stdout;
}

/** Resolves once every port is open. @throws Error with its output if it does not start. */
export async function startRelayProcess({ config, clock }: Site): Promise<RelayProcess> {
  const child = spawn(process.execPath, [...programWith(clock), '--config', config, 'serve'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment(clock),
  });
  const ended = once(child, 'close');
  const abandon = () => child.kill('SIGTERM'); // the relay ends with the demo
  process.once('exit', abandon);
  const listeners: ((line: LogLine) => void)[] = [];
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk}`.slice(-2000);
  });
  const started = new Promise<LogLine>((resolve) => listeners.push((line) => line.event === 'started' && resolve(line)));
  createInterface(child.stdout).on('line', (text) => {
    const line = parse(text);
    if (line !== undefined) for (const listener of listeners) listener(line);
  });
  const first = await Promise.race([started, ended.then(() => undefined)]);
  if (first === undefined) throw new Error(`the relay did not start: ${said.trim()}`);
  const listen = first['listen'] as readonly { readonly name: string; readonly port: number }[];
  const portOf = (name: string) => listen.find((entry) => entry.name === name)?.port ?? 0;
  return {
    ports: { submissions: portOf('submissions'), submission: portOf('submission') },
    onLog: (listener) => void listeners.push(listener),
    async stop() {
      child.kill('SIGTERM');
      await ended;
      process.off('exit', abandon);
    },
    ended,
  };
}

function parse(text: string): LogLine | undefined {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return undefined; // not a line of the relay: a warning of the runtime
  }
}
