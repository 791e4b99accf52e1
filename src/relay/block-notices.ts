/** What the operator is told of a provider that refuses our address: a line in the log, and mail when it begins and when it ends. */
import type { Config } from '../config/config.ts';
import { type BlockNews, type Delivery, fallbackFor, loadProviders } from '../delivery/delivery.ts';
import type { EventLog } from '../events/events.ts';
import { blockNotice, type OperatorNotice } from '../report/report.ts';
import { newQueueId } from '../smtp/queue-id.ts';
import { replyLine } from '../smtp/reply.ts';
import type { Store } from '../store/store.ts';
import { DAY, HOUR } from '../system/clock.ts';
import { createBlockDays } from './block-days.ts';
import { createFallbackMail } from './fallback-mail.ts';
import { createFallbackNews, followFallback } from './fallback-notices.ts';

type BlockNewsBox = ReturnType<typeof createBlockNews>;

type Ground = Parameters<typeof createFallbackMail>[0];

/** Keeps what is heard before notices can be sent. @param blocked called when a provider begins to refuse our address. */
export function createBlockNews(log: EventLog, ground: Ground, blocked: (provider: string) => void = () => {}) {
  let waiting: BlockNews[] = [];
  let listener: ((news: BlockNews) => void) | undefined;
  const fallback = createFallbackNews();
  const hear = (news: BlockNews): void => {
    const { provider, way, state, cause } = news;
    const fields = { provider, address: way.source ?? `IPv${way.family}` };
    if (state === 'open') log.emit('providerOpened', fields);
    else
      log.emit('providerBlocked', {
        ...fields,
        class: cause?.class ?? 'unknown',
        reply: cause === undefined ? '' : replyLine(cause.reply),
      });
    if (state === 'blocked' && cause !== undefined && cause.class !== 'operator') blocked(provider);
    if (listener === undefined) waiting.push(news);
    else listener(news);
  };
  return {
    hear,
    /** What the delivery gets of it. */
    told: { onBlock: hear, onFallback: fallback.hear, fallbackMail: createFallbackMail(ground) },
    listen(told: (news: BlockNews) => void): void {
      listener = told;
      for (const news of waiting) told(news);
      waiting = [];
    },
    /** What is heard of the fallback upstream. */
    fallback,
  };
}

type NoticeParts = {
  readonly store: Pick<Store, 'operation' | 'messages' | 'suppression' | 'onChange'>;
  readonly delivery: Pick<Delivery, 'blocks' | 'commandProvider'>;
  readonly log: EventLog;
  /** Returns the current configuration. */
  readonly config: () => Pick<Config, 'hostname' | 'operator' | 'delivery'>;
  /** @param id of its message in the queue. */
  readonly send: (operator: string, notice: OperatorNotice, id: string) => Promise<void>;
};

/** The small values by which a command beside the relay asks it to do something with a provider. */
const PROVIDER_COMMAND = 'provider.command.';

/** The small values that remember the notice of each block. */
const NOTICE = 'notice.block.';
/** A block that begins again so soon after its notice was not stored before the relay was killed. A block lasts at least as long. */
const SAME_BLOCK = 2 * HOUR;

/** `id`: of the message. `told`: it is known to be in the queue. */
type Note = { readonly news: BlockNews; readonly at: number; readonly id: string; readonly told: boolean };

/**
 * Sends one mail when a block begins and one when it ends. A small value has the id of that mail before it is queued, so that it is neither
 * lost nor sent again where the relay was killed. And does what commands ask of providers, each once.
 * @returns resolves when all that was heard so far is told.
 */
