/** The first run in the browser: what `init --web` and `serve --first-run` do until there is a configuration. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { lstat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseListenAddress } from '../config/config.ts';
import { writeConfiguration } from '../setup/setup.ts';
import { type DataOwner, filesOf } from '../store/store.ts';
import { CommandError, typed } from './errors.ts';
import { answerBrowser, ENDED_BY_SIGNAL, type FirstRunOrder, settingsSoFar, type WriteText } from './first-run-console.ts';
import { nextCommands } from './init-write.ts';
import type { Io } from './io.ts';

/**
 * Asks in the browser, and returns when the file is written and the ports are free for the relay.
 * If root would write files of another user, only a small part runs as root: it writes the configuration.
 * @param stopped resolves when somebody ends the wait. @returns false if that came first. To begin again goes on with the answers so far.
 */
export async function askInBrowser(io: Io, order: FirstRunOrder, stopped: Promise<unknown>): Promise<boolean> {
  if (await lstat(order.file).catch(() => undefined))
    throw new CommandError(
      `${order.file} exists already, and is not replaced. If the relay does not run: ${nextCommands(io, order.file).start}. For a link to its console: smarthost console setup, or console reset NAME`,
    );
  if (order.listen !== undefined) typed('--web-listen', () => parseListenAddress(order.listen!));
  const owner = filesOf(await settingsSoFar(io, order))?.owner();
  const write: WriteText = async (text) => void (await writeConfiguration(order.file, text, { owner, replace: false }));
  return owner === undefined ? answerBrowser(io, order, write, stopped) : answerAsOwner(order, owner, write, stopped);
}

type Told = { readonly write: string };

/** The browser talks to a process with the rights of the owner of the data. It asks this one to write the file. */
async function answerAsOwner(
  order: FirstRunOrder,
  { uid, gid }: DataOwner,
  write: WriteText,
  stopped: Promise<unknown>,
): Promise<boolean> {
  const child = fork(new URL('./first-run-child.ts', import.meta.url), { uid, gid, cwd: resolve('/') });
  child.on('message', async ({ write: text }: Told) => {
    const answer = await write(text).then(
      () => ({}),
      (error: Error) => ({ problem: error.message }),
    );
    if (child.connected) child.send(answer);
  });
  void stopped.then(() => child.kill('SIGTERM')); // a terminal sends it the signal too
  child.send(order);
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  // The signal ends it by itself as long as it has not begun to listen.
  if (code === ENDED_BY_SIGNAL || signal === 'SIGTERM' || signal === 'SIGINT') return false;
  if (code !== 0) throw new CommandError('', { exitCode: code ?? 1 });
  return true;
}
