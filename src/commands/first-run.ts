/** The first run in the browser: what `init --web` and `serve --first-run` do until there is a configuration. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { lstat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseListenAddress } from '../config/config.ts';
import { writeConfiguration } from '../setup/setup.ts';
import { type DataOwner, filesOf } from '../store/store.ts';
import { CommandError, typed } from './errors.ts';
import { answerBrowser, type FirstRunOrder, settingsSoFar, type WriteText } from './first-run-console.ts';
import { nextCommands } from './init-write.ts';
import type { Io } from './io.ts';

/**
 * Asks in the browser, and returns when the file is written and the ports are free for the relay.
 * If root would write files of another user, only a small part runs as root: it writes the configuration.
 */
export async function askInBrowser(io: Io, order: FirstRunOrder): Promise<void> {
  if (await lstat(order.file).catch(() => undefined))
    throw new CommandError(
      `${order.file} exists already, and is not replaced. If the relay does not run: ${nextCommands(io, order.file).start}. For a link to its console: smarthost console setup, or console reset NAME`,
    );
  if (order.listen !== undefined) typed('--web-listen', () => parseListenAddress(order.listen!));
  const owner = filesOf(await settingsSoFar(io, order))?.owner();
  const write: WriteText = async (text) => void (await writeConfiguration(order.file, text, { owner, replace: false }));
  await (owner === undefined ? answerBrowser(io, order, write) : answerAsOwner(order, owner, write));
}

type Told = { readonly write: string };

/** The browser talks to a process with the rights of the owner of the data. It asks this one to write the file. */
async function answerAsOwner(order: FirstRunOrder, { uid, gid }: DataOwner, write: WriteText): Promise<void> {
  const child = fork(new URL('./first-run-child.ts', import.meta.url), { uid, gid, cwd: resolve('/') });
  child.on('message', async ({ write: text }: Told) => {
    const answer = await write(text).then(
      () => ({}),
      (error: Error) => ({ problem: error.message }),
    );
    if (child.connected) child.send(answer);
  });
  const ignore = () => {}; // the other process gets the signal too, and its end is told here
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, ignore);
  const stop = () => child.kill('SIGTERM');
  process.on('SIGTERM', stop);
  child.send(order);
  const [code] = (await once(child, 'exit')) as [number | null];
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, ignore);
  process.off('SIGTERM', stop);
  if (code !== 0) throw new CommandError('', { exitCode: code ?? 1 });
}
