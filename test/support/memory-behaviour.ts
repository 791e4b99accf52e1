/** What was learned about the behaviour of logins, in memory. */
import type { BehaviourRecord, BehaviourStore } from '../../src/store/store.ts';

export function createMemoryBehaviour(): BehaviourStore {
  const records = new Map<string, BehaviourRecord & { readonly at: number }>();
  const key = (user: string, sender: string) => JSON.stringify([user, sender]);
  const remove = (wanted: (one: BehaviourRecord & { readonly at: number }) => boolean) => {
    const found = [...records].filter(([, one]) => wanted(one));
    for (const [name] of found) records.delete(name);
    return found.length;
  };
  return {
    record: async (user, sender) => records.get(key(user, sender))?.record,
    async put(all, at) {
      for (const one of all) records.set(key(one.user, one.sender), { ...one, at });
    },
    forget: async (user) => void remove((one) => one.user === user),
    trim: async (before) => remove(({ at }) => at < before),
  };
}
