/** Which way mail of a destination takes, as it is configured: its routes, and the relay that takes it while its provider refuses us. */
import type { FallbackRule, Route, TlsLevel } from '../smtp/route.ts';
import type { Parts } from './parts.ts';

export type WaySettings = {
  readonly routes: readonly Route[];
  readonly delivery: { readonly fallback: readonly FallbackRule[] };
};

/** `routes`: in the order in which they are asked; what none of them takes goes by the MX. No login is in it. */
export type ConfiguredWay = {
  readonly routes: readonly ReturnType<typeof routeShape>[];
  readonly fallback: ReturnType<typeof upstreamShape> | null;
};

export type WayControl = {
  /** Asks neither the DNS nor the store. @param destination the key of its deliveries. @param provider null: none that the table knows. */
  of(destination: string, provider: string | null): Promise<ConfiguredWay>;
};

/** A route and the fallback upstream verify certificates where nothing else is written. */
const USUAL: TlsLevel = 'verify';
/** No provider has such a key. */
const UNKNOWN = ':';

export function createWayControl({ settings }: Pick<Parts<WaySettings>, 'settings'>): WayControl {
  return {
    async of(destination, provider) {
      const { fallbackFor, routesTo } = await import('../delivery/delivery.ts');
      const { routes, delivery } = settings();
      const taken = routesTo(routes, destination);
      const rule = taken.some(takesAll) ? undefined : fallbackFor(delivery.fallback, provider ?? UNKNOWN);
      return { routes: taken.map(routeShape), fallback: rule === undefined ? null : upstreamShape(rule) };
    },
  };
}

/** Of the mail of one destination. Its provider gets none then, so that no refusal can make it wait. */
const takesAll = ({ senderDomain = '*', user, mx }: Route) => senderDomain === '*' && user === undefined && mx === undefined;

const upstreamShape = ({ hosts, tls = USUAL }: Pick<Route, 'hosts' | 'tls'>) => ({ hosts, tls });

/** What a route asks of mail before it takes it. null: nothing. `login`: the relay logs in there. */
function routeShape({ recipientDomain, senderDomain, user, mx, login, ...upstream }: Route) {
  const asks = {
    recipientDomain: recipientDomain ?? null,
    senderDomain: senderDomain ?? null,
    user: user ?? null,
    mx: mx ?? null,
  };
  return { ...upstreamShape(upstream), ...asks, login: login !== undefined };
}
