/**
 * The data that must survive, and the promises about them. This interface knows no SQL and no file, so that any engine can keep the
 * data: SQLite now, a shared database later. A method that changes something resolves when the change is synced, and rejects when it
 * is not. A rejected change is absent; after a power cut it is absent, or there as a whole.
 *
 * An error after opening has a `code`: `ENOSPC` (the disk is full), `EIO`, `EBUSY` (another process held the store for too long),
 * `ECORRUPT`, or `ESTORE` for all other errors. A closed store gives `ESTORE`.
 *
 * Times are milliseconds since the epoch, sizes bytes.
 *
 * The state after a crash (kill -9 or a power cut), by the time of the crash. The next `serve` opens with `sweep`, which marks all earlier
 * owners as dead, and then calls `takeBack`.
 *
 * - While a large body arrives, or after `finish` and before the sync of `accept`: a file that no message names. The sweep removes it.
 * - Inside the transaction of `accept`: nothing of the message and nothing of its counting. The client got no 250.
 * - After this transaction, before the client reads the 250: the whole message. The client sends it again, so that it may arrive twice.
 * - After `claim`, or `accept` with `claim`: the recipient is `active` and its owner is gone. `takeBack` makes it `queued` (never tried)
 *   or `delayed`, due at once. If the crash came between the final dot and `settle`, the destination gets the message again.
 * - Inside the transaction of `settle`: the recipient is still `active`. Neither attempt nor report exists.
 * - After this transaction: outcome, next attempt, trace and report all exist. After the last outcome of a message, its row and content
 *   are gone from the queue. Its spool file may still exist; the sweep removes it.
 * - In the middle of a command over many recipients: some of them are changed, each one as a whole. The command can be repeated.
 *
 * A damaged message is `held`, with the reason as its last reply, and is reported to `onDamaged`. It is damaged if content, envelope or
 * recipient do not match their checksums, if its spool file is missing or cut short, or if its rows contradict each other. Nothing of it
 * leaves. `release` tries again, `remove` gives up. A store that cannot be opened at all gives a StoreError.
 *
 * A failed sync rejects all changes that shared it. The connection is then closed and opened again, because after a failed sync the
 * system may treat pages as clean that never reached the disk. No store survives a disk that reports a sync which did not happen.
 */
import type { MessagePort } from 'node:worker_threads';
import type { Clock } from '../system/clock.ts';
import type { ActivityStore } from './activity-store.ts';
import type { AlignmentStore } from './alignment-store.ts';
import type { AuditStore, ChangeNote } from './audit-store.ts';
import type { BehaviourStore } from './behaviour-store.ts';
import type { ConsoleStore } from './console-store.ts';
import type { CredentialStore } from './credential-store.ts';
import type { FeedbackStore } from './feedback-store.ts';
import type { Lease, Led } from './lease.ts';
import type { MessageStore } from './message-store.ts';
import type { OperationStore } from './operation-store.ts';
import type { RestoredStore } from './restored-store.ts';
import type { SlotStore } from './slot-store.ts';
import type { SuppressionStore } from './suppression-store.ts';
import type { TlsPolicyStore } from './tls-policy-store.ts';
import type { TlsResultStore } from './tls-result-store.ts';

export type {
  ActivityStore,
  HistoryCount,
  HistoryOutcome,
  HistorySubject,
  RefusedCommand,
  StoredRefusedCommand,
} from './activity-store.ts';
export type { AlignmentStore, StoredSenderVerdict } from './alignment-store.ts';
export type { AttemptRecord } from './attempt-record.ts';
export type { AuditStore, ChangeNote, StoredChange } from './audit-store.ts';
export type { BehaviourRecord, BehaviourStore } from './behaviour-store.ts';
export type { ClusterLook, PrimaryFacts, ServerFacts, StoreCluster, StoreNode } from './cluster.ts';
export type {
  AccountChange,
  AccountCondition,
  AccountLink,
  AccountOutcome,
  ConsoleAccount,
  ConsoleSession,
  ConsoleStore,
  ConsoleToken,
  MutedFinding,
  RequestAnswer,
  RequestKey,
  RequestState,
} from './console-store.ts';
export type {
  Credential,
  CredentialChange,
  CredentialStore,
  FailureCount,
  NewCredential,
  SeenCredential,
} from './credential-store.ts';
export type { DataOwner } from './embedded/data-dir.ts';
export { clusterOf, filesOf, joinStore, moveStore, openStore } from './engine.ts';
export type { FeedbackStore } from './feedback-store.ts';
export { holdLease, LEASE_TIME, type Lease, type Led } from './lease.ts';
export {
  type AcceptRequest,
  type AcceptResult,
  type Claim,
  type ClaimLease,
  type Content,
  type Denial,
  type Due,
  type DueReport,
  ENDED_STATES,
  type MessageFacts,
  type MessageStore,
  type NewMessage,
  type NewRecipient,
  type NewUntold,
  type OnStep,
  type RecipientChange,
  type RecipientState,
  type Settled,
  type Settlement,
  type Spool,
  type SpoolWriter,
  type StoredRecipient,
  type Told,
  type UntoldRecipient,
} from './message-store.ts';
export type {
  BrowsedMessage,
  BrowseQuery,
  HeldMail,
  KnownRecipient,
  Notice,
  OverLimit,
  QueueGroup,
  QueueGroupQuery,
  RecipientPart,
  Selection,
  StoredMessage,
  Touched,
} from './message-view.ts';
export type { OpenOptions } from './opening.ts';
export type {
  DkimKey,
  DkimKeyState,
  OperationStore,
  Pace,
  Shaping,
  StoredCertificate,
  TracedRefusal,
  WhichDkimKey,
} from './operation-store.ts';
export type { RestoredStore } from './restored-store.ts';
export type { SlotStore } from './slot-store.ts';
export { type NewSuppression, type SuppressionNews, suppressionKey } from './suppression.ts';
export type { SuppressionStore } from './suppression-store.ts';
export type { StoredStsPolicy, TlsPolicyStore } from './tls-policy-store.ts';
export {
  furtherTlsPolicies,
  isFurtherTlsPolicies,
  MOST_TLS_POLICIES,
  type NewTlsReport,
  type SeenTlsPolicy,
  type StoredTlsReport,
  type TlsFailureDetail,
  type TlsFailureRow,
  type TlsResultStore,
  type TlsSessionCount,
} from './tls-result-store.ts';

