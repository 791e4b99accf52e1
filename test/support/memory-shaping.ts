/** What the memory store knows of providers. */
import type { HeldMail, Shaping } from '../../src/store/store.ts';

export class MemoryShaping {
  readonly #rows = new Map<string, Shaping>();

  put(row: Shaping): void {
    this.#rows.set(keyOf(row), row);
  }

  all(): readonly Shaping[] {
    return [...this.#rows.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }
}

const keyOf = ({ provider, source, family }: Shaping) => `${provider} ${source} ${family}`;

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
