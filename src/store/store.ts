/**
 * What must survive, and the promises about it. Whoever keeps it (SQLite now, a shared database later) is hidden:
 * this interface knows no SQL and no file. Every method that changes something resolves when the change is synced,
 * and rejects when it was not: a change that was rejected is either absent or, after a power cut, there as a whole.
 *
 * What is rejected later than at opening carries a `code`: `ENOSPC` (the disk is full), `EIO`, `EBUSY` (another process held the store
 * for too long), `ECORRUPT`, or `ESTORE` for all else, a closed store included.
 *
 * Times are milliseconds since the epoch, sizes bytes.
 *
 * What a crash leaves, point by point (kill -9 or a power cut; the next `serve` opens with `sweep`, which finds the owners of before dead,
 * then calls `takeBack`):
 *
 * - while a large body arrives, or after `finish` and before `accept` was synced: a file that no message names; the sweep removes it.
 * - inside the transaction of `accept`: nothing of the message, its counting included. The client had no 250.
 * - after it, before the client reads the 250: the whole message. The client sends it again: it may arrive twice, never not at all.
 * - after `claim`, or `accept` with `claim`: `active` with the owner that is gone. `takeBack` makes it `queued` (never tried) or
 *   `delayed`, due at once. Where the crash fell between the final dot and `settle`, the far side gets it again.
 * - inside the transaction of `settle`: the recipient is still `active`, and neither attempt nor report exists.
 * - after it: outcome, next attempt, trace and report, all of them. After the last outcome of a message its row and content are
 *   gone from the queue; its spool file may still be there, and the sweep removes it.
 * - in the middle of a command over many recipients: a part of them is changed, each as a whole. The command can be repeated.
 *
 * What is found damaged (content, envelope or recipient other than their checksums, a spool file gone or cut short, rows that
 * contradict each other) is `held` with the reason as its last reply and told to `onDamaged`; nothing of it leaves. `release` tries
 * again, `remove` gives up. What cannot be opened at all is a StoreError.
 *
 * A sync that fails rejects all that shared it; the connection is dropped and opened anew, because after a failed sync the system may
 * call pages clean that never reached the disk. A disk that lies about its syncs cannot be survived.
 */
import type { CredentialStore } from './credential-store.ts';
import type { MessageStore } from './message-store.ts';
import type { OperationStore } from './operation-store.ts';
import type { TlsPolicyStore } from './tls-policy-store.ts';

export type { Credential, CredentialChange, CredentialStore, FailureCount, NewCredential } from './credential-store.ts';
export type { DataOwner } from './embedded/data-dir.ts';
export { filesOf, needFiles, openStore } from './engine.ts';
export {
  type AcceptRequest,
  type AcceptResult,
  type AttemptRecord,
  type Claim,
  type ClaimLease,
  type Content,
  type Denial,
  type Due,
  type DueReport,
  ENDED_STATES,
  type KnownRecipient,
  type MessageFacts,
  type MessageStore,
  type NewMessage,
  type NewRecipient,
  type NewUntold,
  type Notice,
  type OverLimit,
  type RecipientChange,
  type RecipientState,
  type Selection,
  type Settled,
  type Settlement,
  type Spool,
  type SpoolWriter,
  type StoredMessage,
  type StoredRecipient,
  type Told,
  type Touched,
  type UntoldRecipient,
} from './message-store.ts';
export type { OpenOptions } from './opening.ts';
export type { DkimKey, DkimKeyState, OperationStore, Pace, StoredCertificate, WhichDkimKey } from './operation-store.ts';
export type { StoredStsPolicy, TlsPolicyStore } from './tls-policy-store.ts';

/**
 * `credentials`: who may send; `limits`: what holds for a user, and what was counted of it; `keys`: what signs; `certificates`: what is
 * served; `policies`: what domains ask of TLS; `notices`: what commands did to recipients; `queue:D`: mail for destination D is due that was not, `queue:*`: for any;
 * `value:N`: the small value N.
 */
export type Change =
  | 'credentials'
  | 'limits'
  | 'keys'
  | 'certificates'
  | 'policies'
  | 'notices'
  | `queue:${string}`
  | `value:${string}`;

/** The data. The parts are split by who uses them, the guarantees are the same. */
export type StoreData = {
  readonly messages: MessageStore;
  readonly credentials: CredentialStore;
  readonly operation: OperationStore;
  readonly tlsPolicies: TlsPolicyStore;
};

/** What every store promises. What a store in files of this machine has besides is `EmbeddedStore`. */
export type Store = StoreData & {
  /**
   * Tells what was changed, so that what is remembered of it can be forgotten: of this process before the change resolves, of others
   * within a second or two. What a running relay does by itself (accepting with a claim, settling) is not told.
   */
  onChange(listener: (changes: ReadonlySet<Change>) => void): void;
  /** Resolves when a commit made now is synced; for health checks. */
  ping(): Promise<void>;
  /** Finishes what was asked for, then lets go of the data. */
  close(): Promise<void>;
};