/**
 * The kind of a change. `credentials`: logins. `limits`: the limits of a user, and their use. `keys`: DKIM keys. `certificates`:
 * certificates. `policies`: TLS policies of domains. `notices`: changes of recipients by commands. `queue:D`: mail for the destination D
 * became due; `queue:*`: mail for any destination. `suppression`: addresses, by a command. `console`: accounts, sessions and tokens.
 * `audit`: a row about a change. `value:N`: the small value N.
 */
export type Change =
  | 'credentials'
  | 'limits'
  | 'keys'
  | 'certificates'
  | 'policies'
  | 'notices'
  | 'suppression'
  | 'console'
  | 'audit'
  | `queue:${string}`
  | `value:${string}`;

/** The data, in parts for their users. The promises are the same for all parts. */
export type StoreData = {
  readonly messages: MessageStore;
  readonly credentials: CredentialStore;
  readonly operation: OperationStore;
  readonly tlsPolicies: TlsPolicyStore;
  readonly tlsResults: TlsResultStore;
  readonly activity: ActivityStore;
  readonly alignment: AlignmentStore;
  readonly behaviour: BehaviourStore;
  readonly suppression: SuppressionStore;
  readonly feedback: FeedbackStore;
  readonly console: ConsoleStore;
  readonly audit: AuditStore;
  /**
   * The same data. The first of its requests that changes something writes the note, in the transaction of the change; later ones add to
   * its counts. Requests that only read, or change nothing, write none.
   */
  noted(note: ChangeNote): StoreData;
  /** The same data for the work of a lease that was taken: each change is stored only while the lease is held. */
  underLease(lease: Lease): LedData;
};

/** All data, for the one process that has a lease. */
export type LedData = { readonly [Part in keyof Omit<StoreData, 'noted' | 'underLease'>]: Led<StoreData[Part]> };

/**
 * Whether new mail can be taken. `unsure`: nothing is heard of the data for some seconds, which a failover takes. `unreachable`: for longer.
 * `full`: they may not grow any more.
 */
export type StoreCondition = 'ready' | 'unsure' | 'unreachable' | 'full';

/** A shared database, as it was measured last. */
export type DatabaseSize = {
  readonly bytes: number;
  /** Seconds that the oldest transaction, or its snapshot, is open. The user of the relay sees only its own, unless it is in pg_monitor. */
  readonly oldestTransaction: number;
};

/** Another living relay that shares the data, and what it has announced. */
export type OtherRelay = { readonly name: string; readonly digest: string };

/** What every store promises. `EmbeddedStore` adds what a store in files of this machine has. */
export type Store = StoreData & {
  /** The clock of the data. Machines that share a store have one clock, that of its database, however their own clocks differ. */
  readonly now: Clock;
  /**
   * Reports the kinds of changes, so that caches can drop old values. A change of this process is reported before it resolves, a change of
   * another process within two seconds. The work of a running relay (accepting with a claim, settling) is not reported.
   */
  onChange(listener: (changes: ReadonlySet<Change>) => void): void;
  /** Commits a small change and resolves when it is synced. For health checks. */
  ping(): Promise<void>;
  /** Finishes all requests, then closes the store. */
  close(): Promise<void>;
};

/** A store that this process has opened. Other threads of the process share it, so that their changes join the same commits. */
export type OpenedStore = Store & {
  /** From memory. A store in files is always ready: its disk is watched by itself. */
  condition(): StoreCondition;
  /** Makes this process one of the relays that share the data. @param digest of its settings. */
  announce(digest: string): void;
  /** The other living relays, as they were some seconds ago. A store in files has none. */
  relays(): readonly OtherRelay[];
  /** The same, as they are now. */
  relaysNow(): Promise<readonly OtherRelay[]>;
  /** Absent: no other relay shares the data. */
  readonly slots?: SlotStore;
  /** Absent: the data are in files, which nobody restores under a running process. */
  readonly restored?: RestoredStore;
  /** undefined: the data are in files, or nothing was measured yet. */
  database(): DatabaseSize | undefined;
  /**
   * @param give gets a port for one other thread, now and whenever the engine has started again: `joinStore` and `renew` take it.
   * @returns ends it.
   */
  share(give: (port: MessagePort) => void): () => void;
  /** The same data, for requests of people: what may read much never stands before mail. */
  readonly forPeople: StoreData;
};

/** The same data, in another thread of the process that has the store open. */
export type JoinedStore = StoreData &
  Pick<Store, 'onChange' | 'now'> & {
    /** Takes the next port. Until then requests are rejected with `ESTORE`. */
    renew(port: MessagePort): void;
    close(): void;
  };
