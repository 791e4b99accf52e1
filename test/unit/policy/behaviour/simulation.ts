/** Weeks of use of a login in a moment: events with a clock of their own, and the worst stage that they lead to. */

import type { BehaviourStage, BehaviourVerdict, Profile, Signal, Traits } from '../../../../src/policy/behaviour/signals.ts';
import { type BehaviourEvent, Subject } from '../../../../src/policy/behaviour/subject.ts';
import { DAY, HOUR, MINUTE } from '../../../../src/system/clock.ts';
import { DEFAULT_POINTS, DEFAULT_THRESHOLDS } from './defaults.ts';

const ORDER: readonly BehaviourStage[] = ['none', 'notice', 'slow', 'hold'];
/** A Monday. */
export const START = Date.UTC(2026, 0, 5);

type Mail = {
  readonly to?: readonly string[];
  readonly from?: string;
  readonly source?: string;
  readonly country?: string;
  readonly automatic?: boolean;
  /** What becomes of each recipient. `deferred` and `blocked` are no ends that count. */
  readonly ends?: 'relayed' | 'unknown' | 'spam' | 'other' | 'none';
  readonly receiver?: string;
};

export class Simulation {
  subject = new Subject();
  at = START;
  traits: Traits;
  ofLogin: readonly Signal[] = [];
  share = 0;
  worst: BehaviourStage = 'none';
  /** Messages that were accepted before the stop. */
  sentBeforeHold = 0;
  heldAt: number | undefined;
  /** How often a notice would be sent: one a week. */
  notices = 0;
  #noticedAt = Number.NEGATIVE_INFINITY;
  last: BehaviourVerdict | undefined;
  #n = 0;

  constructor(profile: Profile, traits: Partial<Traits> = {}) {
    this.traits = { profile, bulk: false, trusted: false, ...traits };
  }

  note(event: BehaviourEvent): BehaviourVerdict {
    this.subject.note(event, this.at);
    const { traits, share, ofLogin } = this;
    const thresholds = DEFAULT_THRESHOLDS[traits.profile];
    this.last = this.subject.judge(this.at, { traits, thresholds, points: DEFAULT_POINTS, share, ofLogin });
    const { stage } = this.last;
    if (ORDER.indexOf(stage) > ORDER.indexOf(this.worst)) this.worst = stage;
    if (stage === 'hold') this.heldAt ??= this.at;
    if (stage !== 'none' && this.at - this.#noticedAt >= 7 * DAY) {
      this.#noticedAt = this.at;
      this.notices++;
    }
    return this.last;
  }

  /** An address that was never used before. */
  stranger(domain = 'example.net'): string {
    return `r${++this.#n}@${domain}`;
  }

  send({ to = ['friend@example.net'], from = 'app@example.org', ends = 'relayed', ...mail }: Mail = {}): void {
    const { source = '192.0.2.1', country, automatic = false, receiver } = mail;
    this.note({ kind: 'accepted', source, country, authors: [from], recipients: to, automatic });
    if (this.heldAt === undefined) this.sentBeforeHold++;
    if (ends === 'none') return;
    for (const address of to) this.note({ kind: 'ended', as: ends, receiver: receiver ?? address.split('@')[1]!, automatic });
  }

  /** @param hours of the day, UTC. `each`: is called for each of `perHour` messages. */
  days(count: number, hours: readonly number[], perHour: number, each: (n: number) => void, weekend = false): void {
    for (let day = 0; day < count; day++) {
      const midnight = this.at - (this.at % DAY);
      const weekday = (Math.floor(midnight / DAY) + 4) % 7;
      if (weekend || (weekday !== 0 && weekday !== 6))
        for (const hour of hours)
          for (let n = 0; n < perHour; n++) {
            this.at = midnight + hour * HOUR + Math.floor((n * HOUR) / perHour);
            each(n);
          }
      this.at = midnight + DAY;
    }
  }

  /** `count` messages in `minutes`. */
  burst(count: number, minutes: number, each: (n: number) => void): void {
    const from = this.at;
    for (let n = 0; n < count; n++) {
      this.at = from + Math.floor((n * minutes * MINUTE) / count);
      each(n);
    }
    this.at = from + minutes * MINUTE;
  }

  /** Four weeks in an office: ten messages an hour to people that are mostly known. */
  office(): this {
    this.days(28, [8, 9, 10, 11, 13, 14, 15, 16], 10, (n) =>
      this.send({ to: [n === 0 ? this.stranger() : `friend${n}@example.net`] }),
    );
    return this;
  }

  /** Four weeks of a program that writes all day. */
  program(perHour = 20): this {
    const hours = Array.from({ length: 24 }, (_, hour) => hour);
    this.days(28, hours, perHour, (n) => this.send({ to: [n % 5 === 0 ? this.stranger() : `customer${n}@example.net`] }), true);
    return this;
  }
}
