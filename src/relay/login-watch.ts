/** How the behaviour of logins is watched: where messages and logins pass, and who is told. */
import { createHash, randomBytes } from 'node:crypto';
import type { Config } from '../config/config.ts';
import type { Credentials } from '../credentials/credentials.ts';
import type { EventLog } from '../events/events.ts';
import {
  Behaviour,
  type BehaviourNews,
  type BehaviourSettings,
  describeSignal,
  LINK_LIFETIME,
  type Stop,
} from '../policy/policy.ts';
import type { Queue } from '../queue/queue.ts';
import { loginHeldNotice, loginUnusualNotice, type OperatorNotice } from '../report/report.ts';
import type { Store } from '../store/store.ts';
import { createCache } from '../system/cache.ts';
import { DAY, MINUTE } from '../system/clock.ts';

type LoginWatch = Awaited<ReturnType<typeof startLoginWatch>>;

type WatchParts = {
  readonly store: Store;
  readonly log: EventLog;
  /** Returns the current configuration. */
  readonly config: () => Config;
};

/** The operator hears of the same login so often, if it is not stopped. */
const NOTICED_FOR = 7 * DAY;
const REMEMBERED = 10_000;

/** Made once for each configuration, because it is asked for several times for each message. */
function settingsOf(config: () => Config): () => BehaviourSettings {
  let last: Config | undefined;
  let settings: BehaviourSettings | undefined;
  return () => {
    const current = config();
    if (settings === undefined || current !== last) {
      const { mode, noticeAt, slowAt, holdAt, person, server } = current.behaviour;
      settings = { mode, points: { notice: noticeAt, slow: slowAt, hold: holdAt }, thresholds: { person, server } };
      last = current;
    }
    return settings;
  };
}

/** Rejects when the store fails. */
export async function startLoginWatch({ store, log, config }: WatchParts) {
  let tell: ((news: BehaviourNews | Stop) => void) | undefined;
  const waiting: (BehaviourNews | Stop)[] = [];
  const hear = (news: BehaviourNews | Stop) => (tell === undefined ? void waiting.push(news) : tell(news));
  const behaviour = await Behaviour.start({
    ...{ store, log: log.emit, settings: settingsOf(config), now: store.now },
    onStop: hear,
    onNotice: hear,
  });
  return {
    behaviour,
    /** What was heard before comes at once. */
    listen(listener: typeof hear): void {
      tell = listener;
      for (const news of waiting.splice(0)) listener(news);
    },
  };
}

/** The queue, with a look at each message that a client hands in. */
export function watchedQueue(queue: Queue, behaviour: Behaviour): Queue {
  return {
    ...queue,
    async add(request) {
      const { message, limits, submitter } = request;
      if (submitter === undefined) return queue.add(request);
      const daily = limits?.list.find(({ kind, per }) => kind === 'messages' && per === 'day')?.count;
      const reply = behaviour.refuses(message, daily);
      if (reply !== undefined) return { accepted: false, reply };
      const result = await queue.add(request);
      if (result.accepted) behaviour.accepted(result.id, message, submitter);
      return result;
    },
  };
}

/** The logins, with a look at each one that succeeds. */
export function watchedCredentials(credentials: Credentials, behaviour: Behaviour): Credentials {
  return {
    ...credentials,
    async verify(name, password, asker) {
      const verification = await credentials.verify(name, password, asker);
      if (verification.result === 'ok' && asker !== undefined) behaviour.loggedIn(verification.credential, asker.client);
      return verification;
    },
  };
}

type NoticeParts = WatchParts & {
  /** @param id of its message in the queue. */
  readonly send: (operator: string, notice: OperatorNotice, id?: string) => Promise<void>;
};

/** Tells the operator, and those who are named for a login, of what is heard. @returns resolves when all that was heard so far is told. */
export function followLogins({ behaviour, listen }: LoginWatch, parts: NoticeParts): () => Promise<void> {
  const { store, log } = parts;
  const noticed = createCache<string, true>(REMEMBERED, NOTICED_FOR);
  let telling = Promise.resolve();
  const next = (step: () => Promise<void>, user: string): void => {
    telling = telling.then(step).catch((error: unknown) => log.emit('noticeFailed', { user, error }));
  };
  const tellNext = (news: BehaviourNews | Stop): void => {
    if ('id' in news) {
      next(() => tellStop(news, behaviour, parts), news.user);
      return;
    }
    const key = `${news.user} ${news.sender}`;
    if (noticed.has(key)) return;
    noticed.set(key, true);
    next(() => tellUnusual(news, parts), news.user);
  };
  // What a killed process has stopped, and not told.
  for (const stop of behaviour.stops()) {
    const isNew = stop.by === 'relay' && stop.state === 'held' && store.now() - stop.since < DAY;
    if (isNew) next(() => finishStop(stop, behaviour, parts), stop.user);
  }
  listen(tellNext);
  store.onChange((changes) => {
    if ([...changes].some((change) => change.startsWith('value:behaviour.'))) void behaviour.follow();
  });
  return () => telling;
}

async function tellUnusual({ user, sender, verdict }: BehaviourNews, { store, log, config, send }: NoticeParts): Promise<void> {
  const now = store.now();
  const name = `notice.unusual.${encodeURIComponent(user)}/${encodeURIComponent(sender)}`;
  if (!(await store.operation.takeLease(name, randomBytes(8).toString('hex'), now + NOTICED_FOR, now))) return;
  const signals = verdict.signals.map(describeSignal);
  log.emit('loginUnusual', { user, ...(sender !== '' && { sender }), score: verdict.score, signals });
  const { hostname, operator } = config();
  if (operator !== undefined) await send(operator, loginUnusualNotice({ hostname, user, sender, signals }));
}

async function finishStop(stop: Stop, behaviour: Behaviour, parts: NoticeParts): Promise<void> {
  const [id] = stop.notices;
  if (id !== undefined && (await parts.store.messages.get(id)) === undefined) await tellStop(stop, behaviour, parts);
}

async function tellStop(stop: Stop, behaviour: Behaviour, { store, log, config, send }: NoticeParts): Promise<void> {
  const { user, sender, score, disabled } = stop;
  const now = store.now();
  if (!(await store.operation.takeLease(`notice.stop.${stop.id}`, OWNER, now + MINUTE, now))) return;
  const signals = stop.signals.map(describeSignal);
  log.emit('loginHeld', { user, ...(sender !== '' && { sender }), score, signals, disabled });
  const { hostname, operator, behaviour: settings, listen } = config();
  const contact = behaviour.contactOf(user);
  if (operator === undefined && contact === undefined) return;
  const base = operator === undefined || listen.admin.length === 0 || stop.again ? undefined : settings.link;
  const link = base === undefined ? undefined : await newLink(base, stop, behaviour, now);
  const { link: _, ...known } = stop;
  const facts = { ...known, hostname, signals };
  if (operator !== undefined) await send(operator, loginHeldNotice({ ...facts, link }), stop.notices[0]);
  // Who can be reached by the stopped mailbox may be the thief: only the operator gets the link.
  if (contact !== undefined && contact !== operator) await send(contact, loginHeldNotice(facts), stop.notices[1]);
}

const OWNER = randomBytes(8).toString('hex');

/** Only a hash of the link is stored, so that who reads a backup cannot use it. */
async function newLink(base: string, stop: Stop, behaviour: Behaviour, now: number) {
  const token = randomBytes(24).toString('base64url');
  const until = now + LINK_LIFETIME;
  await behaviour.setLink(stop, createHash('sha256').update(token).digest('hex'), until);
  return { url: `${base.replace(/\/+$/, '')}/release/${token}`, until };
}
