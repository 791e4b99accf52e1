/**
 * A new address of ours begins with little: what one provider gets from it in a day grows as long as nothing speaks against it. A provider
 * that suddenly gets thousands of messages from an address that it does not know takes them for spam.
 */
import { DAY, HOUR } from '../../system/clock.ts';

/** Messages in a day (UTC), by the step. After the last one there is no limit. */
const LADDER = [50, 100, 200, 400, 800, 1600, 3200, 5000] as const;
/** So much of the limit must have been used for the next step; or so much time must have passed. */
const USED = 0.6;
const LONGEST_STEP = 48 * HOUR;
/** So many days with mail, all of them below the limit, end it. */
const QUIET_DAYS = 7;
/** After so many days without mail the address is half as well known. */
const FORGOTTEN_AFTER = 30;
/** A block goes back so many steps. */
const BACK = 2;
/** What mail without priority may use, so that other mail does not wait behind it. */
const SHARE = 0.8;
/** The count is stored once for so many messages. */
const STORED_EACH = 5;

/** `since`: when the step began, milliseconds since the epoch. `day`: days since the epoch. `quiet`: days with mail, below the limit. */
export type StoredWarmUp = {
  readonly step: number;
  readonly since: number;
  readonly day: number;
  readonly sent: number;
  readonly quiet: number;
};

export class WarmUp {
  #step: number;
  #since: number;
  #day: number;
  #sent: number;
  #quiet: number;
  #repeats = false;

  /** @param stored by an earlier process, which may have counted some more messages than it has stored. */
  constructor(now: number, stored?: StoredWarmUp) {
    const { step, since, day, sent, quiet } = stored ?? { step: 0, since: now, day: dayOf(now), sent: 0, quiet: 0 };
    [this.#step, this.#since, this.#day, this.#quiet] = [step, Math.min(since, now), Math.min(day, dayOf(now)), quiet];
    this.#sent = sent === 0 ? 0 : sent + STORED_EACH - 1;
  }

  get stored(): StoredWarmUp {
    return { step: this.#step, since: this.#since, day: this.#day, sent: this.#sent, quiet: this.#quiet };
  }

  /** There is no limit any more. */
  isOver(now: number): boolean {
    this.#roll(now);
    return this.#step >= LADDER.length || this.#quiet >= QUIET_DAYS;
  }

  /** Until when a message waits; undefined: it may go. */
  waits(priority: boolean, now: number): number | undefined {
    if (this.isOver(now)) return undefined;
    const cap = LADDER[this.#step]!;
    return this.#sent < (priority ? cap : Math.floor(cap * SHARE)) ? undefined : (this.#day + 1) * DAY;
  }

  /** A message goes. @returns true if that is to be stored. */
  note(now: number): boolean {
    this.#roll(now);
    this.#sent++;
    return this.#sent === 1 || this.#sent % STORED_EACH === 0;
  }

  /** The provider asks for less, because of the address: the step is repeated. */
  throttled(): void {
    this.#repeats = true;
    this.#quiet = 0;
  }

  blocked(now: number): void {
    this.#step = Math.max(0, this.#step - BACK);
    this.#since = now;
    this.throttled();
  }

  #roll(now: number): void {
    const today = dayOf(now);
    if (today <= this.#day) return;
    const cap = LADDER[Math.min(this.#step, LADDER.length - 1)]!;
    // A day without mail shows a provider nothing.
    if (this.#sent >= Math.floor(cap * SHARE)) this.#quiet = 0;
    else if (this.#sent > 0) this.#quiet++;
    const goesOn = !this.#repeats && (this.#sent >= USED * cap || now - this.#since >= LONGEST_STEP);
    if (goesOn) this.#step++;
    if (today - this.#day >= FORGOTTEN_AFTER) [this.#step, this.#quiet] = [Math.floor(this.#step / 2), 0];
    if (goesOn || this.#repeats) this.#since = now;
    [this.#repeats, this.#day, this.#sent] = [false, today, 0];
  }
}

const dayOf = (now: number) => Math.floor(now / DAY);

/** What is shown of it. Undefined: it is over. */
export function warmUpShape(stored: StoredWarmUp, now: number): { readonly sent: number; readonly cap: number } | undefined {
  const { step, sent, day, quiet } = stored;
  const cap = LADDER[step];
  if (cap === undefined || quiet >= QUIET_DAYS) return undefined;
  return { sent: day === dayOf(now) ? sent : 0, cap };
}
