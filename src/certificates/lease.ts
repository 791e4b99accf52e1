/** The right of one process to do a piece of work. The holder renews it again and again; it expires soon after the holder has died. */
import type { OperationStore } from '../store/store.ts';
import { SECOND } from '../system/clock.ts';

/** A lease expires after this time. The holder renews it three times as often. */
export const LEASE_TIME = 30 * SECOND;

type Lease = {
  /** Aborts when the lease is lost. */
  readonly signal: AbortSignal;
  release(): Promise<void>;
};

type LeaseOptions = {
  readonly name: string;
  /** Two processes must not use the same name at a time. */
  readonly owner: string;
  readonly operation: OperationStore;
  readonly now: () => number;
};

/** @returns undefined if another process has the lease. */
export async function holdLease({ name, owner, operation, now }: LeaseOptions): Promise<Lease | undefined> {
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
    signal: lost.signal,
    async release() {
      clearInterval(timer);
      if (!lost.signal.aborted) await operation.takeLease(name, owner, 0, now()).catch(() => undefined); // it expires by itself
    },
  };
}