export function followProviders(news: BlockNewsBox, parts: NoticeParts): () => Promise<void> {
  const { store, delivery, log } = parts;
  /** One after the other, so that an end is told after its beginning. */
  let telling: Promise<void> = Promise.resolve();
  const next = (step: () => Promise<void>, provider = 'any'): void => {
    telling = telling.then(step).catch((error: unknown) => log.emit('noticeFailed', { provider, error }));
  };
  const tellNext = (one: BlockNews): void => {
    next(() => forgetEvidence(one, parts), one.provider);
    next(() => tell(one, parts, true), one.provider);
  };
  next(() => finish(parts));
  for (const block of delivery.blocks()) {
    next(() => forgetEvidence(block, parts), block.provider); // the process may have been killed before it did so
    next(() => tell(block, parts, false), block.provider);
  }
  news.listen(tellNext);

  const obey = () => obeyCommands(parts).catch((error: unknown) => log.emit('retriesNotRead', { error }));
  store.onChange((changes) => {
    if ([...changes].some((change) => change.startsWith(`value:${PROVIDER_COMMAND}`))) void obey();
  });
  void obey();
  const look = createBlockDays({ delivery, messages: store.messages, log, now: Date.now });
  setInterval(() => next(look), HOUR).unref();
  const toldOfFallback = followFallback(news.fallback, parts);
  return async () => {
    await telling;
    await toldOfFallback();
  };
}

/** What a provider said of addresses shortly before it refused our address may have been about us. Its known texts are believed. */
async function forgetEvidence({ provider, state, since, cause }: BlockNews, { store, log }: NoticeParts): Promise<void> {
  if (state !== 'blocked' || cause === undefined) return;
  const recipients = await store.suppression.forgetUnsure(provider, since - DAY);
  if (recipients > 0) log.emit('suppressionForgotten', { provider, recipients });
}

/** @param begins it has just begun or ended. Otherwise it is known from an earlier process. */
async function tell(news: BlockNews, parts: NoticeParts, begins: boolean): Promise<void> {
  const { operation } = parts.store;
  const { provider, way, state } = news;
  const name = `${NOTICE}${provider}.${way.family}.${way.source ?? ''}`;
  const known = await operation.value(name);
  const at = Date.now();
  const note: Note = { news, at, id: newQueueId(at), told: false };
  const value = JSON.stringify(note);
  if (known === undefined) {
    if (state === 'open' || (await operation.keepValue(name, value)) !== value) return; // another relay tells it
  } else {
    const isTold = !begins || Math.abs(at - (noteOf(known)?.at ?? 0)) < SAME_BLOCK;
    if (state === 'blocked' && isTold) return;
    await operation.setValue(name, value);
  }
  await deliverNote(name, note, parts);
}

/** Sends what a killed process has left. */
async function finish(parts: NoticeParts): Promise<void> {
  const { operation, messages } = parts.store;
  for (const { name, value } of await operation.values(NOTICE)) {
    const note = noteOf(value);
    if (note === undefined || note.told) continue;
    if ((await messages.get(note.id)) === undefined) await deliverNote(name, note, parts);
    else await settleNote(name, note, parts);
  }
}

async function deliverNote(name: string, note: Note, parts: NoticeParts): Promise<void> {
  const { hostname, operator, delivery } = parts.config();
  if (operator !== undefined) {
    const removal = removalPage(note.news.provider, delivery.providers);
    const fallback = fallbackFor(delivery.fallback, note.news.provider);
    await parts.send(operator, blockNotice({ ...note.news, hostname, cause: note.news.cause, removal, fallback }), note.id);
  }
  await settleNote(name, note, parts);
}

async function settleNote(name: string, note: Note, { store }: NoticeParts): Promise<void> {
  await store.operation.setValue(name, note.news.state === 'open' ? null : JSON.stringify({ ...note, told: true }));
}

/** Undefined: an earlier version wrote it, which had told it. */
function noteOf(value: string): Note | undefined {
  return value.startsWith('{') ? (JSON.parse(value) as Note) : undefined;
}

/** The operator's file may have got mistakes meanwhile: the notice is sent in any case. */
function removalPage(provider: string, local: string | undefined): string | undefined {
  try {
    return loadProviders(local).byKey.get(provider)?.removal;
  } catch {
    return loadProviders(undefined).byKey.get(provider)?.removal;
  }
}

async function obeyCommands({ store: { operation }, delivery }: NoticeParts): Promise<void> {
  for (const { name, value } of await operation.values(PROVIDER_COMMAND)) {
    await operation.setValue(name, null);
    delivery.commandProvider(name.slice(PROVIDER_COMMAND.length), value);
  }
}
