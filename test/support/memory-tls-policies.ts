/** A TlsPolicyStore that keeps everything in memory. */
import type { StoredStsPolicy, TlsPolicyStore } from '../../src/store/store.ts';

export function createMemoryTlsPolicies(): TlsPolicyStore {
  const policies = new Map<string, StoredStsPolicy>();
  const sorted = () => [...policies.values()].sort((a, b) => (a.domain < b.domain ? -1 : 1));
  const change = (domain: string, to: (policy: StoredStsPolicy) => Partial<StoredStsPolicy>) => {
    const policy = policies.get(domain);
    if (policy !== undefined) policies.set(domain, { ...policy, ...to(policy) });
  };
  return {
    stsPolicy: async (domain) => policies.get(domain),
    putStsPolicy: async (policy) => void policies.set(policy.domain, policy),
    noteStsFailure: async ({ domain, at, error, retryAt, retryId }) =>
      change(domain, ({ failures }) => ({
        ...{ failures: failures + 1, failedAt: at, lastError: error, retryAt, retryId, refreshAt: retryAt },
      })),
    async noteStsUse(uses) {
      for (const { domain, at } of uses)
        change(domain, ({ usedAt, refreshAt }) => ({ usedAt: Math.max(usedAt, at), refreshAt: refreshAt ?? at }));
    },
    async dueStsPolicies({ now, usedAfter, heldAt, limit }) {
      const waiting = sorted().filter(({ refreshAt }) => refreshAt !== null && refreshAt <= now);
      const used = waiting.filter(({ usedAt }) => usedAt >= usedAfter);
      const due = used.filter(({ expiresAt }) => expiresAt > heldAt);
      for (const policy of waiting) if (!due.includes(policy)) change(policy.domain, () => ({ refreshAt: null }));
      const expired = used.filter((policy) => !due.includes(policy)).map(({ domain }) => domain);
      return { due: due.sort((a, b) => (a.refreshAt ?? 0) - (b.refreshAt ?? 0)).slice(0, limit), expired };
    },
    listStsPolicies: async (after, limit) =>
      sorted()
        .filter(({ domain }) => domain > after)
        .slice(0, limit),
    forgetStsPolicy: async (domain) => policies.delete(domain),
    async trimStsPolicies({ expired, unused }) {
      const old = sorted().filter(({ expiresAt, usedAt }) => expiresAt < expired || usedAt < unused);
      for (const { domain } of old) policies.delete(domain);
      return old.map(({ domain }) => domain);
    },
    async countStsPolicies({ now, age }) {
      const modes = { enforce: 0, testing: 0, none: 0 };
      let overdue = 0;
      for (const { mode, fetchedAt, expiresAt, failures } of sorted().filter((policy) => policy.expiresAt > now)) {
        modes[mode]++;
        const late = failures > 0 && now - fetchedAt > Math.min(age, Math.floor((expiresAt - fetchedAt) / 2));
        if (late && mode !== 'none') overdue++;
      }
      return { modes, overdue };
    },
  };
}
