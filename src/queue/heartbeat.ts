/**
 * The signs of life of this process, as long as it holds claims, and the claims of processes that have stopped giving signs.
 *
 * Stop before dead: a process that has given no sign for STOP claims nothing and starts nothing until it has given one. A process that has
 * given none for BREAK_OFF breaks off what has not sent its final dot, because a process that is silent for DEAD loses what it holds to
 * others. So does a process that finds out that it has lost it.
 */

import type { EventLog } from '../events/events.ts';
import type { MessageStore } from '../store/store.ts';
import { type Clock, SECOND } from '../system/clock.ts';

const BEAT = 5 * SECOND;
const STOP = 15 * SECOND;
/** The silence is looked at each BEAT, so that conversations have some seconds to end. */
const BREAK_OFF = 20 * SECOND;
const DEAD = 30 * SECOND;
const PAUSE = SECOND;

type HeartbeatOptions = {
  readonly store: Pick<MessageStore, 'beat' | 'takeBack'>;
  readonly log: EventLog;
  readonly owner: string;
  readonly now: Clock;
  /** Of this machine. */
  readonly wall: Clock;
  readonly monotonic: Clock;
  /** Something is claimed, or about to be. */
  readonly busy: () => boolean;
  readonly stopped: () => boolean;
  /** Mail may be due that was not: of the dead, or because we live again. */
  readonly onDue: () => void;
  /** What this process had claimed may be another's. */
  readonly onLost: () => void;
};

type Heartbeat = {
  /** Whether anything may be claimed. */
  alive(): boolean;
  close(): void;
};

export function startHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { store, log, owner, now, wall, monotonic, busy, stopped, onDue, onLost } = options;
  let last = read();
  let beating = false;
  let isBrokenOff = false;
  const timers = [setInterval(tick, BEAT).unref(), setInterval(() => void takeBack(), DEAD).unref()];
  void startAgain();

  function read() {
    return { wall: wall(), monotonic: monotonic() };
  }

  /** By both clocks: the monotonic one stands still while the machine sleeps, the wall clock may be set. */
  function silence(): number {
    return Math.max(monotonic() - last.monotonic, Math.abs(wall() - last.wall));
  }

  /** A process that holds nothing gives no sign, so that an idle machine writes nothing. One that is found silent gives a sign at once. */
  function alive(): boolean {
    if (!busy() || silence() < STOP) return true;
    void beat();
    return false;
  }

  function tick(): void {
    void beat();
    const isLate = busy() && silence() >= BREAK_OFF;
    if (isLate && !isBrokenOff) onLost();
    isBrokenOff = isLate;
  }

  async function beat(): Promise<void> {
    const asked = read();
    if (!busy()) {
      last = asked;
      return;
    }
    if (beating || stopped()) return;
    beating = true;
    const wasAlive = silence() < STOP;
    try {
      const known = await store.beat(owner);
      last = asked;
      if (!known) onLost();
      if (!wasAlive) onDue();
    } catch (error) {
      log.emit('storeFailed', { operation: 'beat', error });
    }
    beating = false;
  }

  /** @returns whether the store answered. */
  async function takeBack(): Promise<boolean> {
    try {
      const recipients = await store.takeBack({ owner, silence: DEAD, now: now() });
      if (recipients > 0) log.emit('takenBack', { recipients });
      if (recipients > 0) onDue();
      return true;
    } catch (error) {
      log.emit('storeFailed', { operation: 'takeBack', error });
      return false;
    }
  }

  /** What the dead held is asked for until the store answers. */
  async function startAgain(): Promise<void> {
    while (!stopped() && !(await takeBack())) await new Promise((resolve) => setTimeout(resolve, PAUSE).unref());
    onDue();
  }

  return {
    alive,
    close: () => timers.forEach(clearInterval),
  };
}
