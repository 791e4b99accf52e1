/**
 * How fast TLS handshakes with one client may follow each other. A handshake costs more than anything else that a client can ask for
 * before a login. A handshake that leads to a login does not count, so that a busy application with a connection for each message is
 * never slowed.
 */
import { createCache } from '../system/cache.ts';
import { type Clock, SECOND } from '../system/clock.ts';
import type { KnownClients } from './admission.ts';

type HandshakePace = {
  /**
   * Counts a handshake. @returns milliseconds until it may begin. Undefined: too many wait before it. This is never the answer for a
   * client that has logged in before.
   */
  next(key: string): number | undefined;
  /** The handshake has led to a login. */
  repay(key: string): void;
  /** @param rate handshakes a second. */
  reload(rate: number): void;
};

/** Handshakes of a client that still count, as it was at `at`. */
type Debt = { owed: number; at: number };

/** Milliseconds of the rate that may be used at once, and the longest wait behind them. */
const BURST = 5 * SECOND;
/** Clients that are remembered. A forgotten one owes nothing. */
const REMEMBERED = 10_000;

/** @param rate handshakes a second and client that lead to no login. @param monotonic milliseconds by a clock that is never set. */
export function createHandshakePace(rate: number, monotonic: Clock, known: Pick<KnownClients, 'has'>): HandshakePace {
  let perMillisecond = rate / SECOND;
  const debts = createCache<string, Debt>(REMEMBERED);

  function debtOf(key: string): Debt {
    const now = monotonic();
    const debt = debts.get(key) ?? { owed: 0, at: now };
    debt.owed = Math.max(0, debt.owed - (now - debt.at) * perMillisecond);
    debt.at = now;
    return debt;
  }

  return {
    next(key) {
      const debt = debtOf(key);
      const wait = (debt.owed + 1) / perMillisecond - BURST;
      if (wait > BURST && !known.has(key)) return undefined;
      debt.owed++;
      debts.set(key, debt);
      return Math.max(0, wait);
    },
    repay(key) {
      const debt = debtOf(key);
      debt.owed = Math.max(0, debt.owed - 1);
    },
    reload(next) {
      perMillisecond = next / SECOND;
    },
  };
}
