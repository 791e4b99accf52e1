/** What the ways of messages are found with, as it follows from the options. */
import { type AddressGuard, createAddressGuard, type Refused } from '../net/address-guard.ts';
import { machineAddresses } from '../net/addresses.ts';
import { createCache } from '../system/cache.ts';
import { type Clock, MINUTE } from '../system/clock.ts';
import type { DeliveryOptions } from './delivery.ts';
import { createResolve, type Destination } from './destination.ts';
import { createIpFamilies } from './ip-families.ts';
import { createOperatorPolicies } from './operator.ts';
import type { PlanContext } from './plan.ts';
import { loadProviders, type Provider, type ProviderTable, providerOf, providerOfHost } from './shaping/provider.ts';
import { upstreamLimits } from './upstream-slots.ts';

/** The part of the options that decides about ways. */
export type WayOptions = Omit<DeliveryOptions, 'operation' | 'log' | 'eightBit' | 'concurrency' | 'maxSessions'> & {
  readonly log: PlanContext['policies']['log'];
};

type Kept = { readonly now: Clock } & Pick<PlanContext, 'isUnreachable'>;

export function createPlanContext(options: WayOptions, { now, isUnreachable }: Kept): PlanContext {
  const { dns, hostname, source, dane = 'on', mtaSts = 'on', sts, validates = () => true, results, log } = options;
  const { validatesNow = async () => validates() } = options;
  const { destinations = [], tls } = options;
  const table = loadProviders(options.providers);
  return {
    options,
    dns,
    resolve: createResolve(dns, hostname),
    guard: remembered(createAddressGuard(options.allowPrivate, options.ownAddresses ?? ownAddresses())),
    families: createIpFamilies({ dns, hostname, source, now }),
    providerOf: rememberedProvider(table),
    isHostOf: rememberedHosts(table),
    isUnreachable,
    policies: { dns, log, sts, validates, validatesNow, results },
    operator: createOperatorPolicies({ destinations, tls, dane, mtaSts, now }),
    upstreamLimits: upstreamLimits(options.routes),
    modes: { dane, mtaSts },
  };
}

/** Names are compared once for each answer of the DNS that was sorted. */
function rememberedProvider(table: ProviderTable): PlanContext['providerOf'] {
  const known = new WeakMap<Destination, Provider | 'none'>();
  return (destination) => {
    let found = known.get(destination);
    if (found === undefined) known.set(destination, (found = providerOf(table, destination.preferences[0]!) ?? 'none'));
    return found === 'none' ? undefined : found;
  };
}

function rememberedHosts(table: ProviderTable): PlanContext['isHostOf'] {
  const known = createCache<string, string>(10_000);
  return (provider, host) => {
    let found = known.get(host);
    if (found === undefined) known.set(host, (found = providerOfHost(table, host)?.key ?? ''));
    return found === provider;
  };
}

/** Judging an address takes microseconds, and there are few addresses. */
function remembered(guard: AddressGuard): AddressGuard {
  const known = createCache<string, NonNullable<Refused> | 'allowed'>(10_000, MINUTE);
  return (address) => {
    let judged = known.get(address);
    if (judged === undefined) known.set(address, (judged = guard(address) ?? 'allowed'));
    return judged === 'allowed' ? undefined : judged;
  };
}

/** Loopback is private anyway. Asking the system for each connection would be slow. */
function ownAddresses(): () => readonly string[] {
  const kept = createCache<'addresses', readonly string[]>(1, MINUTE);
  return () => {
    const known = kept.get('addresses');
    if (known !== undefined) return known;
    const addresses = machineAddresses();
    kept.set('addresses', addresses);
    return addresses;
  };
}
