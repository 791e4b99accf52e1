/** What in the behaviour of a login is unusual, how many points that has, and what follows from the points. Pure. */
import type { Baseline } from './baseline.ts';
import type { WindowSums } from './window.ts';

/** What uses the login: a program, a person, or a mail server that sends for many people. */
export type Profile = 'app' | 'person' | 'server';

/** Of one hour. A threshold of 0 turns its signal off. Shares are percent. */
export type Thresholds = {
  /** Attempts without which no share is judged. */
  readonly attempts: number;
  /** Share of recipients that do not exist. */
  readonly unknownShare: number;
  /** The same, from which it counts double. */
  readonly unknownShareDouble: number;
  readonly unknownCount: number;
  /** Share without which `unknownCount` says nothing. */
  readonly unknownCountShare: number;
  /** Recipients that were never written to, if they are also five times the usual. */
  readonly newRecipients: number;
  /** Receivers that have refused a message as spam. */
  readonly spamRefusals: number;
  readonly spamShare: number;
  /** Messages, if they are also ten times the usual. */
  readonly messages: number;
  /** Messages in an hour of the day that was never used. */
  readonly unusualHour: number;
  readonly newNetworks: number;
  /** Countries in a day. */
  readonly countries: number;
  /** Source addresses within ten minutes. */
  readonly parallelSources: number;
  /** Addresses in From that are new. */
  readonly newAuthors: number;
  readonly complaints: number;
  /** Providers that block the relay while most of its mail comes from here. */
  readonly blocks: number;
  readonly blockedShare: number;
};

/** The points of a signal. */
const POINTS = {
  unknownShare: 2,
  unknownCount: 3,
  newRecipients: 2,
  spamRefusals: 3,
  messages: 2,
  unusualHour: 1,
  newNetworks: 2,
  countries: 3,
  parallelSources: 3,
  newAuthors: 2,
  complaints: 3,
  blocks: 3,
} as const;

export type SignalName = keyof typeof POINTS;

/** @param limit what `value` had to reach. */
export type Signal = { readonly name: SignalName; readonly points: number; readonly value: number; readonly limit: number };

/** They may be a journey or a night shift: alone they never stop anything. */
const WEAK: ReadonlySet<SignalName> = new Set(['unusualHour', 'newNetworks', 'countries']);
/** They are about the login, and not about one sender of a mail server. */
export const OF_LOGIN: ReadonlySet<SignalName> = new Set(['newNetworks', 'countries', 'parallelSources', 'newAuthors']);

const MESSAGES_FACTOR = 10;
const NEW_RECIPIENTS_FACTOR = 5;
const SOURCES_FACTOR = 2;
/** What `trusted` does to the thresholds, and for a bulk sender the least shares of unknown recipients. */
const TRUST_FACTOR = 1.5;
const BULK_SHARE = 20;
const BULK_COUNT_SHARE = 10;
/** An alert storm: many messages to so few recipients, all of them known. */
const FEW_RECIPIENTS = 5;

/** What the operator has said about a login. */
export type Traits = {
  readonly profile: Profile;
  /** A declared sender of newsletters. */
  readonly bulk: boolean;
  /** A stop was released a short time ago, or the operator expects something unusual. */
  readonly trusted: boolean;
};

export type Facts = {
  /** `countries`: in 24 hours. `share`: percent of all attempts of the relay. */
  readonly sums: WindowSums & { readonly countries: number; readonly share: number };
  readonly baseline: Baseline | undefined;
  readonly traits: Traits;
  readonly thresholds: Thresholds;
};

