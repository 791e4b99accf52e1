/** What the parts of a relay would know in which nothing has happened yet. */
import type { LiveFacts } from '../../src/console/console.ts';
import { createConsoleBooks } from '../../src/relay/console-books.ts';
import { DAY } from '../../src/system/clock.ts';
import { NOW } from './store-rig.ts';

export const QUIET: ReturnType<LiveFacts['condition']> = {
  unusable: null,
  disk: { free: 40_000_000_000, wanted: 100_000_000 },
  certificates: [{ keyType: 'ecdsa', notAfter: Date.now() + 60 * DAY, failures: 0 }],
  certificateTroubles: [],
  port25: 'open',
  skew: null,
  sessions: 0,
  resting: { now: 0, known: 0 },
  blocked: [],
  stopped: [],
};

/** `books` hear what a test tells them. */
export function quietFacts(changes: Partial<LiveFacts> = {}) {
  const books = createConsoleBooks(true, () => NOW);
  const live: LiveFacts = {
    lastHour: (users) => books.hour.lastHour(users),
    refusals: () => [],
    destinations: () => [],
    condition: () => QUIET,
    isShared: () => true,
    watch: (listener) => books.watch(listener),
    log: books.log,
    ...changes,
  };
  return { live, books };
}
