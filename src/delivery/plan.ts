/** The way of a recipient: the MX of its domain, or the operator's route. Names first, addresses when the attempt begins. */
import type { Dns } from '../dns/dns.ts';
import { domainOf } from '../smtp/envelope.ts';
import type { AddressGuard } from './address-guard.ts';
import { type Addressed, findAddresses } from './addresses.ts';
import { type Destination, ordered, type Resolve } from './destination.ts';
import type { IpFamilies } from './ip-families.ts';
import type { DeliveryOptions, Route } from './options.ts';
import { candidateRoutes, matchesDomain, parseHost, type Routed } from './route.ts';
import type { Target } from './session.ts';
import { tlsPolicy } from './tls-policy.ts';
import type { Verdict } from './verdict.ts';

export type Plan = {
  /** What pacing goes by. */
  readonly key: string;
  /** In the order to try them. */
  targets(): Promise<readonly Target[] | Verdict>;
};

export type PlanContext = {
  readonly options: Pick<DeliveryOptions, 'routes' | 'port' | 'ip' | 'tls'>;
  readonly dns: Dns;
  readonly resolve: Resolve;
  readonly guard: AddressGuard;
  readonly families: IpFamilies;
};

export async function planFor(message: Routed, address: string, context: PlanContext): Promise<Plan | Verdict> {
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

function byMx(destination: Destination, domain: string, { options, dns, guard, families }: PlanContext): Plan {
  return {
    key: destination.key,
    async targets() {
      const hosts = ordered(destination).map((name) => ({ name }));
      const found = await findAddresses(dns, { hosts, families: await families.order(options.ip), guard, domain });
      if ('kind' in found) return found;
      return found.map((addressed) => ({
        ...facts(addressed, families),
        port: options.port,
        tls: tlsPolicy(options.tls, addressed.host.name),
      }));
    },
  };
}

/** The operator has named these hosts: they may be private, they must prove who they are, and they may ask for a login. */
function byRoute(route: Route, { options, dns, families }: PlanContext): Plan {
  return {
    key: `route:${route.hosts.join(',')}${route.login === undefined ? '' : ` as ${route.login.user}`}`,
    async targets() {
      const hosts = route.hosts.map(parseHost);
      const found = await findAddresses(dns, {
        hosts,
        families: await families.order(route.ip ?? options.ip),
        domain: `the route to ${route.hosts.join(', ')}`,
      });
      if ('kind' in found) return misrouted(found);
      return found.map((addressed) => ({
        ...facts(addressed, families),
        port: addressed.host.port,
        tls: tlsPolicy(route.tls ?? 'verify', addressed.host.name, addressed.host.port === IMPLICIT_TLS),
        login: route.login,
      }));
    },
  };
}

/** RFC 8314 §3.3. */
const IMPLICIT_TLS = 465;

/** A route that leads nowhere is the operator's mistake: mail waits until it is put right. */
function misrouted(verdict: Verdict): Verdict {
  return { ...verdict, kind: 'delayed', reply: { ...verdict.reply, code: 451, status: '4.4.4' } };
}

function facts({ host, ip, family }: Addressed<{ readonly name: string }>, families: IpFamilies) {
  return { mx: host.name, ip, family, source: families.source(family) };
}
