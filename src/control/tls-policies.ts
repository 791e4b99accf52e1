/** Policies of MTA-STS that the relay has fetched from domains: RFC 8461. */
import type { DnsClient } from '../dns/dns.ts';
import type { StoredStsPolicy, TlsPolicyStore } from '../store/store.ts';
import { inEnglish } from '../system/phrase.ts';
import { ControlError } from './control-error.ts';
import type { Parts } from './parts.ts';
import { iso } from './shapes.ts';

export type TlsPolicySettings = {
  readonly delivery: { readonly allowPrivate: readonly string[]; readonly ca?: string | undefined };
};

/** `tls policies list`. `state` is `holds`, or `expired` for a policy that is only shown. */
export type KnownPolicy = ReturnType<typeof policyShape>;
/** `tls policies show`: also the file as it was served. */
type WholePolicy = KnownPolicy & { readonly text: string };

/** A domain is given as lower-case A-labels. Without a policy of it, `show` and `forget` reject with `not found`. */
export type TlsPolicyControl = {
  /** By domain. @param failing only those whose last fetch failed. */
  list(failing: boolean): Promise<readonly KnownPolicy[]>;
  show(domain: string): Promise<WholePolicy>;
  /** Fetches it now, also one that no mail has asked for. Rejects with `conflict` if it cannot be had; what holds stays. */
  refresh(domain: string): Promise<WholePolicy>;
  /** The next mail to the domain asks for the policy again. */
  forget(domain: string): Promise<void>;
};

type PolicyParts = Parts<TlsPolicySettings> & { readonly dns: Pick<DnsClient, 'txt' | 'a' | 'aaaa'> };

const PAGE = 1000;

export function createTlsPolicyControl({ store, settings, dns, now, note }: PolicyParts): TlsPolicyControl {
  const { tlsPolicies } = store;

  async function show(domain: string): Promise<WholePolicy> {
    const policy = await tlsPolicies.stsPolicy(domain);
    if (policy === undefined) throw new ControlError('not found', 'policy', `The relay knows no policy of ${domain}.`);
    return { ...policyShape(policy, now()), text: policy.text };
  }

  const summary = ({ id, mode, mx, expiresAt }: Pick<StoredStsPolicy, 'id' | 'mode' | 'mx' | 'expiresAt'>) => ({
    ...{ id, mode, mx, expiresAt: iso(expiresAt) },
  });

  /** A fetched policy is noted; that none could be fetched is not. */
  async function noting(domain: string): Promise<TlsPolicyStore> {
    const known = await tlsPolicies.stsPolicy(domain);
    const before = known && summary(known);
    return {
      ...tlsPolicies,
      putStsPolicy: (policy, by) =>
        note({ action: 'tls-policy.refresh', target: domain, before, after: summary(policy) }).tlsPolicies.putStsPolicy(
          policy,
          by,
        ),
    };
  }

  return {
    show,
    async list(failing) {
      const found: StoredStsPolicy[] = [];
      for (let after = ''; ; ) {
        const page = await tlsPolicies.listStsPolicies(after, PAGE);
        found.push(...page.filter(({ failures }) => !failing || failures > 0));
        if (page.length < PAGE) break;
        after = page.at(-1)!.domain;
      }
      return found.map((policy) => policyShape(policy, now()));
    },
    async refresh(domain) {
      const { fetchStsPolicy } = await import('../tls-policy/tls-policy.ts');
      const { allowPrivate, ca } = settings().delivery;
      const problem = await fetchStsPolicy(domain, { store: await noting(domain), dns, allowPrivate, caFile: ca });
      if (problem === undefined) return show(domain);
      const why = problem === 'absent' ? `${domain} announces no policy at _mta-sts.${domain}` : inEnglish(problem.why);
      throw new ControlError('conflict', 'policy', `No policy could be fetched: ${why}.`);
    },
    async forget(domain) {
      await show(domain);
      const known = await tlsPolicies.stsPolicy(domain);
      const view = note({ action: 'tls-policy.forget', target: domain, before: known && summary(known) });
      await view.tlsPolicies.forgetStsPolicy(domain);
    },
  };
}

function policyShape({ domain, id, mode, maxAge, mx, ...row }: StoredStsPolicy, now: number) {
  return {
    ...{ domain, state: row.expiresAt > now ? 'holds' : 'expired', mode, mx, id, maxAge },
    ...{ fetchedAt: iso(row.fetchedAt), expiresAt: iso(row.expiresAt), usedAt: iso(row.usedAt), refreshAt: iso(row.refreshAt) },
    ...{ failures: row.failures, failedAt: iso(row.failedAt), lastError: row.lastError },
  };
}
