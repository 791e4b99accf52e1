/** The streams and the environment of a command. Tests replace them. */
import type { Readable, Writable } from 'node:stream';
import { forTerminal, plainJson } from '../smtp/text.ts';

export type Io = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Prints data, and nothing else. Resolves when there is room for more. */
  out(text: string): Promise<void>;
  /** Prints text for the person. */
  err(text: string): void;
  readonly stdin: AsyncIterable<Uint8Array | string>;
  /** True if a person can answer questions. */
  readonly interactive: boolean;
  /** True if stdout is a terminal that shows colours, and NO_COLOR is not set. */
  readonly colours?: boolean;
  /** Where questions are asked; default: stdin and stderr. */
  readonly terminal?: { readonly input: Readable; readonly output: Writable };
};

/** The process's own streams. A reader that goes away early (`| head`) ends the command quietly. */
export function processIo(): Io {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  process.stderr.on('error', () => {
    // The reader has gone; the command finishes without output.
  });
  return {
    env: process.env,
    cwd: process.cwd(),
    async out(text) {
      if (process.stdout.write(forTerminal(text))) return;
      await new Promise<void>((resolve) => process.stdout.once('drain', resolve));
    },
    err: (text) => void process.stderr.write(`${forTerminal(text)}\n`),
    // Opened only when it is read, because an open stdin keeps the process alive.
    stdin: { [Symbol.asyncIterator]: () => process.stdin[Symbol.asyncIterator]() },
    interactive: process.stdin.isTTY === true && process.stderr.isTTY === true,
    colours: process.stdout.isTTY === true && process.stdout.hasColors() && !process.env['NO_COLOR'],
  };
}

/** Prints one JSON document. */
export async function printJson(io: Io, value: unknown): Promise<void> {
  await io.out(`${plainJson(JSON.stringify(value, inEnglishAlone, 2))}\n`);
}

/** A command says everything in English, so that it leaves out what pages need to say it in another language. */
const inEnglishAlone = (key: string, value: unknown) => (key === 'phrase' || key === 'phrases' ? undefined : value);

/** Prints one JSON array, element by element, so that a long list is never in memory as a whole. */
export async function printJsonArray(io: Io, pages: AsyncIterable<readonly unknown[]>): Promise<void> {
  let separator = '[\n';
  for await (const page of pages) {
    if (page.length === 0) continue;
    await io.out(separator + page.map((one) => plainJson(JSON.stringify(one, inEnglishAlone))).join(',\n'));
    separator = ',\n';
  }
  await io.out(separator === '[\n' ? '[]\n' : '\n]\n');
}

/** The lines of stdin, without their ends. */
export async function* readLines(io: Io): AsyncIterable<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of io.stdin) {
    const lines = (rest + (typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true }))).split('\n');
    rest = lines.pop()!;
    for (const line of lines) yield line.replace(/\r$/, '');
  }
  rest += decoder.decode();
  if (rest !== '') yield rest.replace(/\r$/, '');
}

/** The first line of stdin, without its end. */
export async function readLine(io: Io, most = 4096): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of io.stdin) {
    const bytes = Buffer.from(chunk as Uint8Array);
    chunks.push(bytes);
    size += bytes.length;
    if (bytes.includes(0x0a) || size > most) break;
  }
  return Buffer.concat(chunks).toString('utf8').split(/\r?\n/)[0] ?? '';
}
