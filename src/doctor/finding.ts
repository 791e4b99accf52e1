/** One result of the doctor: the found state, the wanted state, and the advice if they differ. */

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
};

/** The worst first. */
const WORST_FIRST: readonly Severity[] = ['error', 'unknown', 'warning', 'ok'];

export function worst(results: readonly Severity[]): Severity {
  return WORST_FIRST.find((result) => results.includes(result)) ?? 'unknown';
}

type Says = (result: Severity, found: string, wanted: string, advice?: string) => Finding;

/** @returns a function that makes findings of one check and subject. */
export function about(check: string, subject: string): Says {
  return (result, found, wanted, advice = '') => ({ check, subject, result, found, wanted, advice });
}

/** "a", "a and b", "a, b and c" */
export function listed(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** @param answer the answer of a look-up that found nothing. */
export function nothingIn(answer: { readonly kind: string; readonly cause?: string }): string {
  if (answer.kind === 'nxdomain') return 'the name does not exist';
  return answer.kind === 'temporary' ? `the DNS gave no answer (${answer.cause})` : 'no such record';
}

export const ASK_AGAIN = 'Run doctor again when the resolver answers; `dns.servers` names another one.';
