/**
 * Watches what logins do with their mail, and stops those whose password seems to be in wrong hands. All is counted in memory, once for the
 * machine. A message costs a few additions here, and nothing in the store: what was learned is written once a minute.
 */
import type { Emit } from '../../events/events.ts';
import type { Outcome } from '../../smtp/outcome.ts';
import { refusal } from '../../smtp/replies.ts';
import type { Reply } from '../../smtp/reply.ts';
import type { Claim, Credential, MessageFacts, NewMessage, StoreData } from '../../store/store.ts';
import { createCache } from '../../system/cache.ts';
import { type Clock, DAY, HOUR, MINUTE, SECOND, systemClock } from '../../system/clock.ts';
import { endOf } from './ends.ts';
import { heldOutcome, holdKey, StoppedMail } from './held.ts';
import { Logins, type Watched } from './logins.ts';
import { newStop } from './new-stop.ts';
import { Releases } from './release.ts';
import type { BehaviourVerdict, Profile, StagePoints, Thresholds, Traits } from './signals.ts';
import { COMPLAINT_PREFIX, loginKey, parseComplaint, type Stop, senderKey, type UserTraits } from './stop.ts';
import { StopBook } from './stop-book.ts';
import { SlidingWindow } from './window.ts';

export type BehaviourSettings = {
  /** hold: mail of a stopped login stays. notice: the operator is told, and nothing else happens. */
  readonly mode: 'off' | 'notice' | 'hold';
  readonly points: StagePoints;
  /** `person`: of programs too. */
  readonly thresholds: { readonly person: Thresholds; readonly server: Thresholds };
};

/** What is known of who hands in a message, besides the message. */
type Submitter = Pick<Credential, 'mailServer'> & {
  /** Addresses of the From field. */
  readonly authors: readonly string[];
  /** A machine has written it as an answer: RFC 3834 §5. */
  readonly automatic: boolean;
};

/** Something that the operator must hear. `verdict` of the hour that has led to it. */
export type BehaviourNews = { readonly user: string; readonly sender: string; readonly verdict: BehaviourVerdict };

type BehaviourOptions = {
  readonly store: Pick<StoreData, 'behaviour' | 'operation' | 'messages' | 'credentials' | 'underLease'>;
  readonly log: Emit;
  readonly settings: () => BehaviourSettings;
  /** A stop is stored. */
  readonly onStop: (stop: Stop) => void;
  /** Unusual, and not stopped. */
  readonly onNotice: (news: BehaviourNews) => void;
  readonly now?: Clock;
};

type Deliver = (claim: Claim, signal: AbortSignal) => Promise<readonly Outcome[]>;

/** How often what was learned is written, and what waits is looked at. */
const PAUSE = MINUTE;
/** A login that does nothing suspicious is judged at most so often. */
const JUDGED_EVERY = SECOND;
const SLOW_PAUSE = 5 * SECOND;
/** A complaint that is read again within this time is the same one. */
const KNOWN_FOR = 28 * DAY;
const MOST_COMPLAINTS = 10_000;
/** Mail that is slowed down comes again after this time at the latest. */
const LONGEST_WAIT = 10 * MINUTE;

export class Behaviour {
  readonly #options: BehaviourOptions;
  readonly #now: Clock;
  readonly #book: StopBook;
  readonly #logins: Logins;
  readonly #held: StoppedMail;
  readonly #releases: Releases;
  /** Attempts of the whole relay. */
  readonly #all = new SlidingWindow();
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> | undefined;
  /** Complaints that were counted. */
  readonly #complaints = createCache<string, true>(MOST_COMPLAINTS);
  /** Ids of stops that are being stored. */
  readonly #storing = new Set<string>();

  /** Starts to watch. Rejects when the store fails. */
  static async start(options: BehaviourOptions): Promise<Behaviour> {
    const behaviour = new Behaviour(options);
    await behaviour.#book.load();
    await behaviour.#held.count(behaviour.#book.all());
    return behaviour;
  }

