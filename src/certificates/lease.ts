/** The right of one worker to do a piece of work, kept by asking for it again and again, free soon after the worker has died. */
import type { OperationStore } from '../store/store.ts';
import { SECOND } from '../system/clock.ts';

/** The lease of a worker that died is free after this; one that lives asks for it three times as often. */
export const LEASE_TIME = 30 * SECOND;

type Lease = {
  /** Aborts where the lease was lost. */
  readonly signal: AbortSignal;
  release(): Promise<void>;
};

type LeaseOptions = {
  readonly name: string;
  /** Only one process at a time may use it. */
  readonly owner: string;
  readonly operation: OperationStore;
  readonly now: () => number;
};

/** @returns undefined where another worker has it. */
export async function holdLease({ name, owner, operation, now }: LeaseOptions): Promise<Lease | undefined> {
  const take = () => operation.takeLease(name, owner, now() + LEASE_TIME, now());
  if (!(await take())) return undefined;
  const lost = new AbortController();
  const beat = async () => {
    const held = await take().catch(() => true); // a store in trouble says nothing about the lease; it runs out by itself
    if (!held) lost.abort();
  };
  const timer = setInterval(() => void beat(), LEASE_TIME / 3);
  timer.unref();
  return {
    signal: lost.signal,
    async release() {
      clearInterval(timer);
      if (!lost.signal.aborted) await operation.takeLease(name, owner, 0, now()).catch(() => undefined); // runs out by itself
    },
  };
}
