/** What the doctor says about one thing: what it found, what it wanted, and what to do about the difference. */

/** unknown: it could not be looked at from here, now. */
export type Severity = 'ok' | 'warning' | 'error' | 'unknown';

export type Finding = {
  readonly check: string;
  /** What was looked at: a name, an address, a listener. */
  readonly subject: string;
  readonly result: Severity;
  readonly found: string;
  readonly wanted: string;
  /** The sentence that says what to do; empty where there is nothing to do. */
  readonly advice: string;
};

/** The worst first. */
const WORST_FIRST: readonly Severity[] = ['error', 'unknown', 'warning', 'ok'];

export function worst(results: readonly Severity[]): Severity {
  return WORST_FIRST.find((result) => results.includes(result)) ?? 'unknown';
}

type Says = (result: Severity, found: string, wanted: string, advice?: string) => Finding;

/** A pen for one check. */
export function about(check: string, subject: string): Says {
  return (result, found, wanted, advice = '') => ({ check, subject, result, found, wanted, advice });
}

/** "a", "a and b", "a, b and c" */
export function listed(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** @param answer of a look-up that brought nothing. */
export function nothingIn(answer: { readonly kind: string; readonly cause?: string }): string {
  if (answer.kind === 'nxdomain') return 'the name does not exist';
  return answer.kind === 'temporary' ? `the DNS gave no answer (${answer.cause})` : 'no such record';
}

export const ASK_AGAIN = 'Run doctor again when the resolver answers; `dns.servers` names another one.';
