/** Begins the pace of providers with what earlier processes have stored. */
import type { EventLog } from '../../events/events.ts';
import type { MessageStore, OperationStore } from '../../store/store.ts';
import type { FallbackOptions } from './fallback.ts';
import type { BlockNews } from './permit.ts';
import { ProviderPace, type ProviderPaceOptions } from './provider-pace.ts';

/** What the rest of the relay gives. */
export type ProviderSurroundings = {
  readonly log: EventLog;
  readonly operation: Partial<Pick<OperationStore, 'shaping' | 'putShaping' | 'keepValue' | 'value'>>;
  /** Holds mail. Absent: nothing is ever held. */
  readonly held?: (Pick<MessageStore, 'releaseHeld'> & Partial<Pick<MessageStore, 'list'>>) | undefined;
  /** Hears of blocks that begin and end. */
  readonly onBlock?: ((news: BlockNews) => void) | undefined;
  /** Hears of the fallback upstream. */
  readonly onFallback?: FallbackOptions['onNews'] | undefined;
  /** What messages are, and whether they are welcome there. */
  readonly fallbackMail?: FallbackOptions['mail'] | undefined;
};

/** Rejects where the store fails. */
export async function startProviders(
  { log, operation, held, onBlock, onFallback, fallbackMail }: ProviderSurroundings,
  {
    rules,
    ...options
  }: Omit<ProviderPaceOptions, 'onNews' | 'onProbe' | 'release' | 'put' | 'fallback'> & Pick<FallbackOptions, 'rules'>,
): Promise<ProviderPace> {
  const stored = (await operation.shaping?.()) ?? [];
  const isFresh = await areAddressesNew(operation, held, stored);
  const failed = (error: unknown): void => void log.emit('pacingNotStored', { error });
  const pace: ProviderPace = new ProviderPace(
    {
      ...options,
      warmsUp: () => isFresh && options.warmsUp?.() === true,
      onProbe: (provider, { family, source }, queueId) => {
        log.emit('providerProbe', { provider, address: source ?? `IPv${family}`, ...(queueId !== undefined && { queueId }) });
      },
      onNews: (news) => onBlock?.(news),
      release: async (provider, limit, probe, after) => {
        const which = { ...(after !== undefined && { after }), ...(probe && { avoid: pace.struck() }) };
        const request = { provider, limit, probe, now: options.now(), ...which };
        return (await held?.releaseHeld(request)) ?? [];
      },
      put: async (row) => operation.putShaping?.(row).catch(failed),
      fallback: { rules, onNews: (news) => onFallback?.(news), ...(fallbackMail !== undefined && { mail: fallbackMail }) },
    },
    stored,
  );
  return pace;
}

/** The small value that says whether the addresses were new when this was first asked. */
const FIRST_SEEN = 'provider.addresses';

/** They are new if no mail has ever left here: no message is in the trace, and nothing is known of providers. It is decided once. */
async function areAddressesNew(
  operation: ProviderSurroundings['operation'],
  held: ProviderSurroundings['held'],
  stored: readonly unknown[],
): Promise<boolean> {
  const { value, keepValue } = operation;
  if (value === undefined || keepValue === undefined || held?.list === undefined) return false;
  const known = await value(FIRST_SEEN);
  if (known !== undefined) return known === 'new';
  const states = ['queued', 'active', 'delayed', 'held', 'uncertain', 'relayed', 'failed', 'expired', 'removed'] as const;
  const isUsed = stored.length > 0 || (await held.list({ states, limit: 1 })).length > 0;
  return (await keepValue(FIRST_SEEN, isUsed ? 'known' : 'new')) === 'new';
}
