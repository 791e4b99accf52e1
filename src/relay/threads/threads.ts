/**
 * The threads of sessions: starts them, shares the work out, replaces one that has ended. The others go on, and the mail of an ended
 * thread is due again at once.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { type Transferable, Worker } from 'node:worker_threads';
import type { Config } from '../../config/config.ts';
import { type Courier, createCourier } from '../../delivery/delivery.ts';
import { COUNTED_EVENTS } from '../../metrics/metrics.ts';
import type { Outcome } from '../../smtp/outcome.ts';
import { shareQueueIds } from '../../smtp/queue-id.ts';
import type { Claim, OpenedStore } from '../../store/store.ts';
import type { Hand, HandedCaller, ListenerName, TlsFiles } from '../../submission/submission.ts';
import { onAbort } from '../../system/abort.ts';
import { createCache } from '../../system/cache.ts';
import { SECOND } from '../../system/clock.ts';
import { quotaDefaults } from '../options.ts';
import { type Machine, Member, type PacedPlaces } from './member.ts';
import type { MachineState, ThreadData } from './protocol.ts';
import { REPLACED, TICK, TOLD } from './silence.ts';
import { Unserved } from './unserved.ts';

/** Milliseconds before a thread that has ended soon after its start is started again. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5 * SECOND;
const SETTLED = 10 * SECOND;
/** Milliseconds that a thread has for its end, and after it or after the deadline of a drain. */
const CLOSING = 5 * SECOND;
const LATE = 2 * SECOND;
/** A thread that has a session with the hosts gets the attempt, unless it has so many attempts more than another. */
const UNEVEN = 4;
const MAX_KNOWN = 50_000;

const REPLY = { code: 451, status: '4.3.0', text: 'The thread of this attempt has ended' };
/** Due again at once. */
const RETURNED: Outcome = { kind: 'returned', reply: REPLY, seconds: 0 };
/** Due again by the schedule. */
const DELAYED: Outcome = { kind: 'delayed', reply: REPLY, seconds: 0, waitsForUs: true };
/** Messages whose threads ended during their attempts are remembered. A message that ends threads must not end one after the other. */
const MAX_SUSPECTS = 10_000;
/** The message may have ended so many threads. */
const SUSPICIOUS = 2;

/** The store is being started again. A thread needs a port to it. */
class StoreNotOpen extends Error {}

type ThreadsOptions = Omit<Machine, 'places'> & {
  readonly count: number;
  readonly config: () => Config;
  readonly store: OpenedStore;
  readonly tls: TlsFiles;
  readonly state: () => MachineState;
};

export type Threads = {
  /** For `startSubmission`. */
  readonly hand: Hand;
  /** For `startDelivery`. */
  readonly courier: (places: PacedPlaces) => Courier;
  sessions(): number;
  /** How many threads work now. */
  working(): number;
  /** In the order of the threads. A thread that is being replaced has none. */
  sessionsByThread(): readonly number[];
  setTls(tls: TlsFiles): void;
  /** Never rejects: a thread that cannot follow is replaced. */
  reload(config: Config): Promise<void>;
  /** Lets transactions end. */
  drain(deadline: number): Promise<void>;
  close(): Promise<void>;
};

/** Rejects with the reason where a thread cannot start. */
export async function startThreads(options: ThreadsOptions): Promise<Threads> {
  const crew = new Crew(options);
  try {
    await crew.start();
  } catch (error) {
    await crew.close();
    throw error;
  }
  return {
    hand: (socket, listener, caller) => crew.hand(socket, listener, caller),
    courier: (places) => crew.courier(places),
    sessions: () => crew.members.reduce((sum, { sessions }) => sum + sessions, 0),
    working: () => crew.members.filter(({ isQuiet }) => !isQuiet).length,
    sessionsByThread: () => crew.sessionsByThread(),
    setTls: (tls) => crew.setTls(tls),
    reload: (config) => crew.reload(config),
    drain: (deadline) => crew.drain(deadline),
    close: () => crew.close(),
  };
}

