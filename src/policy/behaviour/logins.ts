/** The logins, and senders of mail servers, that are watched: in memory as far as there is room, and in the store. */
import type { Emit } from '../../events/events.ts';
import type { MessageFacts, StoreData } from '../../store/store.ts';
import { createCache } from '../../system/cache.ts';
import { type Clock, DAY, HOUR } from '../../system/clock.ts';
import { loginKey, senderKey } from './stop.ts';
import { Subject } from './subject.ts';

/** Most that are in memory. The one that was used least recently goes to the store. */
const MOST = 2000;
/** Events that wait while a record is read. */
const MOST_WAITING = 1000;
const WRITTEN_AT_ONCE = 100;
const AUTOMATIC = 10_000;
const KEPT = 28 * DAY;
const SUBJECTS = 5;
/** Messages of one login that have a turn while it is slowed down. */
const MOST_TURNS = 1000;

/** One login, or one sender of a mail server. */
export class Watched {
  readonly user: string;
  /** Empty: the login as a whole. */
  readonly sender: string;
  mailServer = false;
  readonly subject = new Subject();
  judgedAt = 0;
  isSlow = false;
  /** Since it was written to the store. */
  isChanged = false;
  readonly subjects: string[] = [];
  firstSource: string | undefined;
  lastSource: string | undefined;
  #sourceAt = 0;
  /** Called when it has been read. undefined: it has. */
  #waiting: (() => void)[] | undefined = [];
  #stop: AbortController | undefined;
  #nextAt = 0;
  /** When each message has its turn. */
  readonly #turns = new Map<string, number>();
  readonly #now: Clock;

  constructor(user: string, sender: string, now: Clock) {
    this.user = user;
    this.sender = sender;
    this.#now = now;
  }

  get isRead(): boolean {
    return this.#waiting === undefined;
  }

  /** Only before it has been read. */
  whenRead(act: () => void): void {
    if (this.#waiting !== undefined && this.#waiting.length < MOST_WAITING) this.#waiting.push(act);
  }

  read(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const act of waiting) act();
  }

