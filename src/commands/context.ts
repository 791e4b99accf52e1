/** The first steps of most commands: read the configuration, change to the right user, open the store. */
import { userInfo } from 'node:os';
import type { Config } from '../config/config.ts';
import { type Control, createControl } from '../control/control.ts';
import type { DnsClient } from '../dns/dns.ts';
import type { Store, StoreData } from '../store/store.ts';
import type { CommonOptions } from './define.ts';
import { CommandError } from './errors.ts';
import type { Io } from './io.ts';

/** Who runs the command, before it becomes the owner of the data. */
const USER = userName();

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.()}`; // a container may have no list of users
  }
}

/** @throws CommandError with all problems of the configuration. */
export async function readConfig(io: Io, options: CommonOptions): Promise<{ config: Config; file?: string }> {
  const { formatProblem, loadConfig } = await import('../config/config.ts');
  const loaded = await loadConfig({ file: options.config, env: io.env, cwd: io.cwd });
  if (loaded.notice !== undefined) io.err(loaded.notice);
  if ('config' in loaded) return loaded;
  throw new CommandError(loaded.problems.map(formatProblem).join('\n'));
}

/** Opens the store, also while a relay runs, and closes it at the end. If there is no store, it makes one. */
export async function withStore<T>(
  io: Io,
  options: CommonOptions,
  run: (context: { config: Config; store: Store }) => Promise<T>,
): Promise<T> {
  const { config } = await readConfig(io, options);
  return withStoreOf(config, (store) => run({ config, store }));
}

/** The same with the functions of `control`. */
export async function withControl<T>(
  io: Io,
  options: CommonOptions,
  run: (context: { config: Config; control: Control }) => Promise<T>,
): Promise<T> {
  return withStore(io, options, ({ config, store }) => run({ config, control: controlOf(io, config, store) }));
}

/** A running relay sees the changes in its store. */
export function controlOf({ env }: Pick<Io, 'env'>, config: Config, store: StoreData): Control {
  const by = { name: env['SUDO_USER'] || USER, way: 'command' } as const;
  return createControl({ store, settings: () => config, dns: dnsOf(config), by });
}

/** Loads the DNS client when an action needs it. */
function dnsOf({ dns: { servers, trustAd } }: Config): DnsClient {
  let loading: Promise<DnsClient> | undefined;
  const client = () => (loading ??= import('../dns/dns.ts').then(({ createDns }) => createDns({ servers, trustAd })));
  return {
    mx: async (name) => (await client()).mx(name),
    ptr: async (address) => (await client()).ptr(address),
    cname: async (name) => (await client()).cname(name),
    tlsa: async (name, afresh) => (await client()).tlsa(name, afresh),
    validates: async () => (await client()).validates(),
    txt: async (name, afresh) => (await client()).txt(name, afresh),
    a: async (name) => (await client()).a(name),
    aaaa: async (name) => (await client()).aaaa(name),
  };
}

/** A command that root runs first becomes the user that owns the data, so that it leaves no file that the relay cannot open. */
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
