/** The front door of what domains ask of TLS, and what is reported to them about it. */
export { fetchStsPolicy, type StsCounts, type StsSettings, startStsPolicies } from './mta-sts-service.ts';
export { type ReportTarget, readReportRecord, reportRecordName } from './report-record.ts';
export {
  type AppliedPolicy,
  createTlsResults,
  dayOf,
  type SessionResult,
  type TlsResults,
  type TlsResultType,
} from './tls-results.ts';
