/** Keeps the stored figures of the overview for a moment, so that many who look cost the store no more than one. */
import type { StoredStatus } from '../../control/control.ts';
import { SECOND } from '../../system/clock.ts';
import type { ConsoleParts } from '../console.ts';

const KEPT = SECOND;
/** Callers who may see different mail. */
const MOST = 100;

type Entry = { readonly at: number; readonly status: Promise<StoredStatus> };
const caches = new WeakMap<ConsoleParts, Map<string, Entry>>();

/** @param users whose mail is counted. */
export function keepStatus(
  parts: ConsoleParts,
  users: readonly string[] | null,
  read: () => Promise<StoredStatus>,
): Promise<StoredStatus> {
  const cache = caches.get(parts) ?? new Map<string, Entry>();
  caches.set(parts, cache);
  const key = JSON.stringify(users);
  const known = cache.get(key);
  if (known !== undefined && performance.now() - known.at < KEPT) return known.status;
  if (cache.size >= MOST) cache.clear();
  const status = read();
  cache.set(key, { at: performance.now(), status });
  status.catch(() => cache.delete(key));
  return status;
}
