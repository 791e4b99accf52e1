/** What the operator is told of a provider that refuses our address: a line in the log, and mail when it begins and when it ends. */
import { randomBytes } from 'node:crypto';
import type { Config } from '../config/config.ts';
import { type BlockNews, type Delivery, loadProviders } from '../delivery/delivery.ts';
import type { EventLog } from '../events/events.ts';
import { blockNotice, type OperatorNotice } from '../report/report.ts';
import { replyLine } from '../smtp/reply.ts';
import type { Store } from '../store/store.ts';

type BlockNewsBox = ReturnType<typeof createBlockNews>;

/** Keeps what is heard before notices can be sent. */
export function createBlockNews(log: EventLog) {
  let waiting: BlockNews[] = [];
  let listener: ((news: BlockNews) => void) | undefined;
  return {
    hear(news: BlockNews): void {
      const { provider, way, state, cause } = news;
      const fields = { provider, address: way.source ?? `IPv${way.family}` };
      if (state === 'open') log.emit('providerOpened', fields);
      else
        log.emit('providerBlocked', {
          ...fields,
          class: cause?.class ?? 'unknown',
          reply: cause === undefined ? '' : replyLine(cause.reply),
        });
      if (listener === undefined) waiting.push(news);
      else listener(news);
    },
    listen(told: (news: BlockNews) => void): void {
      listener = told;
      for (const news of waiting) told(news);
      waiting = [];
    },
  };
}

type NoticeParts = {
  readonly store: Pick<Store, 'operation' | 'onChange'>;
  readonly delivery: Pick<Delivery, 'blocks' | 'commandProvider'>;
  readonly log: EventLog;
  /** Returns the current configuration. */
  readonly config: () => Pick<Config, 'hostname' | 'operator' | 'delivery'>;
  readonly send: (operator: string, notice: OperatorNotice) => Promise<void>;
};

/** The small values by which a command beside the relay asks it to do something with a provider. */
const PROVIDER_COMMAND = 'provider.command.';

/**
 * Sends one mail when a block begins and one when it ends: a small value says that the block was told, so that it is told once also where the
 * relay was killed. And does what commands ask of providers, each once.
 */
export function followProviders(news: BlockNewsBox, parts: NoticeParts): void {
  const { store, delivery, log } = parts;
  /** One after the other, so that an end is told after its beginning. */
  let telling: Promise<void> = Promise.resolve();
  const tellNext = (one: BlockNews): void => {
    telling = telling
      .then(() => tell(one, parts))
      .catch((error: unknown) => log.emit('noticeFailed', { provider: one.provider, error }));
  };
  for (const block of delivery.blocks()) tellNext(block);
  news.listen(tellNext);

  const obey = () => obeyCommands(parts).catch((error: unknown) => log.emit('retriesNotRead', { error }));
  store.onChange((changes) => {
    if ([...changes].some((change) => change.startsWith(`value:${PROVIDER_COMMAND}`))) void obey();
  });
  void obey();
}

async function tell({ provider, way, state, since, cause }: BlockNews, { store, config, send }: NoticeParts): Promise<void> {
  const { operation } = store;
  const name = `notice.block.${provider}.${way.family}.${way.source ?? ''}`;
  const mine = randomBytes(8).toString('hex');
  if (state === 'blocked' && (await operation.keepValue(name, mine)) !== mine) return;
  if (state === 'open') {
    if ((await operation.value(name)) === undefined) return;
    await operation.setValue(name, null);
  }
  const { hostname, operator, delivery } = config();
  if (operator === undefined) return;
  const { removal } = loadProviders(delivery.providers).byKey.get(provider) ?? {};
  await send(operator, blockNotice({ hostname, provider, way, state, since, cause, removal }));
}

async function obeyCommands({ store: { operation }, delivery }: NoticeParts): Promise<void> {
  for (const { name, value } of await operation.values(PROVIDER_COMMAND)) {
    await operation.setValue(name, null);
    delivery.commandProvider(name.slice(PROVIDER_COMMAND.length), value);
  }
}
