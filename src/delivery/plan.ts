/** The way of a recipient: the MX of its domain, or the operator's route. Names first, addresses when the attempt begins. */

import type { DnsClient } from '../dns/dns.ts';
import type { AddressGuard } from '../net/address-guard.ts';
import { domainOf } from '../smtp/envelope.ts';
import type { Route, RouteKey } from '../smtp/route.ts';
import { type Addresses, type AddressRequest, createAddresses } from './addresses.ts';
import type { DeliveryOptions } from './delivery.ts';
import { type Destination, ordered, type Resolve } from './destination.ts';
import type { IpFamilies } from './ip-families.ts';
import { candidateRoutes, matchesDomain, parseHost } from './route.ts';
import type { Target } from './session.ts';
import { tlsPolicy } from './tls.ts';
import { type AboutUs, judgeOurProblem, type Verdict } from './verdict.ts';

/** Targets in the order to try them, found when they are needed. */
export type Targets = {
  /** Undefined: that was the last. Never rejects. */
  next(): Promise<Target | undefined>;
  /** The same host over the other address family. */
  otherFamily(target: Target): Target | undefined;
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
  readonly options: Pick<DeliveryOptions, 'routes' | 'port' | 'ip' | 'tls'>;
  readonly dns: DnsClient;
  readonly resolve: Resolve;
  readonly guard: AddressGuard;
  readonly families: IpFamilies;
  readonly isUnreachable: (ip: string) => boolean;
};

export async function planFor(message: RouteKey, address: string, context: PlanContext): Promise<Plan | Verdict> {
  const domain = domainOf(address).toLowerCase();
  for (const route of candidateRoutes(context.options.routes, message, address)) {
    if (route.mx === undefined) return byRoute(route, context);
    const destination = await context.resolve(domain);
    if ('kind' in destination) return destination;
    const { mx } = route;
    if (destination.preferences[0]!.some((name) => matchesDomain(mx, name))) return byRoute(route, context);
  }
  const destination = await context.resolve(domain);
  return 'kind' in destination ? destination : byMx(destination, domain, context);
}

function byMx(destination: Destination, domain: string, context: PlanContext): Plan {
  const { options, guard } = context;
  return {
    key: destination.key,
    async targets() {
      const hosts = ordered(destination).map((name) => ({ name, port: options.port }));
      const families = await context.families.order(options.ip);
      const request = { hosts, families, provisional: options.ip === 'auto', guard, domain };
      return targetsOf(request, context, ({ name }) => ({ tls: tlsPolicy(options.tls, name) }));
    },
  };
}

/** The operator has named these hosts: they may be private, they must prove who they are, and they may ask for a login. */
function byRoute(route: Route, context: PlanContext): Plan {
  const { hosts, login, tls = 'verify', ip = context.options.ip } = route;
  return {
    key: `route:${hosts.join(',')}${login === undefined ? '' : ` as ${login.user}`}`,
    async targets() {
      const families = await context.families.order(ip);
      const domain = `the route to ${hosts.join(', ')}`;
      const request = { hosts: hosts.map(parseHost), families, provisional: ip === 'auto', domain };
      const targets = targetsOf(request, context, ({ name, port }) => ({
        tls: tlsPolicy(tls, name, port === IMPLICIT_TLS),
        login,
        upstream: true,
      }));
      return { ...targets, problem: () => misrouted(targets.problem()) };
    },
  };
}

/** RFC 8314 §3.3. */
const IMPLICIT_TLS = 465;

/** A route that leads nowhere is the operator's mistake: mail waits until it is put right. */
function misrouted({ reply }: Verdict): AboutUs {
  return { ...judgeOurProblem('unrouted', reply.text), waitsForUs: true };
}

function targetsOf(
  request: Omit<AddressRequest<Host>, 'isUnreachable'>,
  { dns, families, isUnreachable }: PlanContext,
  manner: (host: Host) => Pick<Target, 'tls' | 'login' | 'upstream'>,
): Targets {
  const addresses = createAddresses(dns, { ...request, isUnreachable });
  const targetOf = ({ host, ip, family }: Addresses<Host>['found'][number]): Target => ({
    mx: host.name,
    port: host.port,
    ip,
    family,
    source: families.source(family),
    ...manner(host),
  });
  return {
    async next() {
      const address = await addresses.next();
      return address && targetOf(address);
    },
    otherFamily({ mx, family }) {
      const other = addresses.found.find((address) => address.host.name === mx && address.family !== family);
      return other && targetOf(other);
    },
    problem: addresses.problem,
  };
}
