/** Whether the relay can take traffic, and how much mail it holds. For MAIL, /readyz and /metrics. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Certificates } from '../certificates/certificates.ts';
import { fallbackStates } from '../delivery/delivery.ts';
import type { EventLog } from '../events/events.ts';
import type { Snapshot } from '../metrics/metrics.ts';
import type { Queue } from '../queue/queue.ts';
import { isHeldByProvider } from '../smtp/outcome.ts';
import { refusal } from '../smtp/replies.ts';
import type { Refusal } from '../smtp/reply.ts';
import type { OpenedStore, OpenOptions, Shaping, Store } from '../store/store.ts';
import { SECOND } from '../system/clock.ts';
import type { DiskWatch } from '../system/disk-watch.ts';
import type { StsCounts } from '../tls-policy/tls-policy.ts';

/** What a store reports by itself goes into the log. */
export function storeEvents(log: EventLog): OpenOptions {
  return {
    onDamaged: ({ id: queueId, reason }) => log.emit('damaged', { queueId, reason }),
    onTrouble: (error) => log.emit('storeTrouble', { error }),
    onSkew: (seconds) => log.emit('clockSkew', { seconds }),
    onOldTransaction: (seconds) => log.emit('oldTransaction', { seconds }),
    onWentBack: (found) => log.emit('databaseWentBack', found),
  };
}

/** Why no new mail is taken. `unsure`: whether it can be taken is known soon. */
export type Unusable = 'diskTooFull' | 'storeUnreachable' | 'unsure';

type UsableParts = {
  /** undefined: the store is on no disk of this machine. */
  readonly disk: DiskWatch | undefined;
  readonly minFree: number;
  readonly store: Pick<OpenedStore, 'condition'>;
  /** Absent: there is no queue yet. */
  readonly queue?: Pick<Queue, 'storing'> | undefined;
};

/** Bytes of bodies that wait for the store. What is above it would fill the memory while a disk or a database is slow. */
const MOST_STORING = 64 * 1024 * 1024;

/** With too little free space, MAIL is refused with 452 (RFC 5321 §4.2.3), so that queued mail can still be settled. */
export function whyUnusable({ disk, minFree, store, queue }: UsableParts): Unusable | undefined {
  const condition = store.condition();
  if (condition === 'unreachable') return 'storeUnreachable';
  if (condition === 'unsure' || (queue?.storing() ?? 0) > MOST_STORING) return 'unsure';
  const free = disk?.free() ?? Number.POSITIVE_INFINITY;
  return condition === 'full' || free < minFree ? 'diskTooFull' : undefined;
}

const LOOK_AGAIN = SECOND / 5;
const LOOKS = 150;

/** For MAIL. While it is not sure, the client waits, at most 30 s: a failover costs it some seconds, and no reply with 4. */
export function createUsableCheck(
  why: () => Unusable | undefined,
  wait: (ms: number) => Promise<unknown> = sleep,
): () => Refusal | undefined | Promise<Refusal | undefined> {
  const refusalFor = (found: Exclude<Unusable, 'unsure'> | undefined) => (found === undefined ? undefined : refusal(found));
  async function settled(): Promise<Refusal | undefined> {
    for (let looks = 0; looks < LOOKS; looks++) {
      await wait(LOOK_AGAIN);
      const found = why();
      if (found !== 'unsure') return refusalFor(found);
    }
    return refusal('storeUnreachable');
  }
  return () => {
    const found = why();
    return found === 'unsure' ? settled() : refusalFor(found);
  };
}

type HealthParts = {
  readonly commit: CommitCheck;
  /** undefined: the store is on no disk of this machine. */
  readonly disk: DiskWatch | undefined;
  readonly certificates: Certificates;
  readonly minFree: number;
};

/** @returns one sentence for each reason why /readyz fails. */
export async function reasonsAgainst(
  { commit, disk, certificates, minFree }: HealthParts,
  now = Date.now(),
): Promise<readonly string[]> {
  const free = disk?.free();
  const reasons: string[] = [];
  if (free !== undefined && free < minFree) reasons.push(`disk: ${free} bytes free, ${minFree} wanted`);
  reasons.push(...certificates.problems(now));
  const answer = await Promise.race([commit(), after(5 * SECOND, 'store: no commit within 5 s')]);
  return answer === undefined ? reasons : [...reasons, answer];
}

