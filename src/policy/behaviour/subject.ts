/**
 * The behaviour of one login, or of one sender of a mail server: events go in, and a verdict comes out. Pure: the time comes with each call.
 * What it remembers is bounded, and is JSON for the next process.
 */
import { groupsOf } from '../../net/addresses.ts';
import { DAY } from '../../system/clock.ts';
import { type Baseline, Hours, type HoursJson } from './baseline.ts';
import { type KnownJson, KnownSet } from './known.ts';
import {
  type BehaviourVerdict,
  OF_LOGIN,
  type Signal,
  type StagePoints,
  signalsOf,
  type Thresholds,
  type Traits,
  verdictOf,
} from './signals.ts';
import { SlidingWindow, type WindowJson } from './window.ts';

/** `automatic`: an answer or a report of a machine. It says less about the login, so that its unknown recipients count half. */
type Weighed = { readonly automatic?: boolean };

export type BehaviourEvent =
  | (Weighed & {
      readonly kind: 'accepted';
      /** Address of the client, if it is known. */
      readonly source?: string | undefined;
      /** Addresses of the From field. */
      readonly authors: readonly string[];
      readonly recipients: readonly string[];
      readonly country?: string | undefined;
    })
  | { readonly kind: 'login'; readonly source: string; readonly country?: string | undefined }
  /** The end of one recipient. `other`: it was refused for a reason that is neither of the two, and not about us. */
  | (Weighed & { readonly kind: 'ended'; readonly as: 'relayed' | 'unknown' | 'spam' | 'other'; readonly receiver: string })
  | { readonly kind: 'complaint' }
  | { readonly kind: 'blocked'; readonly provider: string };

const LEARNED = 28 * DAY;
const MOST_NETWORKS = 64;
const MOST_COUNTRIES = 16;
/** Few logins have more than some thousand addresses in From. */
const AUTHOR_BITS = 1 << 15;

type SubjectJson = {
  readonly version: 1;
  readonly hours: HoursJson;
  readonly window: WindowJson;
  readonly recipients: KnownJson;
  readonly authors: KnownJson;
  readonly networks: readonly (readonly [string, number])[];
  readonly countries: readonly (readonly [string, number])[];
};

type JudgeOptions = {
  readonly traits: Traits;
  readonly thresholds: Thresholds;
  readonly points: StagePoints;
  /** Percent of all attempts of the relay. */
  readonly share: number;
  /** Of the login, where this is one sender of a mail server. They add to signals of the sender, and are none of its own. */
  readonly ofLogin?: readonly Signal[];
};

export class Subject {
  readonly #hours = new Hours();
  readonly #window = new SlidingWindow();
  readonly #recipients = new KnownSet();
  readonly #authors = new KnownSet(AUTHOR_BITS);
  readonly #networks = new Map<string, number>();
  readonly #countries = new Map<string, number>();
  /** The client that was met last: mostly it is met again. */
  #met = { source: '', client: '', network: '' };

  note(event: BehaviourEvent, at: number): void {
    if (event.kind === 'accepted') this.#accept(event, at);
    else if (event.kind === 'login') this.#meet(event, at);
    else if (event.kind === 'ended') this.#end(event, at);
    else if (event.kind === 'complaint') this.#window.count(at, 'complaints');
    else this.#window.note(at, 'blocks', event.provider);
  }

