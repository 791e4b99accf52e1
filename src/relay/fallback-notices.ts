/** What the operator is told of the fallback upstream: a line in the log, and mail, once a day for each matter. */
import type { Config } from '../config/config.ts';
import type { FallbackNews } from '../delivery/delivery.ts';
import type { EventLog } from '../events/events.ts';
import { fallbackNotice, type OperatorNotice } from '../report/report.ts';
import { newQueueId } from '../smtp/queue-id.ts';
import { replyLine } from '../smtp/reply.ts';
import type { Store } from '../store/store.ts';
import { DAY } from '../system/clock.ts';

type FallbackNoticeParts = {
  readonly store: Pick<Store, 'operation' | 'messages'>;
  readonly log: EventLog;
  readonly config: () => Pick<Config, 'hostname' | 'operator'>;
  /** @param id of its message in the queue. */
  readonly send: (operator: string, notice: OperatorNotice, id: string) => Promise<void>;
};

/** The small values that remember what was told. */
const NOTICE = 'notice.fallback.';

/** `id`: of the message. `told`: it is known to be in the queue. */
type FallbackNote = { readonly news: FallbackNews; readonly id: string; readonly told: boolean };

/** Keeps what is heard before notices can be sent. */
export function createFallbackNews() {
  let waiting: FallbackNews[] = [];
  let listener: ((news: FallbackNews) => void) | undefined;
  return {
    hear(news: FallbackNews): void {
      if (listener === undefined) waiting.push(news);
      else listener(news);
    },
    listen(told: (news: FallbackNews) => void): void {
      listener = told;
      for (const news of waiting.splice(0)) told(news);
      waiting = [];
    },
  };
}

/**
 * A failure is told when it begins and when it ends, and all else once in a day (UTC). The id of the mail is stored before the mail, so
 * that it is neither lost nor sent again where the relay was killed. @returns resolves when all that was heard so far is told.
 */
export function followFallback(news: ReturnType<typeof createFallbackNews>, parts: FallbackNoticeParts): () => Promise<void> {
  const { log } = parts;
  /** What this process has told, so that the store is not asked each time. */
  const known = new Map<string, number>();
  let telling: Promise<void> = finish(parts).catch((error: unknown) => log.emit('noticeFailed', { error }));
  news.listen((one) => {
    const name = nameOf(one);
    const isNews = one.kind === 'failing' || one.kind === 'working' || known.get(name) !== dayOf(one);
    if (!isNews) return;
    if (known.size > 10_000) known.clear();
    known.set(name, dayOf(one));
    telling = telling
      .then(() => tell(name, one, parts))
      .catch((error: unknown) => log.emit('noticeFailed', { provider: one.provider, error }));
  });
  return () => telling;
}

const dayOf = ({ at }: FallbackNews) => Math.floor(at / DAY);

function nameOf(news: FallbackNews): string {
  const subject = news.kind === 'unaligned' ? `unaligned.${news.domain}` : news.kind === 'cap' ? 'cap' : 'state';
  return `${NOTICE}${news.upstream}.${subject}`;
}

async function tell(name: string, news: FallbackNews, parts: FallbackNoticeParts): Promise<void> {
  const { operation } = parts.store;
  const value = await operation.value(name);
  const before = value === undefined ? undefined : (JSON.parse(value) as FallbackNote).news;
  const isState = news.kind === 'failing' || news.kind === 'working';
  // A failure that is known began before the relay was started.
  if (before !== undefined && (isState ? before.kind === news.kind : dayOf(before) === dayOf(news))) return;
  writeLine(news, parts.log);
  const note: FallbackNote = { news, id: newQueueId(Date.now()), told: false };
  await operation.setValue(name, JSON.stringify(note));
  await deliver(name, note, parts);
}

function writeLine(news: FallbackNews, log: EventLog): void {
  const { upstream, provider } = news;
  const fields = { upstream, provider };
  if (news.kind === 'cap') log.emit('fallbackFull', { ...fields, cap: news.cap });
  else if (news.kind === 'failing')
    log.emit('fallbackFailed', { ...fields, reply: replyLine(news.reply), until: new Date(news.until).toISOString() });
  else if (news.kind === 'working') log.emit('fallbackWorks', fields);
  else log.emit('fallbackNotAllowed', { ...fields, domain: news.domain, reason: news.why });
}

/** Sends what a killed process has left. */
async function finish(parts: FallbackNoticeParts): Promise<void> {
  const { operation, messages } = parts.store;
  for (const { name, value } of await operation.values(NOTICE)) {
    const note = JSON.parse(value) as FallbackNote;
    if (note.told) continue;
    if ((await messages.get(note.id)) === undefined) await deliver(name, note, parts);
    else await operation.setValue(name, JSON.stringify({ ...note, told: true }));
  }
}

async function deliver(name: string, note: FallbackNote, { store, config, send }: FallbackNoticeParts): Promise<void> {
  const { hostname, operator } = config();
  if (operator !== undefined) await send(operator, fallbackNotice({ ...note.news, hostname }), note.id);
  await store.operation.setValue(name, JSON.stringify({ ...note, told: true }));
}
