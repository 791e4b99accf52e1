/** The way of a recipient: the MX of its domain, or the operator's route. Names first, addresses when the attempt begins. */

import type { DnsClient } from '../dns/dns.ts';
import type { AddressGuard } from '../net/address-guard.ts';
import { matchesDomain } from '../smtp/domain.ts';
import { domainOf } from '../smtp/envelope.ts';
import type { FallbackRule, Route, RouteKey } from '../smtp/route.ts';
import type { MessageFacts } from '../store/store.ts';
import type { TlsFacts } from '../tls-policy/tls-policy.ts';
import { type Addressed, type AddressRequest, createAddresses } from './addresses.ts';
import type { DeliveryOptions } from './delivery.ts';
import { type Destination, ordered, type Resolve } from './destination.ts';
import {
  beginPolicy,
  createHostPolicies,
  type HostPolicies,
  type HostPolicy,
  type PolicyContext,
  type PolicyQuestion,
} from './host-policy.ts';
import type { Family, IpFamilies } from './ip-families.ts';
import { type OperatorPolicies, type OperatorPolicy, samePolicy } from './operator.ts';
import { candidateRoutes, parseHost } from './route.ts';
import type { Target } from './session.ts';
import { upstreamOf } from './shaping/fallback.ts';
import type { Permit } from './shaping/permit.ts';
import type { Provider } from './shaping/provider.ts';
import type { Way } from './shaping/provider-way.ts';
import { type Basis, isDefinite, NO_REQUIRETLS, type Unmet } from './unmet.ts';
import { type AboutUs, judgeOurProblem, judgeRequireTls, type Verdict } from './verdict.ts';

/** Targets in the order to try them, found when they are needed. */
export type Targets = {
  /** Undefined: that was the last. Never rejects. */
  next(): Promise<Target | undefined>;
  /** The same host over the other address family, where it may be tried. Never rejects. */
  otherFamily(target: Target): Promise<Target | undefined>;
  /** Why there was none. */
  problem(): Verdict;
  /** Every host has shown that it cannot be given a message that must not leave without verified TLS: RFC 8689 §4.2.1. */
  refusal(): Verdict | undefined;
  /** For people: every address that could be tried, and what is asked of it. Never rejects. */
  survey(): Promise<Survey>;
};

type Survey = {
  readonly looks: readonly Look[];
  /** Why there is no target, if there is none. */
  problem(): Verdict;
};
export type Look = {
  readonly address: Addressed<Host>;
  readonly policy: HostPolicy;
  /** What the policy was judged by. */
  readonly facts: TlsFacts;
  /** Absent: the host is passed over. */
  readonly target: Target | undefined;
};

type Plan = {
  /** What pacing goes by. */
  readonly key: string;
  /** By whom the hosts are named. */
  readonly named: Destination | Route;
  /** Of the hosts, by the table. */
  readonly provider?: string | undefined;
  /** The addresses of ours that may be used; absent on a route. */
  readonly ways?: readonly Way[];
  /** @param permit from the provider: not by the families that it takes nothing from, and so many messages in a connection. */
  targets(permit?: Permit): Promise<Targets>;
};

type Host = { readonly name: string; readonly port: number };

export type PlanContext = {
  readonly options: Pick<DeliveryOptions, 'routes' | 'port' | 'ip'>;
  readonly dns: DnsClient;
  readonly resolve: Resolve;
  readonly guard: AddressGuard;
  readonly families: IpFamilies;
  readonly providerOf: (destination: Destination) => Provider | undefined;
  /** A domain may name hosts of its own beside those of a provider. */
  readonly isHostOf: (provider: string, host: string) => boolean;
  readonly isUnreachable: (ip: string) => boolean;
  readonly policies: PolicyContext;
  /** By the recipient's domain. */
  readonly operator: (domain: string) => OperatorPolicies;
  /** Connections at once to upstreams, by their keys, where they have a limit. */
  readonly upstreamLimits: ReadonlyMap<string, number>;
  /** For the hosts of routes. */
  readonly modes: OperatorPolicy['modes'];
};

/** What the way of a message is chosen by, and what it asks of it. */
type PlannedMessage = RouteKey & Pick<MessageFacts, 'tlsOptional' | 'requireTls' | 'tlsReport'>;

/**
 * RFC 8689 §4.1: who asks for TLS in the envelope does not mean what the header says. A report must not be lost for want of TLS (§5):
 * it takes REQUIRETLS along where it can, and goes without it elsewhere.
 */
function asksOf(message: PlannedMessage): PolicyQuestion['message'] {
  const { tlsOptional = false, tlsReport = false } = message;
  const { requireTls = false } = message;
  const isReport = message.reversePath === '';
  return {
    requireTls: requireTls && !isReport,
    prefersTls: requireTls && isReport,
    tlsOptional: (tlsOptional || tlsReport) && !requireTls,
    tlsReport,
  };
}

