/** The loop: destinations with due mail and room for it → claim → attempt. RFC 5321 §4.5.4.1 */

import type { EventLog } from '../events/events.ts';
import type { Claim, MessageStore } from '../store/store.ts';
import type { Clock } from '../system/clock.ts';
import type { Attempts } from './attempts.ts';
import { watchClock } from './clock-jump.ts';
import { type DueEntry, DueView } from './due-view.ts';
import type { LostAnswers } from './lost-answers.ts';
import { createRefresher } from './refresh.ts';
import { bytesOf, MAX_RECIPIENTS, type Room } from './room.ts';

/** Messages of one destination claimed together, before the next destination is served. */
const BATCH = 20;
/** Claims asked for at a time: they share the store's commits. */
const PARALLEL = 8;
/** A message keeps less than this in memory; taken for granted until the claim is here. */
const LARGEST = 272 * 1024;
const RETURNED_PAUSE = 1000;
/** Never sleep longer: a wall clock that jumped is noticed then. */
const LONGEST_SLEEP = 30_000;

type RunnerOptions = {
  readonly store: Pick<MessageStore, 'due' | 'claim' | 'thaw'>;
  readonly log: EventLog;
  readonly lost: LostAnswers;
  readonly attempts: Attempts;
  /** Of what waited in the store: apart from that of new mail. */
  readonly room: Room;
  readonly blockedUntil: (destination: string) => number | undefined;
  /** Farthest pause ahead, ms. */
  readonly horizon: () => number;
  /** How long overdue mail waits for room before it is reviewed, ms. */
  readonly patience: () => number;
  readonly settleUntried: (claim: Claim) => Promise<void>;
  /** Whether anything may be claimed; `wake` where it may again. */
  readonly alive: () => boolean;
  readonly now: Clock;
};

