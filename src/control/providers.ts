/** Providers: receivers of mail that are known by their MX hosts, what each may get, and how each sees our addresses. */
import type { Provider } from '../delivery/delivery.ts';
import { isHeldByProvider } from '../smtp/outcome.ts';
import { type Reply, replyLine } from '../smtp/reply.ts';
import type { FallbackRule } from '../smtp/route.ts';
import type { HeldMail, Shaping } from '../store/store.ts';
import { ControlError } from './control-error.ts';
import type { Parts } from './parts.ts';
import { iso } from './shapes.ts';

export type ProviderSettings = {
  readonly delivery: { readonly providers?: string | undefined; readonly fallback: readonly FallbackRule[] };
};

/** `provider list`. Durations are in seconds. A provider that only the store knows has no limits: the table does not have its hosts. */
export type KnownProvider = {
  readonly provider: string;
  readonly limits: ReturnType<typeof limitsShape> | null;
  /** For each address of ours that it has ever seen with other than the usual eyes. */
  readonly addresses: readonly ReturnType<typeof addressShape>[];
  /** Recipients that wait because it refuses our address, and when the oldest of their messages was accepted. */
  readonly held: number;
  /** The upstream for its mail while it refuses our address. */
  readonly fallback: ReturnType<typeof fallbackShape>;
  readonly oldestHeldAt: string | null;
};

/** Asks the relay; where none runs, the next one does it at its start. */
export type ProviderCommand = 'open' | 'hold' | 'probe';

export type ProviderControl = {
  /** All of the table, and those that have refused us, in the order of the names. */
  list(): Promise<readonly KnownProvider[]>;
  /** Rejects with `not found` if there is no such provider. */
  show(key: string): Promise<KnownProvider>;
  /**
   * `open`: send at full pace. `hold`: hold its mail. `probe`: send one held message now. Rejects with `not found`, and with `conflict` where
   * there is nothing to probe.
   */
  command(key: string, command: ProviderCommand): Promise<void>;
};

/** The small value by which the relay is asked. */
const COMMAND = 'provider.command.';

export function createProviderControl({ store, settings, now, note }: Parts<ProviderSettings>): ProviderControl {
  async function list(): Promise<readonly KnownProvider[]> {
    const delivery = await import('../delivery/delivery.ts');
    const { providers, fallback: rules } = settings().delivery;
    const { byKey } = delivery.loadProviders(providers);
    const [rows, all] = await Promise.all([store.operation.shaping(), store.messages.heldByProvider()]);
    const held = all.filter(isHeldByProvider);
    const states = rows.filter((row) => !delivery.isFallbackRow(row));
    const fallbackOf = (key: string) => {
      const rule = delivery.fallbackFor(rules, key);
      return rule && { rule, use: delivery.fallbackUse(rule, rows, now()) };
    };
    const keys = new Set([...byKey.keys(), ...states.map(({ provider }) => provider), ...held.map(({ provider }) => provider)]);
    return [...keys]
      .sort()
      .map((key) =>
        shapeOf(key, { found: byKey.get(key), states, held, fallback: fallbackOf(key), warmUp: delivery.warmUpShape, at: now() }),
      );
  }

  async function show(key: string): Promise<KnownProvider> {
    const found = (await list()).find(({ provider }) => provider === key);
    if (found !== undefined) return found;
    throw new ControlError('not found', 'provider', `The relay knows no provider ${key}.`);
  }

  return {
    list,
    show,
    async command(key, command) {
      const { addresses } = await show(key);
      if (command === 'probe' && addresses.some(({ class: word }) => word === 'operator'))
        throw new ControlError('conflict', 'provider', `An operator holds the mail for ${key}: \`provider open\` lets it go.`);
      const isBlocked = addresses.some(({ state }) => state === 'blocked' || state === 'probing');
      if (command === 'probe' && !isBlocked)
        throw new ControlError('conflict', 'provider', `${key} does not refuse an address of this relay.`);
      const gives = { provider: key, asked: command };
      await note({ action: `provider.${command}`, target: key, gives }).operation.setValue(`${COMMAND}${key}`, command);
    },
  };
}

type KnownFallback = {
  readonly rule: FallbackRule;
  readonly use:
    | { readonly state: string; readonly until: number; readonly used: number; readonly reply: string | null }
    | undefined;
};

type Known = {
  readonly found: Provider | undefined;
  readonly states: readonly Shaping[];
  readonly held: readonly HeldMail[];
  readonly fallback: KnownFallback | undefined;
  readonly warmUp: WarmUpShape;
  readonly at: number;
};

function shapeOf(provider: string, { found, states, held, fallback, warmUp, at }: Known): KnownProvider {
  const mail = held.find((one) => one.provider === provider);
  return {
    provider,
    limits: found === undefined ? null : limitsShape(found),
    addresses: states.filter((one) => one.provider === provider).map((one) => addressShape(one, at, warmUp)),
    held: mail?.recipients ?? 0,
    fallback: fallbackShape(fallback),
    oldestHeldAt: iso(mail?.oldestAcceptedAt ?? null),
  };
}

/** `state`: `blocked` where it takes no mail from us, until then. `used`: recipients today. */
function fallbackShape(fallback: KnownFallback | undefined) {
  if (fallback === undefined) return null;
  const { rule, use } = fallback;
  const { hosts, dailyCap, after } = rule;
  const isFailing = use?.state === 'blocked';
  return {
    ...{ hosts, used: use?.used ?? 0, dailyCap, after: after === undefined ? null : after / 1000, state: use?.state ?? 'open' },
    ...{ until: isFailing ? iso(use.until) : null, reply: isFailing ? use.reply : null },
  };
}

function limitsShape({ mx, sessions, perConnection, perMinute, firstRest, ...rest }: Provider) {
  const { ipv6, removal = null, source, read, origin } = rest;
  return { mx, sessions, perConnection, perMinute, firstRest: firstRest / 1000, ipv6, removal, origin, source, read };
}

type WarmUpShape = typeof import('../delivery/delivery.ts').warmUpShape;

type Evidence = {
  readonly cause?: { readonly class: string; readonly reply: Reply };
  readonly ipv6?: { readonly until: number };
  readonly warmUp?: Parameters<WarmUpShape>[0];
};

/** `until`: no mail before it; for a block, the next probe. `reply`: what has caused the state. `ipv6Until`: IPv6 is not used before it. `warmUp`: the address is new there, and may send so much today. */
function addressShape(
  { source, family, state, since, until, sessions, rate, learnedCap, evidence }: Shaping,
  at: number,
  shapeOfWarmUp: WarmUpShape,
) {
  const { cause, ipv6, warmUp } = JSON.parse(evidence) as Evidence;
  const isUsual = state === 'open';
  return {
    ...{ address: source === '' ? null : source, family, state, since: iso(since), until: until > at ? iso(until) : null },
    ...{ sessions, perMinute: Math.round(rate * 100) / 100, perConnection: learnedCap },
    class: isUsual ? null : (cause?.class ?? null),
    reply: isUsual || cause === undefined ? null : replyLine(cause.reply),
    warmUp: (warmUp && shapeOfWarmUp(warmUp, at)) ?? null,
    ipv6Until: ipv6 !== undefined && ipv6.until > at ? iso(ipv6.until) : null,
  };
}
