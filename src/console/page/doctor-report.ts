/** The findings of the doctor as text, to hand to somebody who helps. It has no address of a person and no secret. */

import type { Sentence } from './phrases.ts';

/** `GET /doctor` */
export type ShownFinding = {
  readonly check: string;
  readonly subject: string;
  readonly result: 'ok' | 'warning' | 'error' | 'unknown';
  readonly found: string;
  readonly wanted: string;
  readonly advice: string;
  readonly phrases: { readonly found: Sentence; readonly wanted: Sentence; readonly advice: Sentence };
  /** ISO 8601. */
  readonly since: string;
};

/** One line each as `smarthost doctor` prints them, and what is wanted below those that are not right. */
export function doctorReport(
  findings: readonly ShownFinding[],
  { relay, at }: { readonly relay: string; readonly at: string },
): string {
  const width = Math.max(0, ...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, subject, result, found, wanted, advice, since }) => [
    `${result.padEnd(7)}  ${check.padEnd(width)}  ${subject}: ${found}${result === 'ok' ? '' : ` (since ${since})`}`,
    ...(result === 'ok' ? [] : [`         wanted: ${wanted}`, ...(advice === '' ? [] : [`         ${advice}`])]),
  ]);
  return [`smarthost doctor on ${relay}, ${at}`, '', ...lines, ''].join('\n');
}

type Count = Readonly<Record<ShownFinding['result'], number>>;

/** What sums up others is not counted. */
export function countFindings(findings: readonly ShownFinding[]): Count {
  const count = { ok: 0, warning: 0, error: 0, unknown: 0 };
  for (const { check, result } of findings) if (check !== SUMMING_UP) count[result] += 1;
  return count;
}

/** The check of the findings that sum up others. */
export const SUMMING_UP = 'receivers';
