/** Mail that a stop keeps back: how it is handed back to the queue, and how much of it there may be. */
import { HELD_LOGIN, type Outcome } from '../../smtp/outcome.ts';
import type { MessageStore } from '../../store/store.ts';

import type { Stop } from './stop.ts';
import { describeSignals } from './words.ts';

const MOST_BYTES = 2 ** 30;
/** So many times the daily limit of a login. */
const DAYS = 2;
const PAGE = 1000;

/** The key by which the store knows recipients that are held for this stop. */
export function holdKey({ user, sender }: Pick<Stop, 'user' | 'sender'>): string {
  return `${HELD_LOGIN}${user}${sender === '' ? '' : ` ${sender}`}`;
}

export function heldOutcome(stop: Stop): Outcome {
  const who = stop.sender === '' ? `the login ${stop.user}` : `the sender ${stop.sender}`;
  const why = stop.by === 'operator' ? 'an operator has stopped it' : describeSignals(stop.signals);
  return {
    kind: 'returned',
    reply: { code: 450, status: '4.7.1', text: `Held: ${who} does something unusual (${why})` },
    seconds: 0,
    // It is looked at when its sender must be warned, and at its end. A release makes it due at once.
    notBefore: Number.MAX_SAFE_INTEGER,
    heldBy: { provider: holdKey(stop), since: stop.since, ...(stop.quiet ? { quiet: true } : {}) },
  };
}

type Amount = { messages: number; bytes: number };

/** Counts what is held, since the start by what is accepted. */
export class StoppedMail {
  readonly #messages: Pick<MessageStore, 'list'>;
  readonly #amounts = new Map<string, Amount>();

  constructor(messages: Pick<MessageStore, 'list'>) {
    this.#messages = messages;
  }

  /** Counts the mail of stops that are new to this process, and forgets those that are over. */
  async count(stops: readonly Stop[]): Promise<void> {
    const held = stops.filter(({ state }) => state !== 'released');
    for (const id of this.#amounts.keys()) if (!held.some((stop) => stop.id === id)) this.#amounts.delete(id);
    for (const stop of held) if (!this.#amounts.has(stop.id)) await this.#countOne(stop);
  }

  async #countOne(stop: Stop): Promise<void> {
    const amount = { messages: 0, bytes: 0 };
    this.#amounts.set(stop.id, amount);
    const key = holdKey(stop);
    let after: string | undefined;
    do {
      const page = await this.#messages.list({ user: stop.user, limit: PAGE, ...(after === undefined ? {} : { after }) });
      for (const { recipients, size } of page) {
        if (!recipients.some(({ heldBy }) => heldBy === key)) continue;
        amount.messages++;
        amount.bytes += size;
      }
      after = page.length < PAGE ? undefined : page.at(-1)!.id;
    } while (after !== undefined);
  }

  add({ id }: Stop, bytes: number): void {
    const amount = this.#amounts.get(id) ?? { messages: 0, bytes: 0 };
    amount.messages++;
    amount.bytes += bytes;
    this.#amounts.set(id, amount);
  }

  /** @param dailyLimit messages; absent: it has none. */
  isFull({ id }: Stop, bytes: number, dailyLimit: number | undefined): boolean {
    const held = this.#amounts.get(id);
    if (held === undefined) return false;
    return held.messages >= DAYS * (dailyLimit ?? Number.POSITIVE_INFINITY) || held.bytes + bytes > MOST_BYTES;
  }
}
