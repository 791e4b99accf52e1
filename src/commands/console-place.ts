/** Where the accounts of the console are, and where it can be opened: by the configuration, or in a first run, which has none yet. */
import { existsSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import type { Control } from '../control/control.ts';
import { isLoopback } from '../net/addresses.ts';
import { keptPlace } from '../setup/setup.ts';
import { filesOf } from '../store/store.ts';
import { controlOf, withControl, withStoreOf } from './context.ts';
import type { CommonOptions } from './define.ts';
import { UsageError } from './errors.ts';
import { originAt, settingsSoFar } from './first-run-console.ts';
import { chooseFile } from './init-write.ts';
import type { Io } from './io.ts';

export type ConsolePlace = {
  /** The address in a browser. @throws UsageError if the console has no port. */
  origin(): string;
  /** The name for `ssh`. */
  readonly machine: string;
};

/** As `withControl`. While a first run waits for its browser, its accounts: a link that was lost there must be made anew there too. */
export async function withAccounts<T>(
  io: Io,
  options: CommonOptions,
  run: (context: { place: ConsolePlace; control: Control }) => Promise<T>,
): Promise<T> {
  const waiting = await firstRunSettings(io, options);
  if (waiting === undefined)
    return withControl(io, options, ({ config, control }) => {
      return run({ place: { origin: () => originOf(config), machine: config.hostname }, control });
    });
  return withStoreOf(waiting, async (store) => {
    const at = (await keptPlace(store)) ?? waiting.listen.console[0]!;
    return run({ place: { origin: () => originAt(at), machine: 'HOST' }, control: controlOf(io, waiting, store) });
  });
}

/** @returns undefined if there is a configuration, or if no first run has the data. */
async function firstRunSettings(io: Io, options: CommonOptions): Promise<Config | undefined> {
  const file = await chooseFile(io, options);
  if (io.env['SMARTHOST_HOSTNAME'] || existsSync(file)) return undefined;
  if (options.config === undefined) {
    const { findFile } = await import('../config/config.ts');
    const found = await findFile({ env: io.env, cwd: io.cwd });
    if ('file' in found && found.file !== undefined) return undefined;
  }
  const settings = await settingsSoFar(io, { file, cwd: io.cwd });
  return filesOf(settings)?.isRunning() ? settings : undefined;
}

function originOf({ hostname, listen, console: { origin } }: Config): string {
  if (origin !== undefined) return origin;
  const open = listen.console.find(({ address }) => !isLoopback(address)) ?? listen.console[0];
  if (open === undefined) throw new UsageError('listen.console opens no port: name one, as in 127.0.0.1:8026');
  return isLoopback(open.address) ? `http://localhost:${open.port}` : `https://${hostname}:${open.port}`;
}
