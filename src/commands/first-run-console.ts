/** The console of a first run: where it is, its code, and the wait for the last answer. */
import { type Config, parseConfig, parseListenAddress } from '../config/config.ts';
import { isLoopback, publicAddresses } from '../net/addresses.ts';
import { CommandError, inWords } from './errors.ts';
import { dataDirFor } from './init-write.ts';
import type { Io } from './io.ts';

/** What the process needs that talks to the browser. It may be another one, with fewer rights. */
export type FirstRunOrder = {
  readonly file: string;
  /** Where the console listens, as typed. Absent: as configured, which is loopback. */
  readonly listen: string | undefined;
  readonly start: 'service' | 'here';
  readonly cwd: string;
};

/** Writes the configuration. Rejects if there is one. */
export type WriteText = (text: string) => Promise<void>;

/** The exit code of the process that talks to the browser, if a signal has ended it before the last answer: not 0, which means a written file. */
export const ENDED_BY_SIGNAL = 3;

const LOOPBACK = '127.0.0.1:8026';

/**
 * Opens the console, tells where it is, and waits for the last answer.
 * @param stopped resolves when somebody ends the wait. @returns false if that came first: there is no configuration.
 */
export async function answerBrowser(io: Io, order: FirstRunOrder, write: WriteText, stopped: Promise<unknown>): Promise<boolean> {
  const { startFirstRunConsole } = await import('../relay/relay.ts');
  const config = await settingsSoFar(io, order);
  const { file, start, cwd } = order;
  const running = await startFirstRunConsole({
    ...{ file, start, cwd, env: io.env, config, write },
    dataDir: dataDirFor(file),
    console: order.listen === undefined ? undefined : portsInFile(order.listen),
    listen: order.listen === undefined ? config.listen.console : [parseListenAddress(order.listen)],
  });
  try {
    io.err([...invitation(running)].join('\n'));
    return await Promise.race([running.done.then(() => true), stopped.then(() => false)]);
  } finally {
    await running.close();
  }
}

/** Where data and ports are before there is a file: what the environment says, else the defaults. */
export async function settingsSoFar(
  { env }: Pick<Io, 'env'>,
  { file, cwd }: Pick<FirstRunOrder, 'file' | 'cwd'>,
): Promise<Config> {
  const text = `hostname: relay.invalid\ndataDir: '${dataDirFor(file)}'`;
  const parsed = await parseConfig({ path: file, text }, { env, cwd });
  if ('config' in parsed) return parsed.config;
  const { formatProblem } = await import('../config/config.ts');
  throw new CommandError(parsed.problems.map(formatProblem).join('\n'));
}

/** Where the relay's console will be: there, and on loopback too if the port is free for that. */
function portsInFile(listen: string): readonly string[] {
  const { address, port } = parseListenAddress(listen);
  if (isLoopback(address) || port === parseListenAddress(LOOPBACK).port) return [listen];
  return [LOOPBACK, listen];
}

type Running = {
  readonly listening: readonly { readonly address: string; readonly port: number }[];
  readonly code: string | null;
  readonly fingerprint: string | undefined;
};

function* invitation({ listening, code, fingerprint }: Running): Iterable<string> {
  const fragment = code === null ? '' : `#setup=${code}`;
  const { address, port } = listening[0]!;
  const notes = [code !== null && '60 min', isLoopback(address) && `from afar: ssh -L ${port}:localhost:${port} HOST`];
  const told = notes.filter((note) => note !== false).join('; ');
  yield `Open ${originAt(listening[0]!)}/${fragment}${told && ` (${told})`}`;
  if (fingerprint !== undefined) {
    yield 'Your browser will warn, because nobody has signed the certificate yet. Its SHA-256 fingerprint must be:';
    yield `  ${fingerprint}`;
  }
  if (code === null) yield 'There is an account already: log in, and go on. Its password is lost? smarthost console reset NAME';
}

/** The address of a console in a browser. */
export function originAt({ address, port }: Running['listening'][number]): string {
  return isLoopback(address) ? `http://localhost:${port}` : `https://${nameOf(address)}:${port}`;
}

/** For all addresses: the first public one, which works from everywhere. In a container there is none. */
function nameOf(address: string): string {
  const known = address === '::' || address === '0.0.0.0' ? (publicAddresses()[0] ?? 'localhost') : address;
  return known.includes(':') ? `[${known}]` : known;
}

/** The sentence for a person, of an error of any kind. */
export function sentenceFor(error: unknown): string {
  const said = error instanceof Error && error.name === 'ControlError' ? inWords(error as never) : error;
  return said instanceof Error ? said.message : String(said);
}