  #accept({ source, country, authors, recipients }: BehaviourEvent & { kind: 'accepted' }, at: number): void {
    this.#meet({ source, country }, at);
    this.#window.count(at, 'messages');
    let fresh = 0;
    for (const recipient of recipients) {
      const address = recipient.toLowerCase();
      if (this.#recipients.add(address)) fresh++;
      this.#window.note(at, 'recipients', address);
    }
    if (fresh > 0) this.#window.count(at, 'newRecipients', fresh);
    for (const author of authors) if (this.#authors.add(author.toLowerCase())) this.#window.count(at, 'newAuthors');
    const sources = source === undefined ? 0 : this.#window.sourcesNow(at);
    this.#hours.add(at, { messages: 1, newRecipients: fresh, sources });
  }

  #meet({ source, country }: { source?: string | undefined; country?: string | undefined }, at: number): void {
    if (country !== undefined) remember(this.#countries, country, { at, most: MOST_COUNTRIES });
    if (source === undefined) return;
    if (source !== this.#met.source) this.#met = { source, client: clientOf(source), network: networkOf(source) };
    const { client, network } = this.#met;
    this.#window.note(at, 'sources', client);
    const day = Math.floor(at / DAY) * DAY;
    const last = this.#networks.get(network);
    if (last === undefined || last < at - LEARNED) this.#window.note(at, 'newNetworks', network);
    if (last !== day) remember(this.#networks, network, { at: day, most: MOST_NETWORKS });
  }

  #end({ as, receiver, automatic }: BehaviourEvent & { kind: 'ended' }, at: number): void {
    this.#window.count(at, 'attempts');
    if (as === 'unknown') this.#window.count(at, 'unknown', automatic ? 0.5 : 1);
    if (as !== 'spam') return;
    this.#window.count(at, 'spam');
    this.#window.note(at, 'spamReceivers', receiver);
  }

  judge(at: number, { traits, thresholds, points, share, ofLogin = [] }: JudgeOptions): BehaviourVerdict {
    const own = signalsOf({ sums: this.#sums(at, share), baseline: this.#hours.baseline(at), traits, thresholds });
    if (own.length === 0) return verdictOf([], points);
    return verdictOf([...own, ...ofLogin.filter(({ name }) => !own.some((signal) => signal.name === name))], points);
  }

  /** The signals that are about the login as a whole. */
  loginSignals(at: number, { traits, thresholds, share }: Omit<JudgeOptions, 'points' | 'ofLogin'>): readonly Signal[] {
    const all = signalsOf({ sums: this.#sums(at, share), baseline: this.#hours.baseline(at), traits, thresholds });
    return all.filter(({ name }) => OF_LOGIN.has(name));
  }

  #sums(at: number, share: number) {
    let countries = 0;
    for (const last of this.#countries.values()) if (Math.abs(at - last) < DAY) countries++;
    return { ...this.#window.sums(at), countries, share };
  }

  /** Attempts of the last hour. */
  attempts(at: number): number {
    return this.#window.total(at, 'attempts');
  }

  /** Messages of the last hour. */
  messages(at: number): number {
    return this.#window.total(at, 'messages');
  }

  /** Whether a signal may be near, so that it is worth to look closely. */
  isSuspicious(at: number): boolean {
    return this.#window.total(at, 'unknown') >= 5 || this.#window.total(at, 'spam') > 0;
  }

  baseline(at: number): Baseline | undefined {
    return this.#hours.baseline(at);
  }

  /** What was learned stays; the last hour is forgotten. */
  clearWindow(): void {
    this.#window.clear();
  }

  toJson(): string {
    const json: SubjectJson = {
      version: 1,
      hours: this.#hours.toJson(),
      window: this.#window.toJson(),
      recipients: this.#recipients.toJson(),
      authors: this.#authors.toJson(),
      networks: [...this.#networks],
      countries: [...this.#countries],
    };
    return JSON.stringify(json);
  }

  /** Adds what an earlier process has stored. What cannot be read is ignored: it is learned again. */
  merge(text: string, at: number): void {
    let json: SubjectJson;
    try {
      json = JSON.parse(text) as SubjectJson;
    } catch {
      return;
    }
    if (json?.version !== 1) return;
    this.#hours.merge(json.hours);
    this.#window.merge(json.window, at);
    this.#recipients.merge(json.recipients);
    this.#authors.merge(json.authors);
    for (const [network, last] of json.networks) if (!this.#networks.has(network)) this.#networks.set(network, last);
    for (const [country, last] of json.countries) if (!this.#countries.has(country)) this.#countries.set(country, last);
  }
}

function remember(map: Map<string, number>, key: string, { at, most }: { at: number; most: number }): void {
  map.delete(key);
  map.set(key, at);
  if (map.size > most) map.delete(map.keys().next().value!);
}

/** An IPv4 address, or an IPv6 /64, which is one client. */
const clientOf = (ip: string) => (ip.includes(':') ? groupsOf(ip).slice(0, 4).join(':') : ip);

/** What one provider of access gives to many: an IPv4 /16, or an IPv6 /32. */
const networkOf = (ip: string) => (ip.includes(':') ? groupsOf(ip).slice(0, 2).join(':') : ip.split('.').slice(0, 2).join('.'));