/** Makes a test commit. Returns a sentence if it fails. Never rejects. */
type CommitCheck = () => Promise<string | undefined>;

/** One answer is reused for this time, because each test costs a sync. */
const ANSWER_COUNTS = 2 * SECOND;

export function createCommitCheck(store: Pick<Store, 'ping'>, monotonic: () => number = () => performance.now()): CommitCheck {
  let running: Promise<string | undefined> | undefined;
  let answer: { readonly text: string | undefined; readonly at: number } | undefined;
  return () => {
    if (answer !== undefined && monotonic() - answer.at < ANSWER_COUNTS) return Promise.resolve(answer.text);
    running ??= store
      .ping()
      .then(
        () => undefined,
        (error: Error) => `store: ${error.message}`,
      )
      .then((text) => {
        answer = { text, at: monotonic() };
        running = undefined;
        return text;
      });
    return running;
  };
}

export type SnapshotParts = {
  readonly store: Pick<OpenedStore, 'messages' | 'condition' | 'relays' | 'database' | 'now'>;
  /** Relays on the same database with other settings. */
  readonly otherConfigurations: number;
  readonly certificates: Pick<Certificates, 'facts'>;
  readonly sessions: number;
  /** Threads that have sessions, and that work now. */
  readonly threads: number;
  readonly sessionsByThread: readonly number[];
  readonly resting: number;
  /** Providers that refuse our address now. */
  readonly blocked: readonly { readonly provider: string }[];
  /** The states of providers and fallback upstreams. */
  readonly shaping: readonly Shaping[];
  /** Logins, and senders of mail servers, whose mail is held. */
  readonly stopped: number;
  readonly policies: StsCounts;
  readonly senders: Snapshot['senders'];
  readonly validates: boolean;
  readonly exceptions: number;
};

/** The values for the metrics page. They are also available while the store fails, when they matter most. */
export async function snapshot(
  { store, certificates, blocked, stopped, shaping, otherConfigurations, ...numbers }: SnapshotParts,
  now = Date.now(),
): Promise<Snapshot> {
  const counted = store.messages.counts().catch(() => undefined); // its own log line has the cause
  const counts = await Promise.race([counted, after(2 * SECOND, undefined)]);
  const certificate = { certificates: certificates.facts() };
  const providers = { blocked: [...new Set(blocked.map(({ provider }) => provider))], fallback: fallbackStates(shaping, now) };
  const common = { ...numbers, stopped, ...certificate, ...providers, database: databaseFacts(store, otherConfigurations) };
  if (counts === undefined) return { ...common, heldBy: [], heldForLogins: 0, queue: undefined };
  const all = blocked.length === 0 && stopped === 0 ? [] : await store.messages.heldByProvider().catch(() => []);
  const heldBy = all.filter(isHeldByProvider);
  const heldForLogins = all.reduce((sum, held) => sum + (isHeldByProvider(held) ? 0 : held.recipients), 0);
  const { states, oldestAcceptedAt } = counts;
  const oldestSeconds = oldestAcceptedAt === null ? 0 : Math.max(0, now - oldestAcceptedAt) / SECOND;
  return { ...common, heldBy, heldForLogins, queue: { states, oldestSeconds } };
}

/** undefined: the store is in files of this machine. */
function databaseFacts(store: SnapshotParts['store'], otherConfigurations: number): Snapshot['database'] {
  const size = store.database();
  if (size === undefined) return undefined;
  return {
    ...{ ...size, otherConfigurations, relays: store.relays().length + 1 },
    reachable: store.condition() !== 'unsure' && store.condition() !== 'unreachable',
    skew: (Date.now() - store.now()) / SECOND,
  };
}

function after<T>(milliseconds: number, value: T): Promise<T> {
  return new Promise((resolve) => void setTimeout(resolve, milliseconds, value).unref());
}