export function signalsOf({ sums, baseline, traits, thresholds }: Facts): readonly Signal[] {
  const { profile, bulk, trusted } = traits;
  const factor = trusted ? TRUST_FACTOR : 1;
  const signals: Signal[] = [];
  const fire = (name: SignalName, value: number, limit: number, points: number = POINTS[name]) =>
    signals.push({ name, points, value, limit });
  /** @param usual nothing below its multiple counts. Undefined: nothing is usual yet, so that nothing is unusual. */
  const reach = (name: Exclude<SignalName, 'unknownShare'>, value: number, usual: number | undefined = 0): void => {
    const limit = Math.max(thresholds[name] * factor, usual);
    if (thresholds[name] > 0 && value >= limit) fire(name, value, limit);
  };
  const { attempts, unknown } = sums;
  const share = (count: number) => (attempts === 0 ? 0 : (100 * count) / attempts);
  const isJudged = attempts >= thresholds.attempts * factor;

  if (isJudged && thresholds.unknownShare > 0) {
    const least = Math.max(thresholds.unknownShare, bulk ? BULK_SHARE : 0) * factor;
    const double = Math.max(thresholds.unknownShareDouble, bulk ? 2 * BULK_SHARE : 0) * factor;
    const found = share(unknown);
    if (found >= double) fire('unknownShare', found, double, 2 * POINTS.unknownShare);
    else if (found >= least) fire('unknownShare', found, least);
  }
  if (share(unknown) >= Math.max(thresholds.unknownCountShare, bulk ? BULK_COUNT_SHARE : 0) * factor)
    reach('unknownCount', unknown);
  if (attempts === 0 || share(sums.spam) >= thresholds.spamShare * factor) reach('spamRefusals', sums.spamReceivers);
  if (baseline !== undefined) {
    if (!bulk) reach('newRecipients', sums.newRecipients, moreThan(NEW_RECIPIENTS_FACTOR * baseline.newRecipients.n95));
    // Only programs raise alarms: they write much to a few recipients that they know.
    const isAlarm = profile === 'app' && sums.recipients <= FEW_RECIPIENTS && sums.newRecipients === 0;
    if (!bulk && !isAlarm) reach('messages', sums.messages, moreThan(MESSAGES_FACTOR * baseline.messages.n95));
    if (!isAlarm && profile !== 'server' && !baseline.knowsHour) reach('unusualHour', sums.messages);
    reach('newNetworks', sums.newNetworks);
    reach('newAuthors', sums.newAuthors);
  }
  reach('countries', sums.countries);
  reach('parallelSources', sums.sources, baseline && moreThan(SOURCES_FACTOR * baseline.sources.n95));
  reach('complaints', sums.complaints);
  if (sums.share >= thresholds.blockedShare) reach('blocks', sums.blocks);
  return signals;
}

const moreThan = (count: number) => count + 1;

export type BehaviourStage = 'none' | 'notice' | 'slow' | 'hold';

/** Points from which a stage is reached. */
export type StagePoints = { readonly notice: number; readonly slow: number; readonly hold: number };

export type BehaviourVerdict = {
  readonly score: number;
  readonly signals: readonly Signal[];
  readonly stage: BehaviourStage;
  /** The password is in wrong hands: many sources at the same time, and spam. */
  readonly stolen: boolean;
};

/**
 * Mail is slowed down or held only for two different reasons, of which one is not weak. A very large share of unknown recipients counts as
 * two reasons. @param signals each name at most once.
 */
export function verdictOf(signals: readonly Signal[], points: StagePoints): BehaviourVerdict {
  const score = signals.reduce((sum, signal) => sum + signal.points, 0);
  const isFirm = signals.some(({ name }) => !WEAK.has(name));
  const isDiverse =
    signals.length >= 2 || signals.some(({ name, points }) => name === 'unknownShare' && points > POINTS.unknownShare);
  const has = (wanted: SignalName) => signals.some(({ name }) => name === wanted);
  const stage =
    isFirm && isDiverse && score >= points.hold
      ? 'hold'
      : isFirm && isDiverse && score >= points.slow
        ? 'slow'
        : score >= points.notice
          ? 'notice'
          : 'none';
  return { score, signals, stage, stolen: stage === 'hold' && has('parallelSources') && has('spamRefusals') };
}
