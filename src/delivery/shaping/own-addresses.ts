/** Which of several addresses of ours mail for a provider may leave by. */
import { groupsOf } from '../../net/addresses.ts';
import type { ProviderWay, Way } from './provider-way.ts';

/** Where a provider refuses two addresses of a network, it means the network. IPv4 beside it makes IPv6 dispensable. */
export function noteNeighbours(ways: readonly ProviderWay[], now: number): void {
  const refused = ways.filter((way) => way.way.source !== undefined && way.refusal(now)?.isThrottle === false);
  const ipv4 = ways.some(({ way }) => way.family === 4);
  for (const way of ways) {
    const near = refused.filter((other) => other !== way && isOneNetwork(other.way, way.way));
    way.neighbours = { refused: near.length >= 2, ipv4 };
  }
}

/** A further address of a family is used where those before it are refused for what they are: their pace is no reason. */
export function usableWays(ways: readonly ProviderWay[], now: number): readonly ProviderWay[] {
  if (ways.length < 2) return ways;
  const isSpent = (way: ProviderWay) => way.isOut(now) || way.refusal(now)?.isThrottle === false;
  return ways.filter((way, i) => ways.slice(0, i).every((first) => first.way.family !== way.way.family || isSpent(first)));
}

/** The first address of each family. */
export function sourcesOf(ways: readonly ProviderWay[]): readonly Way[] {
  return ways.map(({ way }) => way).filter((way, i, all) => all.findIndex((other) => other.family === way.family) === i);
}

/** Providers look at a /24 of IPv4 and a /48 of IPv6 as one sender. */
function isOneNetwork(a: Way, b: Way): boolean {
  if (a.family !== b.family || a.source === undefined || b.source === undefined) return false;
  const [one, other] = [a.source, b.source].map((address) =>
    (a.family === 4 ? address.split('.') : groupsOf(address)).slice(0, 3).join('.'),
  );
  return one === other;
}