type Running = {
  readonly member: Member;
  readonly worker: Worker;
  readonly unshare: () => void;
  /** Resolves when nothing of the thread runs any more. */
  readonly exited: Promise<void>;
};

class Crew {
  readonly #options: ThreadsOptions;
  readonly #running = new Map<number, Running>();
  /** The host set that a destination had last. */
  readonly #hosts = createCache<string, string>(MAX_KNOWN);
  readonly #unserved = new Unserved();
  readonly #suspects = createCache<string, number>(MAX_SUSPECTS);
  readonly #pauses = new Map<number, number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #ticking: NodeJS.Timeout | undefined;
  #places: PacedPlaces | undefined;
  #tls: TlsFiles;
  #state: MachineState;
  #closing: Promise<void> | undefined;
  #draining = false;
  #lastAttempt = 0;
  /** Of the threads, for clients that wait. */
  #turn = 0;

  constructor(options: ThreadsOptions) {
    this.#options = options;
    this.#tls = { ...options.tls, ticketKeys: randomBytes(48) };
    this.#state = options.state();
  }

  get members(): readonly Member[] {
    return [...this.#running.values()].map(({ member }) => member);
  }

  async start(): Promise<void> {
    const numbers = Array.from({ length: this.#options.count }, (_, i) => i + 1);
    await Promise.all(numbers.map((thread) => this.#start(thread)));
    this.#ticking = setInterval(() => this.#tick(), TICK).unref();
  }

  /** Resolves when the thread works. */
  #start(thread: number): Promise<void> {
    const { config, count, store } = this.#options;
    const data = {
      config: config(),
      limits: quotaDefaults(config()),
      counted: COUNTED_EVENTS,
      thread,
      threads: count + 1,
      tls: this.#tls,
      state: this.#state,
    };
    return new Promise((resolve, reject) => {
      let running: Running | undefined;
      let cause: unknown;
      const unshare = store.share((port) => {
        if (running !== undefined) return running.member.peer.tell('store', [port], [port]);
        const worker = new Worker(new URL('./thread.ts', import.meta.url), {
          workerData: { ...data, queueIds: shareQueueIds(Date.now(), count + 1), store: port } satisfies ThreadData,
          transferList: [port],
          name: `sessions ${thread}`,
          execArgv: ['--disable-warning=ExperimentalWarning'], // replaces the flags of this process
        });
        worker.on('error', (error) => {
          cause = error;
        });
        const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
        worker.on('exit', () => {
          reject(cause ?? new Error(`Thread ${thread} ended while it started`));
          this.#ended(running!, cause);
        });
        running = {
          ...{ worker, exited },
          unshare: () => unshare(),
          member: new Member(thread, worker, this.#machine(), this.#neighbours(resolve)),
        };
        this.#running.set(thread, running);
        for (const handed of this.#unserved.takeAll()) this.hand(...handed);
      });
      if (running === undefined) {
        unshare();
        reject(new StoreNotOpen('The store is not open'));
      }
    });
  }

  #machine(): Machine {
    return {
      ...this.#options,
      places: () => {
        if (this.#places === undefined) throw new Error('Delivery has not started');
        return this.#places;
      },
    };
  }

  #neighbours(ready: () => void): ConstructorParameters<typeof Member>[3] {
    return {
      ready,
      noteUse: (from, use) => {
        for (const member of this.members) if (member !== from) member.peer.tell('noteUse', use);
      },
      learn: (destination, hosts) => {
        if (this.#hosts.get(destination) !== hosts) this.#hosts.set(destination, hosts);
      },
    };
  }

  #ended({ member, unshare }: Running, error: unknown): void {
    if (member.ended) return;
    const { thread } = member;
    unshare();
    this.#running.delete(thread);
    member.release();
    if (this.#closing !== undefined) return;
    this.#options.log.emit('threadEnded', { thread, error });
    if (this.#ticking !== undefined) this.#startAgain(thread);
  }

  #startAgain(thread: number): void {
    const pause = this.#pauses.get(thread) ?? 0;
    this.#pauses.set(thread, Math.min(Math.max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE));
    this.#later(pause, () => {
      if (this.#closing !== undefined || this.#draining) return;
      this.#start(thread).then(
        () => this.#later(SETTLED, () => this.#pauses.delete(thread)),
        (error) => {
          if (error instanceof StoreNotOpen) this.#startAgain(thread); // any other failure was told as its end
        },
      );
    });
  }

  #later(pause: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, pause);
    this.#timers.add(timer.unref());
  }

  #tick(): void {
    this.#tellState();
    this.#unserved.sweep();
    for (const running of [...this.#running.values()]) {
      const { member } = running;
      const silent = ++member.unanswered;
      if (silent > REPLACED) this.#replace(running);
      else {
        if (silent === TOLD) this.#options.log.emit('threadSilent', { thread: member.thread, seconds: (silent * TICK) / SECOND });
        member.peer.tell('ping', []);
      }
    }
  }

  /** JavaScript of the thread does not run any more after `terminate`, so that its mail is due again at once, even if its exit comes late. */
  #replace(running: Running): void {
    void running.worker.terminate();
    this.#ended(running, new Error(`The thread answered nothing for ${(REPLACED * TICK) / SECOND} s`));
  }

  /** Before a connection or an attempt, so that a change counts for it. */
  #tellState(): void {
    const state = this.#options.state();
    const { crowded, unusable, validates } = this.#state;
    if (state.crowded === crowded && state.unusable === unusable && state.validates === validates) return;
    this.#state = state;
    for (const { peer } of this.members) peer.tell('state', [state]);
  }

  /**
   * The thread with the fewest sessions that does not stand still. While there is none, the client waits for the next one. Clients that
   * wait for a place are no sessions yet: the threads get them in turn.
   */
  hand(socket: Socket, listener: ListenerName, caller: HandedCaller | undefined): void {
    this.#tellState();
    const waits = caller !== undefined && caller.place === undefined;
    const answering = this.#answering();
    const member = waits ? answering[++this.#turn % answering.length] : fewest(answering, ({ sessions }) => sessions);
    if (member === undefined) {
      this.#unserved.add(socket, listener, caller);
      return;
    }
    const place = caller?.place;
    const seat = place === undefined ? undefined : member.seat(place);
    const sent = caller && { ip: caller.ip, client: caller.client, place: seat, wait: caller.wait };
    try {
      member.peer.tellNow('take', [socket, listener, sent], [socket as unknown as Transferable]);
    } catch {
      socket.destroy();
      if (seat !== undefined) member.unseat(seat);
    }
  }

  courier(places: PacedPlaces): Courier {
    this.#places = places;
    return {
      deliver: (claim, signal) => this.#deliver(claim, signal),
      prepareReload(options) {
        createCourier(options, places); // throws where the threads cannot make theirs
        return () => {};
      },
      trim: (count) => this.#trim(count),
      drop: (hosts) => this.#drop(hosts),
      close: () => this.close(),
    };
  }

  /** Never rejects while the thread lives. If it ends, the mail is due again at once. */
  async #deliver(claim: Claim, signal: AbortSignal): Promise<readonly Outcome[]> {
    const returned = () => claim.recipients.map(() => RETURNED);
    this.#tellState();
    const member = this.#choose(claim.recipients[0]!.destination);
    if (member === undefined) return returned();
    const number = ++this.#lastAttempt;
    const content = claim.content.kind === 'inline' ? claim.content : 'spooled';
    member.attempts++;
    // Claims of one message share its memory, so that it is copied.
    const delivering = member.peer.call('deliver', [number, { ...claim, content }]);
    const abort = () => member.peer.tell('abort', [number, signal.reason]);
    const forget = onAbort(signal, abort);
    if (signal.aborted) abort();
    try {
      return await delivering;
    } catch (error) {
      if (!member.ended) throw error;
      const outcome = this.#closing === undefined ? this.#suspect(claim.message.id) : RETURNED;
      return claim.recipients.map(() => outcome);
    } finally {
      member.attempts--;
      forget();
    }
  }

  /** The thread of this message has ended. @returns what becomes of its recipients. */
  #suspect(queueId: string): Outcome {
    const ends = (this.#suspects.get(queueId) ?? 0) + 1;
    this.#suspects.set(queueId, ends);
    return ends < SUSPICIOUS ? RETURNED : DELAYED;
  }

  /** All, if none answers. */
  #answering(): readonly Member[] {
    const { members } = this;
    const answering = members.filter(({ isQuiet }) => !isQuiet);
    return answering.length > 0 ? answering : members;
  }

