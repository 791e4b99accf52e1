/** The engine that keeps the data: this file alone chooses it, by the value of the configuration. */
import { type StoreFiles, storeFiles } from './embedded/embedded.ts';
import { type OpenOptions, StoreError } from './opening.ts';
import type { Store } from './store.ts';

/** A configuration has both. */
type StoreSettings = {
  /** The name of the engine; the URL of a shared store begins with it. */
  readonly store: string;
  /** Of this machine; an engine may keep nothing in it. */
  readonly dataDir: string;
};

type Engine = {
  open(options: OpenOptions): Promise<Store>;
  /** Absent where the data are not in files of this machine. */
  readonly files?: StoreFiles;
};

/** @throws StoreError where this release has no such engine. A URL may hold a password, so that the sentence has its beginning alone. */
function engineOf({ store, dataDir }: StoreSettings): Engine {
  const name = /^[\w-]*/.exec(store)?.[0];
  switch (name) {
    case 'sqlite': {
      const files = storeFiles(dataDir);
      return { files, open: files.open };
    }
    default:
      throw new StoreError(`store: this release has no engine named ${JSON.stringify(name)}, only sqlite`);
  }
}

/** Opens it beside all that have it open, and makes it where there is none. @throws StoreError with the one sentence the operator needs. */
export async function openStore(settings: StoreSettings, options: OpenOptions = {}): Promise<Store> {
  return engineOf(settings).open(options);
}

/** @returns undefined where the data are not in files of this machine. @throws StoreError where this release has no such engine. */
export function filesOf(settings: StoreSettings): StoreFiles | undefined {
  return engineOf(settings).files;
}

/** For what files alone can have, such as a backup. @throws StoreError where the data are not in files of this machine. */
export function needFiles(settings: StoreSettings): StoreFiles {
  const files = filesOf(settings);
  if (files === undefined)
    throw new StoreError('store: the engine keeps its data elsewhere: this is for a store in files of this machine');
  return files;
}
