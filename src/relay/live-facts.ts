/** What the running parts know, for the console. */
import type { Certificates } from '../certificates/certificates.ts';
import type { Config } from '../config/config.ts';
import type { LiveCondition, LiveFacts } from '../console/console.ts';
import type { Delivery } from '../delivery/delivery.ts';
import type { Stop } from '../policy/policy.ts';
import { replyLine } from '../smtp/reply.ts';
import { isRouted } from '../smtp/route.ts';
import type { OpenedStore } from '../store/store.ts';
import { SECOND } from '../system/clock.ts';
import type { DiskWatch } from '../system/disk-watch.ts';
import type { Activity } from './activity.ts';
import type { ConsoleBooks } from './console-books.ts';
import { whyUnusable } from './health.ts';
import type { OutboundLook } from './outbound-look.ts';

type Sessions = { sessions(): number };

export type LiveParts = {
  readonly current: { readonly config: Config };
  readonly books: ConsoleBooks;
  readonly activity: Pick<Activity, 'waiting'>;
  readonly store: Pick<OpenedStore, 'condition' | 'database' | 'now'>;
  readonly disk: DiskWatch | undefined;
  readonly certificates: Pick<Certificates, 'facts' | 'problems' | 'warnings'>;
  readonly delivery: Pick<Delivery, 'inspect' | 'resting' | 'blocks'>;
  readonly watch: { readonly behaviour: { stops(): readonly Stop[] } };
  readonly submission: Sessions;
  /** Threads of sessions, where there are some. */
  readonly threads: Sessions | undefined;
  readonly outbound: Pick<OutboundLook, 'found'>;
};

export function liveFacts(parts: LiveParts): LiveFacts {
  const { books, activity, delivery } = parts;
  return {
    lastHour: (users) => books.hour.lastHour(users),
    refusals: () => activity.waiting(),
    destinations: () =>
      delivery.inspect().destinations.map((one) => ({
        ...one,
        heard: isRouted(one.destination) ? null : books.heard.heard(one.destination),
      })),
    condition: () => conditionOf(parts),
    isShared: () => parts.store.database() !== undefined,
    watch: (listener) => books.watch(listener),
    log: books.log,
  };
}

function conditionOf({
  current,
  store,
  disk,
  certificates,
  delivery,
  watch,
  submission,
  threads,
  outbound,
}: LiveParts): LiveCondition {
  const wanted = current.config.queue.minFree;
  const free = disk?.free();
  const blocks = delivery.blocks().filter(({ state }) => state === 'blocked');
  return {
    unusable: whyUnusable({ disk, minFree: wanted, store }) ?? null,
    disk: free === undefined ? null : { free, wanted },
    certificates: certificates.facts(),
    certificateTroubles: [...certificates.problems(Date.now()), ...certificates.warnings()],
    port25: outbound.found(),
    skew: store.database() === undefined ? null : (Date.now() - store.now()) / SECOND,
    sessions: (threads ?? submission).sessions(),
    resting: { now: delivery.resting(), known: delivery.inspect().sets },
    blocked: blocks.map(({ provider, since, cause }) => ({
      provider,
      since,
      reply: cause === undefined ? '' : replyLine(cause.reply),
    })),
    stopped: watch.behaviour
      .stops()
      .flatMap(({ user, sender, since, state }) => (state === 'releasing' ? [] : [{ user, sender, since }])),
  };
}
