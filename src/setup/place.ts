/** Where the console of a first run listens, kept for commands beside it: no configuration says it yet. */
import type { StoreData } from '../store/store.ts';

type Place = { readonly address: string; readonly port: number };

const KEPT = 'setup.console';

export function keepPlace({ operation }: StoreData, { address, port }: Place): Promise<void> {
  return operation.setValue(KEPT, JSON.stringify({ address, port }));
}

/** @returns undefined if no first run has opened its console. */
export async function keptPlace({ operation }: StoreData): Promise<Place | undefined> {
  const kept = await operation.value(KEPT);
  return kept === undefined ? undefined : (JSON.parse(kept) as Place);
}
