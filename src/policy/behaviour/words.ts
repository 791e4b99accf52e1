/** Signals in the words of the log, notices and `user show`. */
import type { Signal, SignalName } from './signals.ts';

const WORDS: Readonly<Record<SignalName, (value: string, limit: string) => string>> = {
  unknownShare: (value, limit) => `${value} % of its recipients do not exist (from ${limit} %)`,
  unknownCount: (value, limit) => `${value} recipients that do not exist (from ${limit})`,
  newRecipients: (value, limit) => `${value} recipients that it has never written to (from ${limit})`,
  spamRefusals: (value, limit) => `${value} receivers have refused its mail as spam (from ${limit})`,
  messages: (value, limit) => `${value} messages in an hour (from ${limit})`,
  unusualHour: (value, limit) => `${value} messages at an hour at which it was never used (from ${limit})`,
  newNetworks: (value, limit) => `${value} networks from which it was never used (from ${limit})`,
  countries: (value, limit) => `${value} countries in a day (from ${limit})`,
  parallelSources: (value, limit) => `${value} addresses of clients at the same time (from ${limit})`,
  newAuthors: (value, limit) => `${value} addresses in From that are new (from ${limit})`,
  complaints: (value, limit) => `${value} complaints (from ${limit})`,
  blocks: (value, limit) => `${value} providers have blocked the relay, and most of its mail is from here (from ${limit})`,
};

export function describeSignal({ name, value, limit }: Signal): string {
  return WORDS[name](rounded(value), rounded(limit));
}

export function describeSignals(signals: readonly Signal[]): string {
  return signals.map(describeSignal).join('; ');
}

const rounded = (value: number) => String(Math.round(value * 10) / 10);
