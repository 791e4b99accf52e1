/** What the memory store knows of providers. */
import type { HeldMail, ReplyCount, Shaping } from '../../src/store/store.ts';

export class MemoryShaping {
  readonly #rows = new Map<string, Shaping>();
  readonly #replies = new Map<string, ReplyCount>();

  put(row: Shaping): void {
    this.#rows.set(keyOf(row), row);
  }

  all(): readonly Shaping[] {
    return [...this.#rows.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }

  addReplies({ count, ...of }: ReplyCount): void {
    const key = Object.values(of).join(' ');
    this.#replies.set(key, { ...of, count: count + (this.#replies.get(key)?.count ?? 0) });
  }

  replies(hour: number): readonly ReplyCount[] {
    return [...this.#replies.values()].filter((row) => row.hour >= hour).sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
  }

  trimReplies(hour: number): number {
    const old = [...this.#replies].filter(([, row]) => row.hour < hour);
    for (const [key] of old) this.#replies.delete(key);
    return old.length;
  }
}

const keyOf = ({ provider, source, family }: Shaping) => `${provider} ${source} ${family}`;
const sortKey = ({ hour, count: _, ...rest }: ReplyCount) => `${String(hour).padStart(12)} ${Object.values(rest).join(' ')}`;

type Kept = {
  readonly facts: { readonly acceptedAt: number };
  readonly recipients: readonly { readonly heldBy?: string }[];
};

export function heldMail(messages: Iterable<Kept>): readonly HeldMail[] {
  const held = new Map<string, HeldMail>();
  for (const { facts, recipients } of messages) {
    for (const { heldBy: provider } of recipients) {
      if (provider === undefined) continue;
      const known = held.get(provider) ?? { provider, recipients: 0, oldestAcceptedAt: facts.acceptedAt };
      held.set(provider, { ...known, recipients: known.recipients + 1 });
    }
  }
  return [...held.values()].sort((a, b) => (a.provider < b.provider ? -1 : 1));
}
