/** Whether sessions have threads of their own, and what these threads share. */
import type { Certificates } from '../certificates/certificates.ts';
import type { Config } from '../config/config.ts';
import type { EventLog } from '../events/events.ts';
import type { Queue } from '../queue/queue.ts';
import type { OpenedStore } from '../store/store.ts';
import type { Guard } from '../submission/submission.ts';
import type { DiskWatch } from '../system/disk-watch.ts';
import type { Log } from '../system/log.ts';
import { threadsOf } from '../system/thread-count.ts';
import { whyUnusable } from './health.ts';
import type { Machine } from './threads/member.ts';
import { startThreads, type Threads } from './threads/threads.ts';

/** What exists only when the threads run already, and before the ports open. */
export type LateParts = {
  guard?: Guard;
  queue?: Queue;
  notifyLimit?: Machine['notifyLimit'];
  tellMisaligned?: Machine['tellMisaligned'];
};

type SessionThreadsOptions = Pick<Machine, 'sts' | 'results' | 'senders' | 'validatesNow' | 'observe'> & {
  readonly current: { readonly config: Config };
  readonly log: Log;
  readonly events: EventLog;
  readonly store: OpenedStore;
  readonly disk: DiskWatch | undefined;
  readonly certificates: Certificates;
  readonly validates: () => boolean;
  readonly late: LateParts;
};

/** @returns undefined if sessions stay in the main thread. Rejects with the reason where a thread cannot start. */
export async function startSessionThreads(options: SessionThreadsOptions): Promise<Threads | undefined> {
  const { current, log, events, observe, store, disk, certificates, validates, validatesNow, late } = options;
  const { sts, results, senders } = options;
  const count = threadsOf(current.config);
  if (count === 1) return undefined;
  return startThreads({
    ...{ count, store, sts, results, senders, validatesNow, log: events, write: log.write, observe },
    config: () => current.config,
    tls: certificates.current(),
    state: () => ({
      crowded: late.guard?.crowded ?? false,
      unusable: whyUnusable({ disk, store, minFree: current.config.queue.minFree, queue: late.queue }),
      validates: validates(),
    }),
    guard: () => there(late.guard),
    queue: () => there(late.queue),
    notifyLimit: (...notice) => late.notifyLimit?.(...notice),
    tellMisaligned: (problem) => late.tellMisaligned?.(problem),
  });
}

function there<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('The relay is still starting');
  return part;
}