  accepted(origin: MessageFacts['origin']): void {
    if (origin === undefined) return;
    const now = this.#now();
    if (now - this.#sourceAt > HOUR) this.firstSource = origin.ip;
    this.#sourceAt = now;
    this.lastSource = origin.ip;
    if (origin.subject === undefined || this.subjects.includes(origin.subject)) return;
    this.subjects.push(origin.subject);
    if (this.subjects.length > SUBJECTS) this.subjects.shift();
  }

  /** A signal for an attempt that a stop must break off. Only where a stop may be near, because it has a price. */
  stopping(signal: AbortSignal, now: number): AbortSignal {
    if (!this.subject.isSuspicious(now)) return signal;
    this.#stop ??= new AbortController();
    return AbortSignal.any([signal, this.#stop.signal]);
  }

  /** Breaks off the attempts that have not sent their final dot. */
  breakOff(): void {
    this.#stop?.abort('closing');
    this.#stop = undefined;
  }

  /** When the message may leave, with a `pause` between messages while the login is slowed down. */
  mayLeaveAt(id: string, now: number, pause: number): number {
    if (!this.isSlow) return now;
    const turn = this.#turns.get(id); // a message may have many destinations, and comes again
    if (turn !== undefined) return turn;
    if (this.#nextAt > now + HOUR) this.#nextAt = now; // the clock was set back, or very much waits
    const at = Math.max(this.#nextAt, now);
    this.#nextAt = at + pause;
    this.#turns.set(id, at);
    if (this.#turns.size > MOST_TURNS) this.#turns.delete(this.#turns.keys().next().value!);
    return at;
  }
}

type Store = Pick<StoreData, 'behaviour' | 'credentials'>;
const keyOf = (user: string, sender: string) => (sender === '' ? user : `${user} ${sender}`);

export class Logins {
  readonly #store: Store;
  readonly #log: Emit;
  readonly #now: Clock;
  /** The most recently used is last. */
  readonly #watched = new Map<string, Watched>();
  #newest: Watched | undefined;
  /** How many of them are senders of mail servers. */
  #senders = 0;
  #evicted: Watched[] = [];
  readonly #automatic = createCache<string, true>(AUTOMATIC);
  /** Releases that were followed. */
  readonly #restarted = createCache<string, true>(MOST);

  constructor(store: Store, log: Emit, now: Clock) {
    this.#store = store;
    this.#log = log;
    this.#now = now;
  }

  /** @param mailServer absent: as the store says. */
  login(user: string, mailServer?: boolean): Watched {
    const login = this.#watch(loginKey(user), '', mailServer === undefined);
    if (mailServer !== undefined) login.mailServer = mailServer;
    return login;
  }

  sender({ user }: Watched, reversePath: string): Watched {
    return this.#watch(user, senderKey(reversePath), false);
  }

  /** The sender of a mail server, or the login, if it is in memory. */
  known(user: string, reversePath: string): Watched | undefined {
    const key = loginKey(user);
    const sender = this.#senders === 0 ? undefined : this.#watched.get(keyOf(key, senderKey(reversePath)));
    return sender ?? this.#watched.get(key);
  }

  /** Breaks off attempts of this login (with all its senders), or of one sender. */
  breakOff(user: string, sender: string): void {
    for (const one of this.#watched.values()) if (one.user === user && (sender === '' || one.sender === sender)) one.breakOff();
  }

  loginOf(one: Watched): Watched {
    return one.sender === '' ? one : this.login(one.user);
  }

  all(): readonly Watched[] {
    return [...this.#watched.values()];
  }

  /** Calls `act` once what is stored has been read: at once, if it has. */
  note(one: Watched, act: (one: Watched) => void): void {
    if (!one.isRead) {
      one.whenRead(() => this.note(one, act));
      return;
    }
    one.isChanged = true;
    act(one);
  }

  noteAutomatic(id: string): void {
    this.#automatic.set(id, true);
  }

  /** False also for what was accepted before this process has started. */
  isAutomatic(id: string): boolean {
    return this.#automatic.size > 0 && this.#automatic.has(id);
  }

  /** Forgets the last hour, once for each release. */
  restart(user: string, sender: string, release: string): void {
    if (this.#restarted.has(release)) return;
    this.#restarted.set(release, true);
    for (const one of this.#watched.values()) {
      if (one.user !== user || (sender !== '' && one.sender !== sender)) continue;
      one.subject.clearWindow();
      one.isSlow = false;
      one.isChanged = true;
    }
  }

  /** Writes what has changed. Rejects when the store fails; it is tried again then. */
  async flush(): Promise<void> {
    const now = this.#now();
    const changed = [...this.#evicted, ...[...this.#watched.values()].filter(({ isChanged }) => isChanged)];
    this.#evicted = [];
    for (let n = 0; n < changed.length; n += WRITTEN_AT_ONCE) {
      const some = changed.slice(n, n + WRITTEN_AT_ONCE);
      for (const one of some) one.isChanged = false;
      const records = some.map(({ user, sender, subject }) => ({ user, sender, record: subject.toJson() }));
      try {
        await this.#store.behaviour.put(records, now);
      } catch (error) {
        for (const one of changed.slice(n)) one.isChanged = true;
        throw error;
      }
    }
    await this.#store.behaviour.trim(now - KEPT);
  }

  #watch(user: string, sender: string, ask: boolean): Watched {
    const key = keyOf(user, sender);
    const known = this.#watched.get(key);
    if (known !== undefined) {
      if (known !== this.#newest) {
        this.#watched.delete(key);
        this.#watched.set(key, known);
        this.#newest = known;
      }
      return known;
    }
    const one = new Watched(user, sender, this.#now);
    this.#watched.set(key, one);
    this.#newest = one;
    if (sender !== '') this.#senders++;
    if (this.#watched.size > MOST) this.#evict();
    void this.#read(one, ask);
    return one;
  }

  /** @param ask whether it is a mail server. */
  async #read(one: Watched, ask: boolean): Promise<void> {
    try {
      const [record, credential] = await Promise.all([
        this.#store.behaviour.record(one.user, one.sender),
        ask ? this.#store.credentials.get(one.user) : undefined,
      ]);
      if (record !== undefined) one.subject.merge(record, this.#now());
      if (credential !== undefined) one.mailServer = credential.mailServer;
    } catch (error) {
      this.#log('storeFailed', { operation: 'behaviour', error });
    }
    one.read();
  }

  #evict(): void {
    const [key, oldest] = this.#watched.entries().next().value!;
    this.#watched.delete(key);
    if (oldest.sender !== '') this.#senders--;
    if (!oldest.isChanged) return;
    this.#evicted.push(oldest);
    if (this.#evicted.length === WRITTEN_AT_ONCE)
      this.flush().catch((error: unknown) => this.#log('storeFailed', { operation: 'behaviour', error }));
    if (this.#evicted.length > MOST) this.#evicted.shift(); // the store fails for long: it is learned again
  }
}
