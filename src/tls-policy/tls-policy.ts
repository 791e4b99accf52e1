/** The front door of TLS policies: DANE, MTA-STS, the decision for one host, and reports to domains. */
export { type DaneFinding, findDane, mayHaveDane, NO_DANE } from './dane.ts';
export {
  type Assurance,
  type Connect,
  type Demand,
  type DemandSource,
  decideTls,
  type PolicyMode,
  type Skip,
  type TlsDecision,
  type TlsFacts,
} from './decision.ts';
export { startDnssecWatch } from './dnssec-watch.ts';
export { policyNames } from './mta-sts.ts';
export {
  fetchStsPolicy,
  openStsPolicies,
  type StsCounts,
  type StsSettings,
  startStsPolicies,
  tryStsPolicy,
} from './mta-sts-service.ts';
export { type Checks, firstTrust, isUnknownRoot, judgePeer, type Peer, type PeerFault, type Trust } from './peer.ts';
export { type ReportTarget, readReportRecord, reportRecordName } from './report-record.ts';
export { explainDecision } from './sentence.ts';
export {
  type AppliedPolicy,
  createTlsResults,
  dayOf,
  type SessionResult,
  type TlsResults,
  type TlsResultType,
} from './tls-results.ts';
export { fateOf, tlsaText } from './tlsa.ts';
