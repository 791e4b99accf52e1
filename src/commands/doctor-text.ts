/** The doctor's findings as text: one line each, and the advice below it. */
import { type Finding, RECEIVERS, type Severity } from '../doctor/doctor.ts';
import { type Colour, type Paint, plain } from './colours.ts';
import { clean, several } from './text.ts';

const COLOURS: Readonly<Record<Severity, Colour>> = { ok: 'green', warning: 'yellow', error: 'red', unknown: 'cyan' };

/** `error    ptr           192.0.2.1: no such record`, then the wanted value and the advice. */
export function describeFindings(findings: readonly Finding[], paint: Paint = plain): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  return findings
    .map(({ check, subject, result, found, wanted, advice }, i) => {
      const title = check === RECEIVERS && findings[i - 1]?.check !== RECEIVERS ? '\nAs receivers and testers see you:\n' : '';
      const head = `${title}${paint(COLOURS[result], result.padEnd(7))}  ${check.padEnd(width)}  ${clean(subject)}: ${clean(found)}\n`;
      if (result === 'ok') return head;
      // Findings in a row with the same advice show it once, below the last.
      const said = advice === '' || advice === findings[i + 1]?.advice;
      return `${head}         wanted: ${clean(wanted)}\n${said ? '' : `         ${paint('bold', clean(advice))}\n`}`;
    })
    .join('');
}

/** Findings that are new or whose text has changed. */
export function changesOf(before: readonly Finding[], now: readonly Finding[]): readonly Finding[] {
  const known = new Map(before.map((finding) => [`${finding.check} ${finding.subject}`, finding.result]));
  return now.filter((finding) => known.get(`${finding.check} ${finding.subject}`) !== finding.result);
}

/** "2 errors, 1 warning, 3 unknown; 12 are right." What sums up others is not counted. */
export function summaryOf(all: readonly Finding[]): string {
  const findings = all.filter(({ check }) => check !== RECEIVERS);
  const count = (wanted: Severity) => findings.filter(({ result }) => result === wanted).length;
  const parts = [
    ...(count('error') > 0 ? [several(count('error'), 'error')] : []),
    ...(count('warning') > 0 ? [several(count('warning'), 'warning')] : []),
    ...(count('unknown') > 0 ? [`${count('unknown')} that could not be looked at`] : []),
  ];
  return parts.length === 0 ? 'Everything is right.' : `${parts.join(', ')}; ${count('ok')} right.`;
}
