/** The way of a recipient: the MX of its domain, or the operator's route. Names first, addresses when the attempt begins. */

import type { DnsClient } from '../dns/dns.ts';
import type { AddressGuard } from '../net/address-guard.ts';
import { domainOf } from '../smtp/envelope.ts';
import type { Route, RouteKey } from '../smtp/route.ts';
import type { MessageFacts } from '../store/store.ts';
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
import type { IpFamilies } from './ip-families.ts';
import { type OperatorPolicies, type OperatorPolicy, samePolicy } from './operator.ts';
import { candidateRoutes, matchesDomain, parseHost } from './route.ts';
import type { Target } from './session.ts';
import { type AboutUs, judgeOurProblem, type Verdict } from './verdict.ts';

/** Targets in the order to try them, found when they are needed. */
export type Targets = {
  /** Undefined: that was the last. Never rejects. */
  next(): Promise<Target | undefined>;
  /** The same host over the other address family, where it may be tried. Never rejects. */
  otherFamily(target: Target): Promise<Target | undefined>;
  /** Why there was none. */
  problem(): Verdict;
};

type Plan = {
  /** What pacing goes by. */
  readonly key: string;
  targets(): Promise<Targets>;
};

type Host = { readonly name: string; readonly port: number };

export type PlanContext = {
  readonly options: Pick<DeliveryOptions, 'routes' | 'port' | 'ip'>;
  readonly dns: DnsClient;
  readonly resolve: Resolve;
  readonly guard: AddressGuard;
  readonly families: IpFamilies;
  readonly isUnreachable: (ip: string) => boolean;
  readonly policies: PolicyContext;
  /** By the recipient's domain. */
  readonly operator: (domain: string) => OperatorPolicies;
  /** For the hosts of routes. */
  readonly modes: OperatorPolicy['modes'];
};

/** What the way of a message is chosen by, and what it asks of it. */
type PlannedMessage = RouteKey & Pick<MessageFacts, 'tlsOptional' | 'requireTls' | 'tlsReport'>;

/** RFC 8689 §4.1: who asks for TLS in the envelope does not mean what the header says. */
function asksOf({ tlsOptional = false, requireTls = false, tlsReport = false }: PlannedMessage): PolicyQuestion['message'] {
  return { tlsOptional: (tlsOptional || tlsReport) && !requireTls, tlsReport };
}

export async function planFor(message: PlannedMessage, address: string, context: PlanContext): Promise<Plan | Verdict> {
  const domain = domainOf(address).toLowerCase();
  for (const route of candidateRoutes(context.options.routes, message, address)) {
    if (route.mx === undefined) return byRoute(route, message, context);
    const destination = await context.resolve(domain);
    if ('kind' in destination) return destination;
    const { mx } = route;
    if (destination.preferences[0]!.some((name) => matchesDomain(mx, name))) return byRoute(route, message, context);
  }
  const asks = asksOf(message);
  // Beside the look-up of the hosts: a domain without a policy waits no longer for it.
  const operator = context.operator(domain);
  const policy = beginPolicy({ domain, operator, message: asks }, context.policies);
  const destination = await context.resolve(domain);
  if ('kind' in destination) return destination;
  // Waited for here, where it takes no session of its hosts from other domains.
  await policy;
  return byMx(destination, { domain, operator, asks, policy }, context);
}

type MxMail = Pick<PolicyQuestion, 'domain' | 'operator' | 'policy'> & { readonly asks: PolicyQuestion['message'] };

function byMx(destination: Destination, { domain, operator, asks, policy }: MxMail, context: PlanContext): Plan {
  const { options, guard } = context;
  const { secure, expanded } = destination;
  return {
    key: destination.key,
    async targets() {
      const hosts = ordered(destination).map((name) => ({ name, port: options.port }));
      const families = await context.families.order(options.ip);
      const request = { hosts, families, provisional: options.ip === 'auto', guard, domain };
      const policies = createHostPolicies(
        { domain, expanded, named: secure ? 'proven' : 'unproven', operator, message: asks, policy },
        context.policies,
      );
      return targetsOf(request, { ...context, policies }, {});
    },
  };
}

/** The operator has named these hosts: they may be private, they must prove who they are, and they may ask for a login. */
function byRoute(route: Route, { tlsReport = false }: PlannedMessage, context: PlanContext): Plan {
  const { hosts, login, tls = 'verify', ip = context.options.ip } = route;
  return {
    key: `route:${hosts.join(',')}${login === undefined ? '' : ` as ${login.user}`}`,
    async targets() {
      const families = await context.families.order(ip);
      const domain = `the route to ${hosts.join(', ')}`;
      const request = { hosts: hosts.map(parseHost), families, provisional: ip === 'auto', domain };
      const question = {
        domain,
        expanded: domain,
        named: 'operator',
        operator: samePolicy({ level: tls, modes: context.modes }),
        message: { tlsOptional: false, tlsReport },
      } as const;
      const policies = createHostPolicies(question, context.policies);
      const targets = targetsOf(request, { ...context, policies }, { login, upstream: true });
      return { ...targets, problem: () => misrouted(targets.problem()) };
    },
  };
}

/** A route that leads nowhere is the operator's mistake: mail waits until it is put right. */
function misrouted({ reply }: Verdict): AboutUs {
  return { ...judgeOurProblem('unrouted', reply.text), waitsForUs: true };
}

type Manner = Pick<Target, 'login' | 'upstream'>;
type TargetsContext = Pick<PlanContext, 'dns' | 'families' | 'isUnreachable'> & { readonly policies: HostPolicies };

function targetsOf(
  request: Omit<AddressRequest<Host>, 'isUnreachable' | 'isFit'>,
  context: TargetsContext,
  manner: Manner,
): Targets {
  const { dns, families, isUnreachable, policies } = context;
  /** Why hosts were passed over. */
  let passed: Verdict | undefined;
  let fit: HostPolicy | undefined;

  async function isFit({ host, evidence }: Addressed<Host>): Promise<boolean> {
    fit = await policies.judge(host, evidence);
    if (fit.kind === 'skip') passed = fit.unmet.verdict;
    return fit.kind === 'meet';
  }

  function targetOf(address: Addressed<Host>, policy: HostPolicy | undefined): Target | undefined {
    if (policy?.kind !== 'meet') return undefined;
    const { host, ip, family, evidence } = address;
    return {
      ...{ mx: host.name, port: host.port, ip, family, source: families.source(family) },
      ...{ tls: policy.tls, basis: policy.basis },
      again: async (unmet) => targetOf(address, await policies.again(host, evidence, unmet)),
      ...manner,
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
  };
}