  private constructor(options: BehaviourOptions) {
    const { store, log, now = systemClock } = options;
    this.#options = options;
    this.#now = now;
    this.#book = new StopBook(store.operation, now);
    this.#logins = new Logins(store, log, now);
    this.#held = new StoppedMail(store.messages);
    this.#releases = new Releases({ store, log, book: this.#book, now });
    this.#timer = setInterval(() => void this.look(), PAUSE).unref();
  }

  get #isOff(): boolean {
    return this.#options.settings().mode === 'off';
  }

  /**
   * Why a message is not taken: too much of its login is held, or the operator wants no more. A mail server gets only replies that make it
   * try again: with another one it would return mail of others.
   */
  refuses(message: NewMessage, dailyLimit: number | undefined): Reply | undefined {
    const stop = this.#stopOf(message);
    if (stop === undefined) return undefined;
    if (stop.state === 'refused')
      return refusal(stop.profile === 'server' ? 'loginRefusedForNow' : 'loginRefused', { login: stop.user }).reply;
    if (stop.state !== 'held' || !this.#held.isFull(stop, message.size, dailyLimit)) return undefined;
    return refusal('loginHeldFull', { login: stop.user }).reply;
  }

  /** A message is stored under this id. Never throws. */
  accepted(id: string, message: Omit<NewMessage, 'content'>, submitter: Submitter): void {
    const { user, reversePath } = message;
    if (user === null || this.#isOff) return;
    const at = this.#now();
    const { authors, automatic } = submitter;
    const source = message.origin?.ip;
    const recipients = message.recipients.map(({ address }) => address);
    const login = this.#logins.login(user, submitter.mailServer);
    const stop = this.#stopOf(message);
    if (stop !== undefined) this.#held.add(stop, message.size);
    if (automatic) this.#logins.noteAutomatic(id);
    const isServer = this.#isServer(login);
    this.#logins.note(login, (one) => {
      one.accepted(message.origin);
      one.subject.note({ kind: 'accepted', source, authors, recipients: isServer ? [] : recipients, automatic }, at);
      if (!isServer) this.#judge(one, at);
    });
    if (!isServer) return;
    this.#logins.note(this.#logins.sender(login, reversePath), (one) => {
      one.accepted(message.origin);
      one.subject.note({ kind: 'accepted', authors: [], recipients, automatic }, at);
      this.#judge(one, at, login);
    });
  }

  /** @param source address of the client. */
  loggedIn({ name, mailServer }: Pick<Credential, 'name' | 'mailServer'>, source: string): void {
    if (this.#isOff) return;
    const at = this.#now();
    this.#logins.note(this.#logins.login(name, mailServer), (one) => one.subject.note({ kind: 'login', source }, at));
  }

  /** Someone has complained about mail of this login. */
  complained(user: string, reversePath: string): void {
    this.#forWhom(user, reversePath, (one, login, at) => {
      one.subject.note({ kind: 'complaint' }, at);
      this.#judge(one, at, login, true);
    });
  }

  /** A provider has begun to refuse our address. It counts for those who send most of the mail. */
  readonly blocked = (provider: string): void => {
    if (this.#isOff) return;
    const at = this.#now();
    for (const one of this.#logins.all()) {
      if (this.#share(one, at) < 50) continue;
      one.subject.note({ kind: 'blocked', provider }, at);
      this.#judge(one, at, this.#logins.loginOf(one), true);
    }
  };

  /** Delivers by `inner` what may leave. What is stopped or slowed down is handed back untried. */
  deliver(inner: Deliver, claim: Claim, signal: AbortSignal): Promise<readonly Outcome[]> {
    const { message } = claim;
    const { user } = message;
    if (user === null) return inner(claim, signal);
    const held = this.#heldBack(claim);
    if (held !== undefined) return Promise.resolve(held);
    if (this.#isOff) return inner(claim, signal);
    const stopping = this.#logins.known(user, message.reversePath)?.stopping(signal, this.#now()) ?? signal;
    return inner(claim, stopping).then((outcomes) => {
      this.#note(message, claim, outcomes);
      // A stop breaks off what has not sent its final dot.
      return stopping.aborted && !signal.aborted ? this.#heldOutcomes(claim, outcomes) : outcomes;
    });
  }

  #note(message: MessageFacts, { recipients }: Claim, outcomes: readonly Outcome[]): void {
    const ends: NonNullable<ReturnType<typeof endOf>>[] = [];
    for (let n = 0; n < outcomes.length; n++) {
      const end = endOf(outcomes[n]!, recipients[n]?.address ?? '');
      if (end !== undefined) ends.push(end);
    }
    if (ends.length === 0) return;
    const isUrgent = ends.some(({ as }) => as === 'unknown' || as === 'spam');
    const automatic = message.reversePath === '' || this.#logins.isAutomatic(message.id);
    this.#forWhom(message.user!, message.reversePath, (one, login, at) => {
      for (const { as, receiver } of ends) one.subject.note({ kind: 'ended', as, receiver, automatic }, at);
      this.#judge(one, at, login, isUrgent);
    });
    this.#all.count(this.#now(), 'attempts', ends.length);
  }

  /** Calls `act` with the sender of a mail server, and otherwise with the login. */
  #forWhom(user: string, reversePath: string, act: (one: Watched, login: Watched, at: number) => void): void {
    if (this.#isOff) return;
    const at = this.#now();
    const login = this.#logins.login(user);
    this.#logins.note(login, () => {
      if (!this.#isServer(login)) return act(login, login, at);
      this.#logins.note(this.#logins.sender(login, reversePath), (one) => act(one, login, at));
    });
  }

  #isServer(login: Watched): boolean {
    return profileOf(login, this.#book.traits(login.user)) === 'server';
  }

  #traitsOf(login: Watched, sender: string): Traits {
    const traits = this.#book.traits(login.user);
    const { bulk = false } = traits;
    return { profile: profileOf(login, traits), bulk, trusted: this.#book.isTrusted(login.user, sender) };
  }

  #share(one: Watched, at: number): number {
    const all = this.#all.total(at, 'attempts');
    return all === 0 ? 0 : (100 * one.subject.attempts(at)) / all;
  }

  /** @param isUrgent now, and not in a second. */
  #judge(one: Watched, at: number, login: Watched = one, isUrgent = false): void {
    if (!isUrgent && Math.abs(at - one.judgedAt) < JUDGED_EVERY) return;
    one.judgedAt = at;
    const { points, thresholds: all, mode } = this.#options.settings();
    const traits = this.#traitsOf(login, one.sender);
    if (traits.profile === 'server' && one === login) return; // its senders are judged, and never all of them together
    const thresholds = traits.profile === 'server' ? all.server : all.person;
    const share = this.#share(one, at);
    const ofLogin = one === login ? [] : login.subject.loginSignals(at, { traits, thresholds, share });
    const verdict = one.subject.judge(at, { traits, thresholds, points, share, ofLogin });
    one.isSlow = mode === 'hold' && verdict.stage === 'slow';
    if (verdict.stage === 'none' || this.#isStopped(one)) return;
    if (verdict.stage === 'hold' && mode === 'hold') this.#stop(one, verdict, traits);
    else this.#options.onNotice({ user: one.user, sender: one.sender, verdict });
  }

  #isStopped({ user, sender }: Watched): boolean {
    const stop = this.#book.of(user, sender);
    return stop !== undefined && (stop.state === 'held' || stop.state === 'refused');
  }

  #stop(one: Watched, verdict: BehaviourVerdict, traits: Traits): void {
    const before = this.#book.get(one.user, one.sender);
    const stop = newStop({ watched: one, verdict, profile: traits.profile, before, now: this.#now() });
    one.breakOff();
    this.#begin(stop);
  }

  #begin(stop: Stop): void {
    if (this.#storing.has(stop.id)) return;
    this.#storing.add(stop.id);
    this.#book
      .begin(stop)
      .then(async (isNew) => {
        if (!isNew) return;
        // A mail server that cannot log in returns mail of others.
        if (stop.disabled) await this.#options.store.credentials.update(stop.user, { disabled: true });
        this.#options.onStop(stop);
      })
      .catch((error: unknown) => this.#options.log('storeFailed', { operation: 'behaviour', error }))
      .finally(() => this.#storing.delete(stop.id));
  }

  #stopOf({ user, reversePath }: Pick<MessageFacts, 'user' | 'reversePath'>): Stop | undefined {
    if (user === null || this.#book.isEmpty) return undefined;
    const stop = this.#book.of(loginKey(user), senderKey(reversePath));
    return stop === undefined || stop.state === 'released' ? undefined : stop;
  }

  /** Undefined: it may leave now. */
  #heldBack(claim: Claim): readonly Outcome[] | undefined {
    const { message, recipients } = claim;
    const stop = this.#stopOf(message);
    const now = this.#now();
    // While the old is released step by step, the rest of it stays.
    if (stop !== undefined && (stop.state !== 'releasing' || recipients.some(({ heldBy }) => heldBy === holdKey(stop))))
      return recipients.map(() => heldOutcome(stop));
    const at = this.#logins.known(message.user!, message.reversePath)?.mayLeaveAt(message.id, now, SLOW_PAUSE) ?? now;
    if (at <= now) return undefined;
    const reply = { code: 450, status: '4.7.1', text: 'Slowed down, because its login does something unusual' };
    return recipients.map(() => ({ kind: 'returned', reply, seconds: 0, notBefore: Math.min(at, now + LONGEST_WAIT) }));
  }

  #heldOutcomes({ message }: Claim, outcomes: readonly Outcome[]): readonly Outcome[] {
    const stop = this.#stopOf(message);
    return stop === undefined ? outcomes : outcomes.map((one) => (one.kind === 'returned' ? heldOutcome(stop) : one));
  }

  /** Stops, releases or settings have changed in the store. Never rejects. */
  async follow(): Promise<void> {
    try {
      await this.#book.load();
      for (const { id, user, sender, state, releasedAt } of this.#book.all()) {
        if (state === 'held' || state === 'refused') this.#logins.breakOff(user, sender);
        else if (releasedAt !== undefined) this.#logins.restart(user, sender, `${id} ${releasedAt}`);
      }
      await this.#held.count(this.#book.all());
      await this.#releases.look();
      await this.#hearComplaints();
    } catch (error) {
      this.#options.log('storeFailed', { operation: 'behaviour', error });
    }
  }

  /** Each counts once, for the hour in which a command has read it. */
  async #hearComplaints(): Promise<void> {
    const { operation } = this.#options.store;
    const now = this.#now();
    for (const { name, value } of await operation.values(COMPLAINT_PREFIX)) {
      const complaint = parseComplaint(value);
      if (complaint === undefined || Math.abs(now - complaint.at) > KNOWN_FOR) await operation.setValue(name, null);
      else if (!this.#complaints.has(name) && Math.abs(now - complaint.at) < HOUR) {
        this.#complaints.set(name, true);
        this.complained(complaint.user, complaint.reversePath);
      }
    }
  }

  /** Writes what was learned, releases the next step, and judges logins that are silent now. Each minute. Never rejects. */
  look(): Promise<void> {
    this.#running ??= this.#lookOnce().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #lookOnce(): Promise<void> {
    for (const stop of this.#book.unstored()) this.#begin(stop);
    const at = this.#now();
    for (const one of this.#logins.all()) if (one.isChanged) this.#judge(one, at, this.#logins.loginOf(one), true);
    try {
      await this.#logins.flush();
      await this.#releases.look();
      await this.#book.trim();
    } catch (error) {
      this.#options.log('storeFailed', { operation: 'behaviour', error });
    }
  }

  /** The stops that are in force. */
  stops(): readonly Stop[] {
    return this.#book.all().filter(({ state }) => state !== 'released');
  }

  /** @param link SHA-256 of the one-time link. */
  setLink(stop: Stop, link: string, linkUntil: number): Promise<void> {
    return this.#book.change(stop, { link, linkUntil });
  }

  /** Who is told besides the operator. */
  contactOf(user: string): string | undefined {
    return this.#book.traits(user).contact;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
    await this.#logins.flush();
  }
}

function profileOf({ mailServer }: Watched, { profile }: UserTraits): Profile {
  return profile ?? (mailServer ? 'server' : 'app');
}