export async function planFor(message: PlannedMessage, address: string, context: PlanContext): Promise<Plan | Verdict> {
  const domain = domainOf(address).toLowerCase();
  const asks = asksOf(message);
  for (const route of candidateRoutes(context.options.routes, message, address)) {
    if (route.mx === undefined) return byRoute(route, asks, context);
    const destination = await context.resolve(domain);
    if ('kind' in destination) return destination;
    const { mx } = route;
    if (destination.preferences[0]!.some((name) => matchesDomain(mx, name))) return byRoute(route, asks, context);
  }
  // Beside the look-up of the hosts: a domain without a policy waits no longer for it.
  const operator = context.operator(domain);
  const looking = beginPolicy({ domain, operator, message: asks }, context.policies);
  const destination = await context.resolve(domain);
  if ('kind' in destination) return destination;
  // Waited for here, where it takes no session of its hosts from other domains.
  const policy = await looking;
  return byMx(destination, { domain, operator, asks, policy }, context);
}

function waysOf(usable: readonly Family[], families: IpFamilies): readonly Way[] {
  const ways: Way[] = [];
  for (const family of usable) for (const source of families.sources(family)) ways.push({ family, source });
  return ways;
}

type MxMail = Pick<PolicyQuestion, 'domain' | 'operator' | 'policy'> & { readonly asks: PolicyQuestion['message'] };

async function byMx(destination: Destination, { domain, operator, asks, policy }: MxMail, context: PlanContext): Promise<Plan> {
  const { options, guard } = context;
  const { secure, trusted, expanded } = destination;
  const provider = context.providerOf(destination);
  const all = await context.families.order(options.ip);
  const usable = provider?.ipv6 === 'no' && all.includes(4) ? all.filter((family) => family === 4) : all;
  return {
    key: destination.key,
    named: destination,
    provider: provider?.key,
    ways: waysOf(usable, context.families),
    async targets(permit) {
      const hosts = ordered(destination).map((name) => ({ name, port: options.port }));
      const closed = permit?.closed ?? [];
      const families = closed.length === 0 ? usable : usable.filter((family) => !closed.includes(family));
      // That the host has no address of the other families is no reason to return mail.
      const provisional = options.ip === 'auto' || families.length < all.length;
      const request = { hosts, families, provisional, guard, domain };
      const policies = createHostPolicies(
        { domain, expanded, named: secure ? 'proven' : 'unproven', trusted, operator, message: asks, policy },
        context.policies,
      );
      const manner = { provider: provider?.key, perConnection: permit?.perConnection, sources: permit?.sources };
      return targetsOf(request, context, policies, manner);
    },
  };
}

/** The way of a message to the fallback upstream, as by a route. */
export function planByFallback(message: PlannedMessage, rule: FallbackRule, context: PlanContext): Plan {
  return byRoute(rule, asksOf(message), context);
}

/** The operator has named these hosts: they may be private, they must prove who they are, and they may ask for a login. */
function byRoute(route: Route, asks: PolicyQuestion['message'], context: PlanContext): Plan {
  const { hosts, login, tls = 'verify', ip = context.options.ip } = route;
  const key = upstreamOf(route);
  return {
    key,
    named: route,
    async targets() {
      const families = await context.families.order(ip);
      const domain = `the route to ${hosts.join(', ')}`;
      const request = { hosts: hosts.map(parseHost), families, provisional: ip === 'auto', domain };
      const question = {
        domain,
        expanded: domain,
        named: 'operator',
        trusted: true,
        operator: samePolicy({ level: tls, modes: context.modes }),
        message: { ...asks, tlsOptional: false },
      } as const;
      const policies = createHostPolicies(question, context.policies);
      const targets = targetsOf(request, context, policies, {
        login,
        upstream: true,
        isLimited: context.upstreamLimits.has(key),
      });
      return { ...targets, problem: () => misrouted(targets.problem()) };
    },
  };
}

/** A route that leads nowhere is the operator's mistake: mail waits until it is put right. */
function misrouted({ reply }: Verdict): AboutUs {
  return { ...judgeOurProblem('unrouted', reply.text), waitsForUs: true };
}

/** `sources`: the addresses of ours to use, where they are not the preferred ones. */
type Manner = Pick<Target, 'login' | 'upstream' | 'isLimited' | 'provider' | 'perConnection'> & {
  readonly sources?: readonly Way[] | undefined;
};

