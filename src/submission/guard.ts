/** What is counted once for the whole machine: places, handshakes and wrong logins. All sessions ask it, in whatever thread they run. */
import type { EventEmitter } from 'node:events';
import type { Verification } from '../credentials/credentials.ts';
import { isLoopback } from '../net/addresses.ts';
import { networkOf } from '../net/client-networks.ts';
import type { Clock } from '../system/clock.ts';
import { SECOND } from '../system/clock.ts';
import { type Admitted, createAdmission, createKnownClients } from './admission.ts';
import { createBruteForce } from './brute-force.ts';
import { createHandshakePace } from './handshake-pace.ts';
import { failureDelay } from './login.ts';
import type { SubmissionOptions } from './submission.ts';

/** A place, or why there is none. `noPlaceInTime`: the client has waited for it. */
export type Entrance = Admitted | 'blocked' | 'tooManySessions' | 'noPlaceInTime';

/** A client: its address, and the key by which sessions and handshakes are counted. */
export type ClientFacts = { readonly ip: string; readonly client: string };

export type Guard = {
  /** Few places are left. */
  readonly crowded: boolean;
  /** A place, at once or later. @param socket emits `close` if the client leaves while it waits. */
  admit(caller: ClientFacts, socket: EventEmitter): Entrance | Promise<Entrance>;
  /** Counts a TLS handshake. @returns milliseconds until it may begin; undefined: too many wait before it. */
  nextHandshake(client: string): number | undefined | Promise<number | undefined>;
  /** The last handshake of the client has led to a login. */
  repayHandshake(client: string): void;
  /** `blocked`: the address, or the pair of name and address, has failed too often. Never rejects. */
  verify(login: { readonly name: string; readonly password: string }, caller: ClientFacts): Promise<Verification | 'blocked'>;
  /** Counts a wrong login, and keeps the count if the store can. @returns the failures of the address in this minute. Never rejects. */
  recordFailure(ip: string, name: string): Promise<number>;
};

/** Logins at the console: counted in the same table and by the same limits, under keys of their own. */
export type ConsoleGuard = {
  /**
   * The address, or the pair of name and address, has failed too often there, or the address by SMTP. This machine itself is never blocked,
   * because it is the way in by SSH: its answers only wait.
   */
  isBlocked(ip: string, name?: string): boolean;
  /** Counts a wrong login. @returns milliseconds that its answer waits. Never rejects. */
  recordFailure(ip: string, name: string): Promise<number>;
};

/** The guard of this process, and what follows from new settings. */
type OwnGuard = Guard & { readonly console: ConsoleGuard; reload(limits: Pick<SubmissionOptions, 'limits' | 'auth'>): void };

type GuardOptions = Pick<SubmissionOptions, 'limits' | 'auth' | 'failures' | 'credentials' | 'log'> & {
  readonly now: Clock;
  readonly monotonic: Clock;
};

/** Milliseconds that a client over its number of sessions waits for a place before it is refused. */
const PATIENCE = 5 * SECOND;

/** Rejects when the store fails. */
export async function createGuard({ limits, auth, failures, credentials, log, now, monotonic }: GuardOptions): Promise<OwnGuard> {
  const known = createKnownClients();
  const bruteForce = await createBruteForce({ auth, failures, now, known });
  const handshakes = createHandshakePace(limits.handshakesPerAddress, monotonic, known);
  const admission = createAdmission(limits, PATIENCE, known);
  let step = auth.failureDelay;

  async function recordFailure(ip: string, name: string, door?: 'web'): Promise<number> {
    const { inMinute, kept } = bruteForce.recordFailure(ip, name, door);
    await kept.catch((error) => log.emit('failureNotKept', { error })); // it counts until the next start
    return inMinute;
  }

  return {
    get crowded() {
      return admission.crowded;
    },
    admit({ ip, client }, socket) {
      if (bruteForce.isBlocked(ip)) return 'blocked';
      const place = admission.enter(client, socket);
      if (place instanceof Promise) return place.then((found) => found || 'noPlaceInTime');
      return place || 'tooManySessions';
    },
    nextHandshake: (client) => handshakes.next(client),
    repayHandshake: (client) => handshakes.repay(client),
    async verify({ name, password }, { ip, client }) {
      if (bruteForce.isBlocked(ip, name)) return 'blocked';
      const asker = { client, network: networkOf(ip), known: known.has(client) };
      const verification = await credentials.verify(name, password, asker);
      // Other guesses from this address may have failed meanwhile. A right guess among a hundred at once is no login.
      return bruteForce.isBlocked(ip, name) ? 'blocked' : verification;
    },
    recordFailure: (ip, name) => recordFailure(ip, name),
    console: {
      isBlocked: (ip, name) => !isLoopback(ip) && (bruteForce.isBlocked(ip, name, 'web') || bruteForce.isBlocked(ip)),
      recordFailure: async (ip, name) => failureDelay(step, await recordFailure(ip, name, 'web')),
    },
    reload(next) {
      step = next.auth.failureDelay;
      bruteForce.reload(next.auth);
      admission.reload(next.limits);
      handshakes.reload(next.limits.handshakesPerAddress);
    },
  };
}
