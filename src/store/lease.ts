/**
 * The right of one process to do a piece of work alone. A process that stands still does not know that it has lost the right, so that a
 * lease that was only looked at before a change proves nothing: each change is stored only while the lease is held, in one transaction.
 */
import { SECOND } from '../system/clock.ts';
import type { OperationStore } from './operation-store.ts';

/** `owner` is one run of one process. Two processes must not use the same name at a time. */
export type Lease = { readonly name: string; readonly owner: string };

declare const LED: unique symbol;
/**
 * A part of the data whose changes carry a lease. A change is rejected with `ELEASE`, and nothing is changed, if another process has taken
 * the lease since. A function that only one process may call takes this type, so that it cannot be called without a lease.
 */
export type Led<T> = T & { readonly [LED]: true };

/** A lease that is held for some time expires after this time without a renewal. It is renewed three times as often. */
export const LEASE_TIME = 30 * SECOND;

type HeldLease = {
  readonly operation: Led<OperationStore>;
  /** Aborts when the lease is lost. */
  readonly signal: AbortSignal;
  release(): Promise<void>;
};

type HoldOptions = Lease & {
  readonly operation: Pick<OperationStore, 'takeLease' | 'underLease'>;
  readonly now: () => number;
};

/** Holds a lease until it is released, or this process is dead. @returns undefined if another process has it. */
export async function holdLease({ name, owner, operation, now }: HoldOptions): Promise<HeldLease | undefined> {
  const take = () => operation.takeLease(name, owner, now() + LEASE_TIME, now());
  if (!(await take())) return undefined;
  const lost = new AbortController();
  const beat = async () => {
    const held = await take().catch(() => true); // an error of the store says nothing about the lease, which expires by itself
    if (!held) lost.abort();
  };
  const timer = setInterval(() => void beat(), LEASE_TIME / 3);
  timer.unref();
  return {
    operation: operation.underLease({ name, owner }),
    signal: lost.signal,
    async release() {
      clearInterval(timer);
      if (!lost.signal.aborted) await operation.takeLease(name, owner, 0, now()).catch(() => undefined); // it expires by itself
    },
  };
}

/** A change came too late: another process has the lease. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';

  constructor({ name }: Lease) {
    super(`Another process has the lease ${name}: nothing was changed`);
  }
}

/** The small value that a lease is kept in. */
export const leaseValue = ({ name }: Pick<Lease, 'name'>) => `lease.${name}`;