function targetsOf(
  request: Omit<AddressRequest<Host>, 'isUnreachable' | 'isFit'>,
  context: Pick<PlanContext, 'dns' | 'families' | 'isUnreachable' | 'isHostOf'>,
  policies: HostPolicies,
  manner: Manner,
): Targets {
  const { dns, families, isUnreachable, isHostOf } = context;
  const { provider, sources } = manner;
  const sourceFor = (family: Family) =>
    sources === undefined ? families.source(family) : sources.find((way) => way.family === family)?.source;
  /** Why hosts were passed over. */
  let passed: Verdict | undefined;
  let fit: HostPolicy | undefined;
  /** Hosts, and single addresses, that have shown that they cannot take mail with REQUIRETLS, in words. */
  const unfit = new Map<string, Unmet>();

  /** What a host offers, it offers at all its addresses. Each may have another certificate. @param ip absent: nobody has talked to it. */
  function noteUnmet(host: Host, unmet: Unmet, basis: Basis, ip?: string): void {
    if (!basis.isStrict || !isDefinite(unmet, basis)) return;
    if (ip !== undefined) addresses.giveBack(); // all hosts must be asked before such mail comes back
    unfit.set(ip === undefined || unmet.reason === NO_REQUIRETLS.reason ? keyOf(host) : keyOf(host, ip), unmet);
  }

  function unmetBy(host: Host): Unmet | undefined {
    const known = unfit.get(keyOf(host));
    if (known !== undefined) return known;
    const all = addresses.found.filter((one) => keyOf(one.host) === keyOf(host)).map(({ ip }) => unfit.get(keyOf(host, ip)));
    return all.includes(undefined) ? undefined : all[0];
  }

  function isFit({ host, evidence }: Addressed<Host>): boolean | Promise<boolean> {
    if (unfit.size > 0 && unfit.has(keyOf(host))) return false; // another of its addresses said it
    const policy = policies.judge(host, evidence);
    return policy instanceof Promise ? policy.then((judged) => noteFit(host, judged)) : noteFit(host, policy);
  }

  function noteFit(host: Host, policy: HostPolicy): boolean {
    fit = policy;
    if (policy.kind === 'meet') return true;
    passed = policy.unmet.verdict;
    noteUnmet(host, policy.unmet, policy.basis);
    return false;
  }

  function targetOf(address: Addressed<Host>, policy: HostPolicy | undefined): Target | undefined {
    if (policy?.kind !== 'meet') return undefined;
    const { host, ip, family, evidence } = address;
    // Written out: an object that is put together from others costs several times as much.
    return {
      mx: host.name,
      port: host.port,
      ip,
      family,
      source: sourceFor(family),
      tls: policy.tls,
      basis: policy.basis,
      onUnmet: (unmet) => noteUnmet(host, unmet, policy.basis, ip),
      again: async (unmet) => {
        const changed = await policies.again(host, evidence, unmet);
        return changed?.kind === 'skip' ? changed.unmet : targetOf(address, changed);
      },
      login: manner.login,
      upstream: manner.upstream,
      isLimited: manner.isLimited,
      perConnection: manner.perConnection,
      provider: provider !== undefined && isHostOf(provider, host.name) ? provider : undefined,
    };
  }

  const addresses = createAddresses(dns, { ...request, isUnreachable, isFit });
  return {
    async next() {
      const address = await addresses.next();
      return address && targetOf(address, fit);
    },
    async otherFamily({ mx, family }) {
      const other = addresses.found.find((address) => address.host.name === mx && address.family !== family);
      return other && targetOf(other, await policies.judge(other.host, other.evidence));
    },
    // A host that was passed over may be the one that takes the mail, so what is true of the others is not final.
    problem: () => passed ?? addresses.problem(),
    async survey() {
      const looks: Look[] = [];
      async function look(address: Addressed<Host>): Promise<boolean> {
        const policy = await policies.judge(address.host, address.evidence);
        if (policy.kind === 'skip') passed = policy.unmet.verdict;
        const facts = policies.factsOf(address.host, policy.basis);
        looks.push({ address, policy, facts, target: targetOf(address, policy) });
        return false; // so the next one is looked at too
      }
      const all = createAddresses(dns, { ...request, isUnreachable: () => false, isFit: look });
      await all.next();
      return { looks, problem: () => passed ?? all.problem() };
    },
    refusal() {
      // A host without an address takes no mail, whatever it would offer: RFC 5321 §5.1.
      if (unfit.size === 0) return undefined;
      const found = request.hosts.filter((host) => !addresses.isHopeless(host)).map(unmetBy);
      const all = [...new Set(found)].filter((unmet) => unmet !== undefined);
      if (all.length === 0 || found.includes(undefined)) return undefined;
      const text = all.map(({ verdict }) => verdict.reply.text).join('; ');
      return judgeRequireTls(
        all.some(({ reason }) => reason === NO_REQUIRETLS.reason),
        `The sender demands REQUIRETLS (RFC 8689), and no mail host of ${request.domain} can keep it: ${text}`,
      );
    },
  };
}

function keyOf({ name, port }: Host, ip = ''): string {
  return `${name} ${port} ${ip}`;
}
