/** What a command sees of the outside: where it reads and prints, so that tests can stand in its place. */
import type { Readable, Writable } from 'node:stream';
import { forTerminal, plainJson } from '../smtp/text.ts';

export type Io = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Data, and nothing else. Resolves when there is room for more. */
  out(text: string): Promise<void>;
  /** All that is said to the person. */
  err(text: string): void;
  readonly stdin: AsyncIterable<Uint8Array | string>;
  /** A person sits in front of it. */
  readonly interactive: boolean;
  /** stdout is a terminal that shows colours, and nobody said NO_COLOR. */
  readonly colours?: boolean;
  /** Where questions are asked; default: stdin and stderr. */
  readonly terminal?: { readonly input: Readable; readonly output: Writable };
};

/** The process's own streams. A reader that goes away early (`| head`) ends the command quietly. */
export function processIo(): Io {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  process.stderr.on('error', () => {
    // Nobody listens any more; what is left to do is done in silence.
  });
  return {
    env: process.env,
    cwd: process.cwd(),
    async out(text) {
      if (process.stdout.write(forTerminal(text))) return;
      await new Promise<void>((resolve) => process.stdout.once('drain', resolve));
    },
    err: (text) => void process.stderr.write(`${forTerminal(text)}\n`),
    // Touched only when it is read: opening stdin would keep the process alive.
    stdin: { [Symbol.asyncIterator]: () => process.stdin[Symbol.asyncIterator]() },
    interactive: process.stdin.isTTY === true && process.stderr.isTTY === true,
    colours: process.stdout.isTTY === true && process.stdout.hasColors() && !process.env['NO_COLOR'],
  };
}

/** One document. */
export async function printJson(io: Io, value: unknown): Promise<void> {
  await io.out(`${plainJson(JSON.stringify(value, null, 2))}\n`);
}

/** One array whose elements are printed as they come, so that a long list is never in memory as a whole. */
export async function printJsonArray(io: Io, pages: AsyncIterable<readonly unknown[]>): Promise<void> {
  let separator = '[\n';
  for await (const page of pages) {
    if (page.length === 0) continue;
    await io.out(separator + page.map((one) => plainJson(JSON.stringify(one))).join(',\n'));
    separator = ',\n';
  }
  await io.out(separator === '[\n' ? '[]\n' : '\n]\n');
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
