/** Limits of a store in memory: counted in windows that begin with the first message, as the store of release does. */
import type { Limit, LimitUse } from '../../src/smtp/limit.ts';
import type { KnownRecipient } from '../../src/store/store.ts';
import { DAY, HOUR, MINUTE } from '../../src/system/clock.ts';

const LENGTH = { minute: MINUTE, hour: HOUR, day: DAY } as const;
/** User names are compared without ASCII case. */
export const userKey = (name: string) => name.toLowerCase();
const dayOf = (at: number) => Math.floor(at / DAY);
/** The day of a recipient is written once a week. */
const RENEW_DAYS = 7;
const KEEP_DAYS = 400;

export class MemoryLimits {
  readonly #windows = new Map<string, { readonly startedAt: number; readonly used: number }>();
  /** The day on which each user wrote to each address. */
  readonly #known = new Map<string, number>();

  use(user: string, list: readonly Limit[], now: number): readonly LimitUse[] {
    return list.map((limit) => {
      const { startedAt, used } = this.#window(user, limit, now);
      return { limit, used, resetsAt: startedAt + LENGTH[limit.per] };
    });
  }

  /** Counts all of a message, or nothing of it where it is over a limit. */
  count(user: string, list: readonly Limit[], now: number, addresses: readonly string[]) {
    const unknown = new Set(addresses.filter((address) => !this.knows(user, address)).map((address) => address.toLowerCase()));
    const amounts = { messages: 1, recipients: addresses.length, newRecipients: unknown.size };
    const before = this.use(user, list, now);
    const exceeded = before.find(({ limit, used }) => used + amounts[limit.kind] > limit.count);
    if (exceeded !== undefined) return { exceeded, use: before, amounts };
    for (const limit of new Map(list.map((limit) => [`${limit.kind} ${limit.per}`, limit])).values()) {
      const { startedAt, used } = this.#window(user, limit, now);
      this.#windows.set(windowKey(user, limit), { startedAt, used: used + amounts[limit.kind] });
    }
    for (const address of addresses) {
      const key = `${userKey(user)} ${address.toLowerCase()}`;
      const day = this.#known.get(key);
      if (day === undefined || day + RENEW_DAYS <= dayOf(now) || day > dayOf(now)) this.#known.set(key, dayOf(now));
    }
    return { exceeded, use: this.use(user, list, now), amounts };
  }

  knows(user: string, address: string): boolean {
    return this.#known.has(`${userKey(user)} ${address.toLowerCase()}`);
  }

  /** Forgets all that is old in one step. */
  forgetOld(now: number): { readonly forgotten: number; readonly after: KnownRecipient | null } {
    const old = [...this.#known].filter(([, day]) => day < dayOf(now) - KEEP_DAYS - RENEW_DAYS);
    for (const [key] of old) this.#known.delete(key);
    return { forgotten: old.length, after: null };
  }

  forget(user: string): void {
    for (const kept of [this.#windows, this.#known] as const)
      for (const key of kept.keys()) if (key.startsWith(`${userKey(user)} `)) kept.delete(key);
  }

  #window(user: string, limit: Limit, now: number) {
    const known = this.#windows.get(windowKey(user, limit));
    const isOver = known === undefined || now >= known.startedAt + LENGTH[limit.per] || now < known.startedAt;
    return isOver ? { startedAt: now, used: 0 } : known;
  }
}

const windowKey = (user: string, { kind, per }: Limit) => `${userKey(user)} ${kind} ${per}`;
