/**
 * How many sessions may be open, in all and per client. A client over its number waits a little, because a 421 stops the whole queue of a
 * mail server. A fifth of the places is kept for sessions that have logged in and for clients that have logged in before. So strangers
 * that open connections and say nothing never take all places.
 */
import type { EventEmitter } from 'node:events';
import { createCache } from '../system/cache.ts';

type AdmissionLimits = { readonly maxSessions: number; readonly maxSessionsPerAddress: number };

/** The place of one session. */
export type Admitted = {
  /** The session has logged in and no longer takes a place of the strangers. */
  loggedIn(): void;
  leave(): void;
};

/** Clients that have logged in since the process started, by `clientKey`. */
export type KnownClients = {
  has(key: string): boolean;
  add(key: string): void;
};

type Admission = {
  /** A place, at once or later. False: there was none in time. */
  enter(key: string, socket: EventEmitter): Admitted | false | Promise<Admitted | false>;
  /** Most of the places of strangers, or of all places, are taken: more than the share MOST. */
  readonly crowded: boolean;
  reload(limits: AdmissionLimits): void;
};

type Waiting = { readonly key: string; readonly settle: (place: Admitted | false) => void };

/** Clients that are remembered. */
const REMEMBERED = 10_000;
/** The share of the places that strangers may take, and above which it is crowded. */
const MOST = 0.8;
/** With fewer places than this none is kept back, because that would turn away more clients than it protects. */
const FEW = 100;

export function createKnownClients(): KnownClients {
  const known = createCache<string, true>(REMEMBERED);
  return {
    has: (key) => known.has(key),
    add: (key) => void known.set(key, true),
  };
}

/** @param patience longest wait for a place, in milliseconds. */
export function createAdmission(first: AdmissionLimits, patience: number, known: KnownClients = createKnownClients()): Admission {
  let limits = first;
  let total = 0;
  /** Sessions that have not logged in. */
  let strangers = 0;
  const inside = new Map<string, number>();
  const outside = new Set<Waiting>();

  const forStrangers = () => (limits.maxSessions < FEW ? limits.maxSessions : Math.ceil(limits.maxSessions * MOST));
  const hasRoom = (key: string) =>
    total < limits.maxSessions &&
    (strangers < forStrangers() || known.has(key)) &&
    (inside.get(key) ?? 0) < limits.maxSessionsPerAddress;

  function take(key: string): Admitted {
    total++;
    strangers++;
    inside.set(key, (inside.get(key) ?? 0) + 1);
    let isStranger = true;
    const introduce = () => {
      if (isStranger) strangers--;
      isStranger = false;
    };
    return {
      loggedIn() {
        introduce();
        known.add(key);
        admitWaiting();
      },
      leave() {
        introduce();
        total--;
        const left = (inside.get(key) ?? 1) - 1;
        if (left === 0) inside.delete(key);
        else inside.set(key, left);
        admitWaiting();
      },
    };
  }

  /** At most `maxSessions` connections wait, and at most `maxSessionsPerAddress` of one client. */
  function mayWait(key: string): boolean {
    if (outside.size >= limits.maxSessions) return false;
    let same = 0;
    for (const one of outside) if (one.key === key) same++;
    return same < limits.maxSessionsPerAddress;
  }

  function wait(key: string, socket: EventEmitter): Promise<Admitted | false> {
    return new Promise((resolve) => {
      const gone = () => waiting.settle(false);
      const timer = setTimeout(gone, patience);
      const waiting: Waiting = {
        key,
        settle(place) {
          clearTimeout(timer);
          socket.removeListener('close', gone);
          outside.delete(waiting);
          resolve(place);
        },
      };
      socket.once('close', gone);
      outside.add(waiting);
    });
  }

  function admitWaiting(): void {
    for (const waiting of outside) {
      if (total >= limits.maxSessions) return;
      if (hasRoom(waiting.key)) waiting.settle(take(waiting.key));
    }
  }

  return {
    enter(key, socket) {
      if (hasRoom(key)) return take(key);
      return mayWait(key) ? wait(key, socket) : false;
    },
    get crowded() {
      return strangers > forStrangers() * MOST || total > limits.maxSessions * MOST;
    },
    reload(next) {
      limits = next;
      admitWaiting();
    },
  };
}