  sessionsByThread(): readonly number[] {
    return Array.from({ length: this.#options.count }, (_, i) => this.#running.get(i + 1)?.member.sessions ?? 0);
  }

  /** A session with the hosts is worth a few attempts more. */
  #choose(destination: string): Member | undefined {
    const members = this.#answering();
    const least = fewest(members, ({ attempts }) => attempts);
    const hosts = this.#hosts.get(destination);
    if (least === undefined || hosts === undefined) return least;
    const most = fewest(members, (member) => -member.idle(hosts))!;
    return most.idle(hosts) > 0 && most.attempts <= least.attempts + UNEVEN ? most : least;
  }

  /** Leaves one session that waits, wherever it is. */
  async #drop(hosts: string): Promise<void> {
    await fewest(this.members, (member) => -member.waiting(hosts))
      ?.peer.call('drop', [hosts])
      .catch(() => {});
  }

  /** Those of the thread with the most go first. */
  #trim(count: number): void {
    let excess = this.members.reduce((sum, member) => sum + member.idle(), 0) - count;
    if (excess <= 0) return;
    for (const member of [...this.members].sort((a, b) => b.idle() - a.idle())) {
      if (excess <= 0) return;
      const left = Math.max(0, member.idle() - excess);
      excess -= member.idle() - left;
      member.peer.tell('trim', [left]);
    }
  }

  setTls(tls: TlsFiles): void {
    this.#tls = { ...tls, ticketKeys: randomBytes(48) };
    for (const { peer } of this.members) peer.tell('setTls', [this.#tls]);
  }

  async reload(config: Config): Promise<void> {
    await Promise.all(
      [...this.#running.values()].map(({ member, worker }) =>
        member.peer.call('reload', [config, quotaDefaults(config)]).catch(async (error: unknown) => {
          if (member.ended) return;
          this.#options.log.emit('threadTrouble', { thread: member.thread, error });
          await worker.terminate(); // the next one begins with the new configuration
        }),
      ),
    );
  }

  async drain(deadline: number): Promise<void> {
    this.#draining = true;
    this.#unserved.dropAll();
    // A thread that stands still would keep the whole stop waiting.
    const drained = this.#answering().map(({ peer }) => peer.call('drain', [deadline]).catch(() => {}));
    await within(deadline + LATE, Promise.all(drained)); // a thread that stands still answers nothing
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#ticking);
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all(
      [...this.#running.values()].map(async ({ member, worker, exited }) => {
        const late = setTimeout(() => void worker.terminate(), member.isQuiet ? 0 : CLOSING);
        void member.peer.call('close', []).catch(() => {});
        await within(CLOSING + LATE, exited);
        clearTimeout(late);
      }),
    );
  }
}

/** Resolves with `work`, or without it after so many milliseconds. */
async function within(milliseconds: number, work: Promise<unknown>): Promise<void> {
  let late: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    late = setTimeout(resolve, milliseconds);
  });
  await Promise.race([work, over]);
  clearTimeout(late);
}

function fewest<T>(list: readonly T[], count: (one: T) => number): T | undefined {
  let best: T | undefined;
  for (const one of list) if (best === undefined || count(one) < count(best)) best = one;
  return best;
}
