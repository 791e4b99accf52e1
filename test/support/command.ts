/** Runs commands of `smarthost` in the test's own process, on a data directory of their own. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Io, runCommand } from '../../src/commands/commands.ts';
import { newQueueId } from '../../src/smtp/queue-id.ts';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import type { NewMessage, Store } from '../../src/store/store.ts';

export type Ran = { readonly code: number; readonly out: string; readonly err: string };

export type CommandBench = {
  readonly folder: string;
  readonly dataDir: string;
  run(
    args: readonly string[],
    options?: { stdin?: string; env?: Record<string, string>; terminal?: Io['terminal']; colours?: boolean },
  ): Promise<Ran>;
  /** Runs with `--json`, must succeed. */
  json(...args: readonly string[]): Promise<any>;
  /** The store beside the commands, as the running relay has it. */
  withStore<T>(use: (store: Store) => Promise<T>): Promise<T>;
  close(): Promise<void>;
};

/** Runs them in this folder. */
export function commandsIn(folder: string): CommandBench['run'] {
  return async (args, { stdin = '', env = {}, terminal, colours = false } = {}) => {
    let [out, err] = ['', ''];
    const io: Io = {
      env,
      cwd: folder,
      out: async (text) => {
        out += text;
      },
      err: (text) => {
        err += `${text}\n`;
      },
      stdin: (async function* () {
        yield Buffer.from(stdin);
      })(),
      interactive: terminal !== undefined,
      colours,
      ...(terminal && { terminal }),
    };
    const code = await runCommand(args, io);
    // Said to root by each command; trusted-file.test.ts holds it.
    return { code, out, err: err.replace(`The configuration is ${join(folder, 'smarthost.yaml')}.\n`, '') };
  };
}

export async function createCommandBench(yaml = ''): Promise<CommandBench> {
  const folder = await mkdtemp(join(tmpdir(), 'commands-'));
  const dataDir = join(folder, 'data');
  if (yaml !== '-') await writeFile(join(folder, 'smarthost.yaml'), `hostname: relay.example.net\ndataDir: data\n${yaml}`);
  const run = commandsIn(folder);
  return {
    folder,
    dataDir,
    run,
    async json(...args) {
      const { code, out, err } = await run([...args, '--json']);
      if (code !== 0) throw new Error(`${args.join(' ')}: exit ${code}: ${err}`);
      return JSON.parse(out);
    },
    async withStore(use) {
      const store = await storeFiles(dataDir).open();
      try {
        return await use(store);
      } finally {
        await store.close();
      }
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

/** A small message for one or more recipients, each its own destination domain. */
export function aMessage(recipients: readonly string[], facts: Partial<NewMessage> = {}): NewMessage {
  const now = facts.acceptedAt ?? Date.now();
  const id = newQueueId(now);
  return {
    id,
    user: 'anna@example.org',
    reversePath: 'anna@example.org',
    messageId: `<${id}@example.org>`,
    size: 5,
    acceptedAt: now,
    expiresAt: now + 5 * 86_400_000,
    body: '7BIT',
    needsSmtpUtf8: false,
    signatures: [],
    recipients: recipients.map((address) => ({ address, destination: address.slice(address.indexOf('@') + 1) })),
    content: { kind: 'inline', bytes: new Uint8Array(Buffer.from('a: b\n')) },
    ...facts,
  };
}
