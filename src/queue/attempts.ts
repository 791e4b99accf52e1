/** Attempts under way: each delivers, then settles; and how they end when the process does. */
import { setMaxListeners } from 'node:events';
import type { EventLog } from '../events/events.ts';
import type { Outcome } from '../smtp/outcome.ts';
import type { Claim, ClaimLease } from '../store/store.ts';

export type Deliver = (claim: Claim, signal: AbortSignal) => Promise<readonly Outcome[]>;
export type Attempts = ReturnType<typeof createAttempts>;

/** Attempts that are left after the deadline are only settled: the store gets this long for it. */
const SETTLE_GRACE = 5000;

const RETURNED: Outcome = { kind: 'returned', reply: { code: 451, status: '4.3.2', text: 'shutting down' }, seconds: 0 };

export function createAttempts({
  owner,
  deliver,
  settle,
  log,
}: {
  /** The owner of the claims. */
  owner: string;
  deliver: Deliver;
  /** Never rejects. */
  settle: (claim: Claim, outcomes: readonly Outcome[]) => Promise<void>;
  log: EventLog;
}) {
  let stop = newStop();
  let closing = false;
  const waiting = new Set<() => void>();
  /** With the outcomes that are being settled. */
  const inHand = new Map<Claim, readonly Outcome[] | undefined>();
  /** By the message. */
  const before = new Map<string, Promise<void>>();
  let busy = 0;
  let claims = 0;
  let idle: (() => void) | undefined;

  function newStop(): AbortController {
    const controller = new AbortController();
    setMaxListeners(0, controller.signal); // every conversation listens
    return controller;
  }

  function end(): void {
    if (--busy === 0) idle?.();
  }

  /** Resolves when nothing is under way, or after `deadline` ms. */
  function untilIdle(deadline: number): Promise<void> {
    if (busy === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, deadline);
      idle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Deliver's answer, or "uncertain" when the process can wait no longer. */
  function outcomesOf(claim: Claim): Promise<readonly Outcome[]> {
    const startedAt = performance.now();
    return new Promise((resolve) => {
      const giveUp = () => resolve(claim.recipients.map(() => uncertain(startedAt)));
      waiting.add(giveUp);
      const answer = (outcomes: readonly Outcome[]) => {
        waiting.delete(giveUp);
        resolve(outcomes);
      };
      deliver(claim, stop.signal).then(
        (outcomes) => answer(claim.recipients.map((_, i) => outcomes[i] ?? broken(startedAt))),
        (error: unknown) => {
          log.emit('deliveryBroken', { queueId: claim.message.id, error });
          answer(claim.recipients.map(() => broken(startedAt)));
        },
      );
    });
  }

  async function run(claim: Claim, done: () => void): Promise<void> {
    try {
      const outcomes = closing ? claim.recipients.map(() => RETURNED) : await outcomesOf(claim);
      inHand.set(claim, outcomes);
      if (before.size > 0) await before.get(claim.message.id);
      await settle(claim, outcomes);
    } finally {
      inHand.delete(claim);
      done();
      end();
    }
  }

  return {
    /** Delivers and settles; `done` is called when both are over. */
    start(claim: Claim, done: () => void): void {
      busy++;
      inHand.set(claim, undefined);
      void run(claim, done);
    },
    /**
     * Work that may yet become an attempt: `close` waits for it until `release`. Each claim has a lease of its own, so that it can be
     * given back alone, and no other claim is settled by it.
     */
    hold(): { readonly lease: ClaimLease; readonly release: () => void } {
      busy++;
      return { lease: `${owner}#${++claims}`, release: end };
    },
    /** What is being delivered or settled. */
    get inHand(): ReadonlyMap<Claim, readonly Outcome[] | undefined> {
      return inHand;
    },
    /** Attempts of this message are settled when `done` has resolved. */
    settleAfter(id: string, done: Promise<void>): void {
      before.set(id, done);
      void done.then(() => before.delete(id));
    },
    get closing() {
      return closing;
    },
    /** Something is claimed, or may be soon. */
    get busy() {
      return busy > 0;
    },
    /** Breaks off the attempts that have not sent their final dot. Attempts that start from now on are not concerned. */
    handBack(): void {
      if (closing) return;
      stop.abort('closing');
      stop = newStop();
    },
    /** @param deadline ms until replies to final dots are given up as uncertain. @param onDeadline called before they are settled. */
    async close(deadline: number, onDeadline: () => void): Promise<void> {
      closing = true;
      stop.abort(deadline > 0 ? 'closing' : 'now');
      await untilIdle(deadline);
      onDeadline();
      for (const giveUp of waiting) giveUp();
      await untilIdle(SETTLE_GRACE);
    },
  };
}

const since = (startedAt: number) => (performance.now() - startedAt) / 1000;

function uncertain(startedAt: number): Outcome {
  const text = 'The message may have arrived: no reply to the end of data before the relay had to stop';
  return { kind: 'uncertain', reply: { code: 451, status: '4.4.2', text }, seconds: since(startedAt) };
}

/** Deliver promises an outcome for each recipient. Where it breaks the promise, the mail waits, and does not expire for that. */
function broken(startedAt: number): Outcome {
  const text = 'internal error during delivery';
  return { kind: 'delayed', reply: { code: 451, status: '4.3.0', text }, waitsForUs: true, seconds: since(startedAt) };
}
