/**
 * All actions of an operator on a relay, written once for the command line and HTTP. They take parsed values and return the shapes of
 * `--json`. Each action works on the store, whether the relay runs in this process, in another one, or not at all.
 *
 * An action rejects with a ControlError if the request is not possible, and with any other error if the store fails.
 * Modules are loaded when an action needs them, so that a command starts fast.
 */
import type { DnsClient } from '../dns/dns.ts';
import type { StoreData } from '../store/store.ts';
import { type Clock, systemClock } from '../system/clock.ts';
import { type AccountControl, createAccountControl } from './accounts.ts';
import { type ActivityControl, createActivityControl } from './activity.ts';
import { type BehaviourControl, createBehaviourControl } from './behaviour.ts';
import { type CertificateControl, type CertificateSettings, createCertificateControl } from './certificates.ts';
import { type ChangeControl, createChangeControl } from './changes.ts';
import { type ContentControl, createContentControl } from './content.ts';
import type { DomainCheckSettings } from './domain-check.ts';
import { createDomainControl, type DomainControl } from './domains.ts';
import { createMuteControl, type MuteControl } from './mutes.ts';
import { type Actor, noteAs } from './parts.ts';
import { createProviderControl, type ProviderControl, type ProviderSettings } from './providers.ts';
import { createQueueControl, type QueueControl, type QueueSettings } from './queue.ts';
import { createReplyControl, type ReplyControl, type ReplySettings } from './replies.ts';
import { createReportControl, type ReportControl, type ReportSettings } from './reports.ts';
import { createSendControl, type SendControl, type TestMessageSettings } from './send.ts';
import { createSessionControl, type SessionControl } from './sessions.ts';
import { createStatusControl, type StatusControl } from './status.ts';
import { createTlsCheckControl, type TlsCheckControl, type TlsCheckSettings } from './tls-check.ts';
import { createTlsPolicyControl, type TlsPolicyControl, type TlsPolicySettings } from './tls-policies.ts';
import { createTlsReportControl, type TlsReportControl, type TlsReportSettings } from './tls-reports.ts';
import { createTokenControl, type TokenControl } from './tokens.ts';
import { createTraceControl, type TraceControl } from './trace.ts';
import { createUserControl, type UserControl, type UserSettings } from './users.ts';
import { createWayControl, type WayControl, type WaySettings } from './ways.ts';

export { ACCOUNT_ROLES, type Account, type AccountInvitation } from './accounts.ts';
export type { HistoryRow, RefusedByUs } from './activity.ts';
export type { ReleasedLogin } from './behaviour.ts';
export type { KnownChange } from './changes.ts';
export { type ClientSettings, clientSettings } from './client-settings.ts';
export { type Configuration, checkConfiguration, checkTables, createConfiguration, type Reloaded } from './configuration.ts';
export { ControlError, type ControlErrorKind, type ControlErrorSubject, type Fault, faultSentence } from './control-error.ts';
export { createDoctor, type Doctor, lookAtRelay } from './doctor.ts';
export { readDomain } from './domains.ts';
export {
  type ClientEvent,
  isOfClient,
  readClientSessions,
} from './first-client.ts';
export { keepLastLogin, type LastLogin } from './last-logins.ts';
export { nodeShape } from './nodes.ts';
export type { Actor, RepeatableRequest } from './parts.ts';
export type { KnownProvider, ProviderCommand } from './providers.ts';
export type { QueueChange, QueuePreview, QueueResult } from './queue.ts';
export { type ChangedReply, createReplyControl, type WholeExplanation } from './replies.ts';
export { createReportControl, type DomainReports, type ReadReports, type ReportSource } from './reports.ts';
export { type Progress, readTestMessage } from './send.ts';
export type { SessionOfAccount } from './sessions.ts';
export type {
  KeyRecord,
  ListedMessage,
  QueuedGroup,
  QueuedMessage,
  ServedCertificate,
  SigningDomain,
  TracedAttempt,
  TracedMessage,
  User,
  WholeUser,
} from './shapes.ts';
export type { StoredStatus } from './status.ts';
export type { CheckedHost, DomainCheck } from './tls-check.ts';
export type { KnownPolicy } from './tls-policies.ts';
export { readDay, type TlsFailure, type TlsReportCopy } from './tls-reports.ts';
export { type KnownToken, TOKEN_SCOPES } from './tokens.ts';
export { parseExpiry, readNewUser, readUserValues, USER_KINDS, type WrittenUser } from './user-values.ts';
export { checkPassword, type NewUser, newUser, type UserChange, type UserLogin } from './users.ts';
export type { ConfiguredWay } from './ways.ts';
export { createWorks, type Works } from './works.ts';

/** A whole configuration fits this type. */
export type ControlSettings = UserSettings &
  QueueSettings &
  CertificateSettings &
  TestMessageSettings &
  TlsReportSettings &
  TlsCheckSettings &
  TlsPolicySettings &
  ProviderSettings &
  ReplySettings &
  ReportSettings &
  WaySettings &
  DomainCheckSettings;

export type ControlOptions = {
  readonly store: StoreData;
  /** Returns the current settings: a running relay can reload its configuration. */
  readonly settings: () => ControlSettings;
  /** Used to check whether records are published, to fetch policies, and to look at destinations. */
  readonly dns: DnsClient;
  readonly now?: Clock;
  readonly by: Actor;
};

export type Control = {
  readonly users: UserControl;
  readonly behaviour: BehaviourControl;
  readonly domains: DomainControl;
  readonly queue: QueueControl;
  readonly trace: TraceControl;
  readonly activity: ActivityControl;
  readonly status: StatusControl;
  readonly content: ContentControl;
  readonly certificates: CertificateControl;
  readonly send: SendControl;
  readonly tlsCheck: TlsCheckControl;
  readonly tlsReports: TlsReportControl;
  readonly tlsPolicies: TlsPolicyControl;
  readonly providers: ProviderControl;
  readonly replies: ReplyControl;
  readonly reports: ReportControl;
  readonly accounts: AccountControl;
  readonly sessions: SessionControl;
  readonly tokens: TokenControl;
  readonly changes: ChangeControl;
  readonly mutes: MuteControl;
  readonly ways: WayControl;
};

export function createControl({ store, settings, dns, now = systemClock, by }: ControlOptions): Control {
  const parts = { store, settings, now, by, note: noteAs({ store, now }, by) };
  return {
    users: createUserControl(parts),
    behaviour: createBehaviourControl(parts),
    domains: createDomainControl({ ...parts, dns }),
    queue: createQueueControl(parts),
    trace: createTraceControl(store),
    activity: createActivityControl(parts),
    status: createStatusControl(parts),
    content: createContentControl(parts),
    certificates: createCertificateControl(parts),
    send: createSendControl(parts),
    tlsCheck: createTlsCheckControl({ ...parts, dns }),
    tlsReports: createTlsReportControl(parts),
    providers: createProviderControl(parts),
    replies: createReplyControl(parts),
    reports: createReportControl({ ...parts, dns }),
    tlsPolicies: createTlsPolicyControl({ ...parts, dns }),
    accounts: createAccountControl(parts),
    sessions: createSessionControl(parts),
    tokens: createTokenControl(parts),
    changes: createChangeControl(parts),
    mutes: createMuteControl(parts),
    ways: createWayControl(parts),
  };
}
