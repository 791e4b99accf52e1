/** Providers: receivers of mail that are known by their MX hosts, and what each may get. */
import type { Provider } from '../delivery/delivery.ts';
import { ControlError } from './control-error.ts';
import type { Parts } from './parts.ts';

export type ProviderSettings = {
  readonly delivery: { readonly providers?: string | undefined };
};

/** `provider list`. Durations are in seconds. */
export type KnownProvider = ReturnType<typeof providerShape>;

export type ProviderControl = {
  /** All of the table, in the order of the names. */
  list(): Promise<readonly KnownProvider[]>;
  /** Rejects with `not found` if the table has no such provider. */
  show(key: string): Promise<KnownProvider>;
};

export function createProviderControl({ settings }: Pick<Parts<ProviderSettings>, 'settings'>): ProviderControl {
  async function list(): Promise<readonly KnownProvider[]> {
    const { loadProviders } = await import('../delivery/delivery.ts');
    const { providers } = loadProviders(settings().delivery.providers);
    return providers.map(providerShape).sort((a, b) => (a.provider < b.provider ? -1 : 1));
  }

  return {
    list,
    async show(key) {
      const found = (await list()).find(({ provider }) => provider === key);
      if (found !== undefined) return found;
      throw new ControlError('not found', 'provider', `The table has no provider ${key}.`);
    },
  };
}

function providerShape({ key, mx, sessions, perConnection, perMinute, firstRest, ...rest }: Provider) {
  const { ipv6, removal = null, source, read, origin } = rest;
  return {
    provider: key,
    mx,
    sessions,
    perConnection,
    perMinute,
    firstRest: firstRest / 1000,
    ipv6,
    removal,
    origin,
    source,
    read,
  };
}
