/** What most commands begin with: the configuration, then the store, with the right user. */
import type { Config } from '../config/config.ts';
import { type Control, createControl } from '../control/control.ts';
import type { Dns } from '../dns/dns.ts';
import type { Store, StoreData } from '../store/store.ts';
import type { CommonOptions } from './define.ts';
import { CommandError } from './errors.ts';
import type { Io } from './io.ts';

/** @throws CommandError with all that is wrong with it. */
export async function readConfig(io: Io, options: CommonOptions): Promise<{ config: Config; file?: string }> {
  const { formatProblem, loadConfig } = await import('../config/config.ts');
  const loaded = await loadConfig({ file: options.config, env: io.env, cwd: io.cwd });
  if (loaded.notice !== undefined) io.err(loaded.notice);
  if ('config' in loaded) return loaded;
  throw new CommandError(loaded.problems.map(formatProblem).join('\n'));
}

/** Opens the store beside a relay that may be running, makes one where there is none, and lets go of it at the end. */
export async function withStore<T>(
  io: Io,
  options: CommonOptions,
  run: (context: { config: Config; store: Store }) => Promise<T>,
): Promise<T> {
  const { config } = await readConfig(io, options);
  return withStoreOf(config, (store) => run({ config, store }));
}

/** The same, for what control does. */
export async function withControl<T>(
  io: Io,
  options: CommonOptions,
  run: (context: { config: Config; control: Control }) => Promise<T>,
): Promise<T> {
  return withStore(io, options, ({ config, store }) => run({ config, control: controlOf(config, store) }));
}

/** The running relay sees what is changed in its store. */
export function controlOf(config: Config, store: StoreData): Control {
  return createControl({ store, settings: () => config, dns: dnsOf(config) });
}

/** Loaded where a deed asks it. */
function dnsOf({ dns: { servers } }: Config): Pick<Dns, 'txt'> {
  let client: Promise<Dns> | undefined;
  return {
    async txt(name) {
      client ??= import('../dns/dns.ts').then(({ createDns }) => createDns({ servers }));
      return (await client).txt(name);
    },
  };
}

/** A command of root takes the user that owns the data first, so that it leaves no file that the relay cannot open. */
export async function withStoreOf<T>(config: Config, run: (store: Store) => Promise<T>): Promise<T> {
  const { filesOf, openStore } = await import('../store/store.ts');
  filesOf(config)?.becomeOwner();
  const store = await openStore(config);
  try {
    return await run(store);
  } finally {
    await store.close();
  }
}
