/** Checks whether reports about TLS can be sent, and whether those of yesterday arrived: RFC 8460 §3, §5. */
import { domainOf } from '../smtp/envelope.ts';
import type { DkimKey, StoredTlsReport } from '../store/store.ts';
import { phrase } from '../system/phrase.ts';
import { about, type Finding } from './finding.ts';

export type TlsReportingFacts = {
  readonly mode: 'all' | 'failures' | 'off';
  /** `reports.tlsFrom` */
  readonly from: string;
  /** Copies of the reports about the last days. */
  readonly copies: readonly Pick<StoredTlsReport, 'rua' | 'state' | 'lastError'>[];
};

/** An operator does not read about more addresses than this. */
const MOST_SHOWN = 5;

export function checkTlsReports({ mode, from, copies }: TlsReportingFacts, keys: readonly DkimKey[]): readonly Finding[] {
  const domain = domainOf(from);
  const say = about('tlsReports', domain);
  if (mode === 'off') return [say('ok', phrase`reports.tls is off: nothing is counted or sent`, phrase`as configured`)];
  const wanted = phrase`signed reports that arrive`;
  if (!keys.some((key) => key.domain === domain && key.state === 'active')) {
    const advice = phrase`Reports about TLS that their submitter has not signed must be ignored, so none are sent by mail: smarthost domain add ${domain}`;
    return [say('warning', phrase`${domain} has no DKIM key that signs`, wanted, advice)];
  }
  const failed = new Map(copies.filter(({ state }) => state === 'failed').map((copy) => [copy.rua, copy]));
  const findings = [...failed.values()].slice(0, MOST_SHOWN).map(({ rua, lastError }) => {
    const advice = phrase`The owner of this address must mend it. After five days it gets no reports for thirty days.`;
    return about('tlsReports', rua)('warning', phrase`not delivered: ${lastError ?? phrase`no reason is known`}`, wanted, advice);
  });
  if (findings.length > 0) return findings;
  const count = (...states: readonly StoredTlsReport['state'][]) => copies.filter(({ state }) => states.includes(state)).length;
  return [say('ok', phrase`${count('sent')} sent, ${count('queued', 'due')} on their way, in two days`, wanted)];
}