export function startRunner(options: RunnerOptions) {
  const { store, log, lost, attempts, room, blockedUntil, now } = options;
  const view = new DueView();
  const monotonic = () => performance.now();
  const clockJump = watchClock(now, monotonic);
  const refresher = createRefresher({ store, log, view, now, onAnswer: kick, stopped: () => stopped });
  let claiming = 0;
  let kicked = false;
  let stopped = false;
  let starved = false;
  let thawing = false;
  let reviewing = false;
  let timer: NodeJS.Timeout | undefined;
  let timerAt = Number.POSITIVE_INFINITY;

  /** Many reasons in one turn of the event loop cost one look. */
  function kick(): void {
    if (kicked || stopped) return;
    kicked = true;
    setImmediate(pump);
  }

  function pump(): void {
    kicked = false;
    if (stopped) return;
    if (view.earliest <= monotonic()) view.unparkUntil(monotonic());
    while (options.alive() && claiming < PARALLEL && room.free() >= LARGEST) {
      const entry = view.next();
      if (entry === undefined) break;
      const limit = allowance(entry.destination);
      if (limit > 0) void claim(entry, limit);
      else if (!reviewing && now() - entry.since > options.patience()) void review(entry);
      else park(entry);
    }
    starved = room.free() < LARGEST;
    if (view.idle) refresher.wantMore();
    refresher.refreshIfDue();
    sleepUntil(Math.min(view.earliest, refresher.wantedAt, monotonic() + LONGEST_SLEEP));
  }

  /** Half of what is left at most: waiting mail never takes the room of new mail, nor new mail that of waiting mail. */
  function allowance(destination: string): number {
    let limit = Math.min(Math.ceil(room.attempts(destination) / 2), BATCH);
    while (limit > 0 && !room.fits(destination, limit * LARGEST)) limit = Math.floor(limit / 2);
    return limit;
  }

  /** Without room it is looked at again when there is some (`onRoom`), and now and then in any case. */
  function park(entry: DueEntry): void {
    const pause = (blockedUntil(entry.destination) ?? Number.POSITIVE_INFINITY) - now();
    view.park(entry, monotonic() + Math.min(Math.max(pause, 0), LONGEST_SLEEP));
  }

  /**
   * Mail that waits too long for room: what its destination's last failure means for it. One destination at a time, in the background
   * of what can be delivered. Reviewed mail becomes due again now; `reviewUntil` keeps this review from seeing it twice.
   */
  async function review(entry: DueEntry): Promise<void> {
    reviewing = true;
    if (entry.reviewUntil === 0) entry.reviewUntil = now() - 1;
    const { destination, reviewUntil } = entry;
    const { lease, release } = attempts.hold();
    let more = false;
    try {
      const claims = await store.claim({ destination, now: reviewUntil, limit: BATCH, lease });
      await Promise.all(claims.map(options.settleUntried));
      more = claims.length >= BATCH;
    } catch (error) {
      log.emit('storeFailed', { operation: 'claim', error });
      lost.claimLost(lease);
    }
    reviewing = false;
    if (more) view.putBack(entry);
    else {
      entry.reviewUntil = 0;
      entry.since = now();
      park(entry);
    }
    release();
    kick();
  }

  async function claim(entry: DueEntry, limit: number): Promise<void> {
    const { destination } = entry;
    const { events } = view;
    const { lease, release } = attempts.hold();
    claiming++;
    room.promise(destination, limit);
    room.take(destination, limit * LARGEST);
    let claims: readonly Claim[] = [];
    try {
      claims = await store.claim({ destination, now: now(), limit, lease });
      const more = claims.length >= limit || claims.some(({ recipients }) => recipients.length >= MAX_RECIPIENTS);
      if (more) view.putBack(entry);
      else {
        view.exhausted(entry, events);
        // The answer that named it did not say when its other mail is due. An empty claim may be one that another process was faster with.
        refresher.expect(now() + (claims.length > 0 ? 0 : RETURNED_PAUSE));
      }
    } catch (error) {
      log.emit('storeFailed', { operation: 'claim', error });
      lost.claimLost(lease);
      view.park(entry, monotonic() + 1000);
    } finally {
      claiming--;
      room.promise(destination, -limit);
      room.give(destination, limit * LARGEST);
    }
    for (const claimed of claims) start(claimed, destination);
    release();
    kick();
  }

  function start(claim: Claim, destination: string): void {
    const bytes = bytesOf(claim.content);
    room.take(destination, bytes);
    attempts.start(claim, () => {
      room.give(destination, bytes);
      view.unpark(destination);
      if (starved || view.has(destination)) kick();
    });
  }

  function sleepUntil(at: number): void {
    if (at >= timerAt) return;
    clearTimeout(timer);
    timerAt = at;
    timer = setTimeout(onTimer, Math.max(at - monotonic(), 0));
  }

  function onTimer(): void {
    timerAt = Number.POSITIVE_INFINITY;
    checkClock();
    kick();
  }

  function checkClock(): void {
    const jump = clockJump();
    if (jump === 0) return;
    log.emit('clockJumped', { seconds: Math.round(jump / 1000) });
    refresher.forget();
    view.unparkUntil();
    if (jump < 0) void thaw();
  }

  /** One at a time, in the background; a fault is not fatal: the next jump or start looks again. */
  async function thaw(): Promise<void> {
    if (thawing) return;
    thawing = true;
    try {
      const recipients = await store.thaw(now() + options.horizon(), now());
      if (recipients > 0) log.emit('clockCorrected', { recipients });
      if (recipients > 0) refresher.forget();
    } catch (error) {
      if (!stopped) log.emit('storeFailed', { operation: 'thaw', error });
    } finally {
      thawing = false;
    }
    kick();
  }

  void thaw();
  return {
    /** `destination` has mail due now that this process knows of. */
    announce(destination: string): void {
      view.announce(destination, now());
      kick();
    },
    /** Mail becomes due at `at`. */
    expect(at: number): void {
      if (refresher.expect(at)) kick();
    },
    /** Mail was handed back untried. It is not claimed again at once, or both sides would spin. Mail that is due later stops no other mail. */
    handedBack(destination: string, at: number): void {
      if (at < now() + RETURNED_PAUSE) view.pause(destination, monotonic() + RETURNED_PAUSE);
      if (refresher.expect(Math.max(at, now() + RETURNED_PAUSE))) kick();
    },
    /** `destination` has room again. */
    roomFor(destination: string): void {
      if (view.unpark(destination)) kick();
    },
    wake(): void {
      checkClock();
      refresher.forget();
      view.unparkUntil();
      kick();
    },
    /** No further claims. */
    stop(): void {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
