/** One result of the doctor: the found state, the wanted state, and the advice if they differ. */
import { data, inEnglish, type Phrase, phrase } from '../system/phrase.ts';

/** `unknown` means that the check was not possible from here at this time. */
export type Severity = 'ok' | 'warning' | 'error' | 'unknown';

export type Finding = {
  readonly check: string;
  /** The checked thing: a name, an address, a listener. */
  readonly subject: string;
  readonly result: Severity;
  readonly found: string;
  readonly wanted: string;
  /** One sentence that says what to do. Empty if there is nothing to do. */
  readonly advice: string;
  /** The same, to be said in another language. */
  readonly phrases: { readonly found: Phrase; readonly wanted: Phrase; readonly advice: Phrase };
};

/** The worst first. */
const WORST_FIRST: readonly Severity[] = ['error', 'unknown', 'warning', 'ok'];

export function worst(results: readonly Severity[]): Severity {
  return WORST_FIRST.find((result) => results.includes(result)) ?? 'unknown';
}

type Says = (result: Severity, found: Phrase, wanted: Phrase, advice?: Phrase) => Finding;

const NOTHING_TO_DO = data('');

/** @returns a function that makes findings of one check and subject. */
export function about(check: string, subject: string): Says {
  return (result, found, wanted, advice = NOTHING_TO_DO) => ({
    ...{ check, subject, result, found: inEnglish(found), wanted: inEnglish(wanted), advice: inEnglish(advice) },
    phrases: { found, wanted, advice },
  });
}

/** "a", "a and b", "a, b and c" */
export function listed(words: readonly string[]): Phrase {
  return enumerated(words.map(data));
}

/** The same of phrases. */
export function enumerated(phrases: readonly Phrase[]): Phrase {
  if (phrases.length < 2) return phrases[0] ?? data('');
  return phrase`${phrases.slice(0, -1).reduce((all, one) => phrase`${all}, ${one}`)} and ${phrases.at(-1)!}`;
}

/** @param answer the answer of a look-up that found nothing. */
export function nothingIn(answer: { readonly kind: string; readonly why?: Phrase }): Phrase {
  if (answer.kind === 'nxdomain') return phrase`the name does not exist`;
  return answer.kind === 'temporary' ? phrase`the DNS gave no answer (${answer.why ?? ''})` : phrase`no such record`;
}

export const ASK_AGAIN = phrase`Run doctor again when the resolver answers; \`dns.servers\` names another one.`;
