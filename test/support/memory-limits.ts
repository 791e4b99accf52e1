/** Limits of a store in memory: counted in windows that begin with the first message, as the store of release does. */
import type { Limit, LimitUse } from '../../src/smtp/limit.ts';
import { DAY, HOUR, MINUTE } from '../../src/system/clock.ts';

const LENGTH = { minute: MINUTE, hour: HOUR, day: DAY } as const;
const userKey = (name: string) => name.toLowerCase();

export class MemoryLimits {
  readonly #windows = new Map<string, { readonly startedAt: number; readonly used: number }>();
  readonly #known = new Set<string>();

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
    if (exceeded !== undefined) return { exceeded, use: before };
    for (const limit of new Map(list.map((limit) => [`${limit.kind} ${limit.per}`, limit])).values()) {
      const { startedAt, used } = this.#window(user, limit, now);
      this.#windows.set(windowKey(user, limit), { startedAt, used: used + amounts[limit.kind] });
    }
    for (const address of unknown) this.#known.add(`${userKey(user)} ${address}`);
    return { exceeded, use: this.use(user, list, now) };
  }

  knows(user: string, address: string): boolean {
    return this.#known.has(`${userKey(user)} ${address.toLowerCase()}`);
  }

  forget(user: string): void {
    for (const kept of [this.#windows, this.#known])
      for (const key of kept.keys()) if (key.startsWith(`${userKey(user)} `)) kept.delete(key);
  }

  #window(user: string, limit: Limit, now: number) {
    const known = this.#windows.get(windowKey(user, limit));
    const isOver = known === undefined || now >= known.startedAt + LENGTH[limit.per] || now < known.startedAt;
    return isOver ? { startedAt: now, used: 0 } : known;
  }
}

const windowKey = (user: string, { kind, per }: Limit) => `${userKey(user)} ${kind} ${per}`;
