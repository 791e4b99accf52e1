/** How many sessions at once, in all and per client. Who comes too early waits a little: a 421 stops a mail server's whole queue. */
import type { EventEmitter } from 'node:events';

export type AdmissionLimits = { readonly maxSessions: number; readonly maxSessionsPerAddress: number };

export type Admission = {
  /** True, at once or later: the caller has a place, and gives it back by `leave`. False: there was none in time. */
  enter(key: string, socket: EventEmitter): boolean | Promise<boolean>;
  leave(key: string): void;
  /** More than four fifths of all places are taken. */
  readonly crowded: boolean;
  reload(limits: AdmissionLimits): void;
};

type Waiting = { readonly key: string; readonly settle: (admitted: boolean) => void };

/** @param patience milliseconds one waits for a place. */
export function createAdmission(first: AdmissionLimits, patience: number): Admission {
  let limits = first;
  let total = 0;
  const inside = new Map<string, number>();
  const outside = new Set<Waiting>();

  const hasRoom = (key: string) => total < limits.maxSessions && (inside.get(key) ?? 0) < limits.maxSessionsPerAddress;
  const take = (key: string) => {
    total++;
    inside.set(key, (inside.get(key) ?? 0) + 1);
  };

  /** The waiting room is as large as the house: beyond that, and for each client, nobody waits. */
  function mayWait(key: string): boolean {
    if (outside.size >= limits.maxSessions) return false;
    let same = 0;
    for (const one of outside) if (one.key === key) same++;
    return same < limits.maxSessionsPerAddress;
  }

  function wait(key: string, socket: EventEmitter): Promise<boolean> {
    return new Promise((resolve) => {
      const gone = () => waiting.settle(false);
      const timer = setTimeout(gone, patience);
      const waiting: Waiting = {
        key,
        settle(admitted) {
          clearTimeout(timer);
          socket.removeListener('close', gone);
          outside.delete(waiting);
          resolve(admitted);
        },
      };
      socket.once('close', gone);
      outside.add(waiting);
    });
  }

  function admitWaiting(): void {
    for (const waiting of outside) {
      if (total >= limits.maxSessions) return;
      if (!hasRoom(waiting.key)) continue;
      take(waiting.key);
      waiting.settle(true);
    }
  }

  return {
    enter(key, socket) {
      if (hasRoom(key)) {
        take(key);
        return true;
      }
      return mayWait(key) ? wait(key, socket) : false;
    },
    leave(key) {
      total--;
      const left = (inside.get(key) ?? 1) - 1;
      if (left === 0) inside.delete(key);
      else inside.set(key, left);
      admitWaiting();
    },
    get crowded() {
      return total > limits.maxSessions * 0.8;
    },
    reload(next) {
      limits = next;
      admitWaiting();
    },
  };
}
