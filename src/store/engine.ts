/** Chooses the engine that keeps the data. Only this file reads the setting `store`. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import type { StoreCluster } from './cluster.ts';
import { joinFiles, type StoreFiles, storeFiles } from './embedded/embedded.ts';
import type { MovedStore, MoveProgress } from './move.ts';
import { type OpenOptions, StoreError } from './opening.ts';
import { joinPostgres, openPostgres, type PostgresSettings, serverOf } from './postgres/postgres-store.ts';
import type { JoinedStore, OpenedStore } from './store.ts';

/** A configuration has both. */
type StoreSettings = {
  /** The name of the engine, or the place of a PostgreSQL database. */
  readonly store: string | PostgresSettings;
  /** A directory of this machine. An engine may leave it empty. */
  readonly dataDir: string;
};

type Engine = {
  open(options: OpenOptions): Promise<OpenedStore>;
  join(port: MessagePort): JoinedStore;
  /** Absent if the data are not in files of this machine. */
  readonly files?: StoreFiles;
  /** Absent if the data are not in a shared database. */
  readonly cluster?: () => StoreCluster;
};

/** @throws StoreError if this release has no such engine. The sentence has only the beginning of a URL, because a URL may hold a password. */
function engineOf({ store, dataDir }: StoreSettings): Engine {
  if (typeof store === 'object') {
    return {
      open: async (options) =>
        openPostgres({
          ...{ ...options, server: serverOf(store), node: store.node, maxSize: store.maxSize },
          // A command leaves it to the relay to find out.
          ...(options.onWentBack === undefined ? {} : { pastFile: join(dataDir, 'database.seen') }),
        }),
      join: joinPostgres,
      cluster: () => clusterAt(serverOf(store), store.node ?? hostname()),
    };
  }
  const name = /^[\w-]*/.exec(store)?.[0];
  switch (name) {
    case 'sqlite': {
      const files = storeFiles(dataDir);
      return { files, open: files.open, join: (port) => joinFiles(dataDir, port) };
    }
    default:
      throw new StoreError(`store: this release has no engine named ${JSON.stringify(name)}, only sqlite and postgres`);
  }
}

/** Loads the client of PostgreSQL when it is asked: the process of a relay never needs it, and it takes megabytes. */
function clusterAt(server: ReturnType<typeof serverOf>, node: string): StoreCluster {
  const loaded = async () => (await import('./postgres/cluster-view.ts')).postgresCluster(server, node);
  return {
    nodes: async () => (await loaded()).nodes(),
    look: async () => (await loaded()).look(),
    backup: async (file) => (await loaded()).backup(file),
    restore: async (request) => (await loaded()).restore(request),
  };
}

/** Opens the store, also while other processes have it open. Makes it if there is none. @throws StoreError with one sentence for the operator. */
export async function openStore(settings: StoreSettings, options: OpenOptions = {}): Promise<OpenedStore> {
  return engineOf(settings).open(options);
}

/** Opens the store in another thread of the process that has it open. @param port of `share`. */
export function joinStore(settings: StoreSettings, port: MessagePort): JoinedStore {
  return engineOf(settings).join(port);
}

/** @returns undefined if the data are not in files of this machine. @throws StoreError if this release has no such engine. */
export function filesOf(settings: StoreSettings): StoreFiles | undefined {
  return engineOf(settings).files;
}

/** @returns undefined if the data are not in a database that several relays can share. @throws StoreError as `openStore`. */
export function clusterOf(settings: StoreSettings): StoreCluster | undefined {
  return engineOf(settings).cluster?.();
}

type MoveRequest = { readonly from: StoreSettings; readonly to: StoreSettings; readonly told: (progress: MoveProgress) => void };

/**
 * Carries all data to another engine, while no relay has either of them open. Afterwards the old store cannot be opened. May be repeated
 * after a crash. @throws StoreError with one sentence for the operator; the old store is as it was then, or the sentence says what to do.
 */
export async function moveStore({ from, to, told }: MoveRequest): Promise<MovedStore> {
  const { moveIn, moveOut } = await import('./postgres/store-move.ts');
  if (from.store === 'sqlite' && typeof to.store === 'object')
    return moveIn({ dataDir: from.dataDir, server: serverOf(to.store), machine: to.store.node ?? hostname(), told });
  if (typeof from.store === 'object' && to.store === 'sqlite')
    return moveOut({ dataDir: to.dataDir, server: serverOf(from.store), machine: from.store.node ?? hostname(), told });
  throw new StoreError('A store is moved from files into a database, or from a database into files');
}
