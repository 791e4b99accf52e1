/** Opens the store that SQLite keeps. */
import type { OpenOptions, Store } from '../contract.ts';

export async function openStore(options: OpenOptions): Promise<Store> {
  throw new Error(`not yet: ${options.dataDir}`);
}
