/** Clients that have logged in since the process started: strangers who guess or open connections must not take their places. */
import { createCache } from '../system/cache.ts';

const REMEMBERED = 10_000;

/** By `clientKey`. */
export type KnownClients = {
  has(key: string): boolean;
  add(key: string): void;
};

export function createKnownClients(): KnownClients {
  const known = createCache<string, true>(REMEMBERED);
  return {
    has: (key) => known.has(key),
    add: (key) => void known.set(key, true),
  };
}
