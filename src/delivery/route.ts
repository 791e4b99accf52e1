/** Which mail goes another way than its MX: the operator's routes, first match wins. */
import { matchesDomain } from '../smtp/domain.ts';
import { domainOf } from '../smtp/envelope.ts';
import { isRouted, ROUTED, type Route, type RouteKey } from '../smtp/route.ts';

/** Routes that may apply, in order; one with `mx` only when the best MX host matches it. The first without `mx` is the last here. */
export function candidateRoutes(routes: readonly Route[], message: RouteKey, address: string): readonly Route[] {
  if (routes.length === 0) return routes;
  const candidates: Route[] = [];
  for (const route of routes) {
    if (route.hosts.length === 0 || !applies(route, message, address)) continue;
    candidates.push(route);
    if (route.mx === undefined) break;
  }
  return candidates;
}

function applies({ recipientDomain, senderDomain, user }: Route, message: RouteKey, address: string): boolean {
  if (recipientDomain !== undefined && !matchesDomain(recipientDomain, domainOf(address))) return false;
  if (senderDomain !== undefined && !matchesDomain(senderDomain, domainOf(message.reversePath))) return false;
  return user === undefined || user === message.user;
}

/** The route that takes all mail which no earlier one took; undefined: some mail goes by its MX. */
export function catchAll(routes: readonly Route[]): Route | undefined {
  return routes.find(({ hosts, recipientDomain = '*', senderDomain = '*', user, mx }) => {
    return hosts.length > 0 && recipientDomain === '*' && senderDomain === '*' && user === undefined && mx === undefined;
  });
}

/** The routes that take mail of a destination, or some of it, in the order in which they are asked. @param destination as `destinationOf` */
export function routesTo(routes: readonly Route[], destination: string): readonly Route[] {
  if (isRouted(destination)) return routes.filter(({ hosts }) => hosts[0] === destination.slice(ROUTED.length));
  const to = routes.filter(({ hosts, recipientDomain = '*' }) => hosts.length > 0 && matchesDomain(recipientDomain, destination));
  const last = to.findIndex(({ senderDomain = '*', user, mx }) => senderDomain === '*' && user === undefined && mx === undefined);
  return last === -1 ? to : to.slice(0, last + 1);
}

/** What deliveries are grouped by; whether a route with `mx` applies is known only when the MX is. */
export function destinationOf(routes: readonly Route[], message: RouteKey, address: string): string {
  const [first] = candidateRoutes(routes, message, address);
  return first === undefined || first.mx !== undefined ? domainOf(address).toLowerCase() : `${ROUTED}${first.hosts[0]}`;
}

/**
 * False where the route that will be taken asks for no signature of ours. Decided when mail is accepted, before any DNS: a route
 * with `mx` is not known then, so its mail is signed.
 */
export function signs(routes: readonly Route[], message: RouteKey, address: string): boolean {
  const [first] = candidateRoutes(routes, message, address);
  return first === undefined || first.mx !== undefined || first.sign !== false;
}

/** `host:port`, `[2001:db8::1]:25`, `host`; without a port it is 25. */
export function parseHost(text: string): { readonly name: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text);
  if (match === null) return { name: text, port: 25 };
  return { name: (match[1] ?? match[2]!).toLowerCase(), port: match[3] === undefined ? 25 : Number(match[3]) };
}
