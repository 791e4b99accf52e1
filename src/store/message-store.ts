/** Messages, their recipients, and their trace. */

import type { Notify } from '../smtp/envelope.ts';
import type { Limit, LimitUse } from '../smtp/limit.ts';
import type { DsnAction } from '../smtp/outcome.ts';
import type { Reply } from '../smtp/reply.ts';
import type { AttemptRecord } from './attempt-record.ts';
import type { Led } from './lease.ts';
import type {
  BrowsedPage,
  BrowseQuery,
  HeldMail,
  KnownRecipient,
  ListQuery,
  Notice,
  OverLimit,
  QueueGroup,
  QueueGroupQuery,
  QueueSummaryRow,
  RecipientPart,
  Selection,
  SelectionPreview,
  StoredMessage,
  Touched,
} from './message-view.ts';
import type { Shaping } from './operation-store.ts';
import type { NewSuppression, SuppressionNews } from './suppression.ts';

/**
 * The state of a recipient. Waiting: queued (never tried), delayed, uncertain (the final dot had no reply), active (claimed).
 * Parked: held. Ended: relayed, failed, expired, removed.
 */
export type RecipientState =
  | 'queued'
  | 'active'
  | 'delayed'
  | 'held'
  | 'uncertain'
  | 'relayed'
  | 'failed'
  | 'expired'
  | 'removed';
export const ENDED_STATES: readonly RecipientState[] = ['relayed', 'failed', 'expired', 'removed'];

/**
 * The bytes that leave: the prefix and the normalised body. The prefix is Received, DKIM-Signature and other added fields, then the
 * header of the client. `inline` holds both in one buffer that owns its memory, because the buffer is transferred to another thread.
 * `spooled` names a body that is on disk already; only the prefix is in memory.
 */
export type Content =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'spooled'; readonly prefix: Uint8Array<ArrayBuffer>; readonly spool: Spool };

/** A large body on disk. */
export type Spool = {
  readonly name: string;
  readonly size: number;
  /**
   * May be called many times until the message has ended.
   * @param memory each chunk lies in it, so that a chunk is valid only until the next one is read. Absent: each chunk has its own memory.
   */
  read(memory?: Uint8Array): AsyncIterable<Uint8Array>;
};

/** Takes a large body while it arrives. When `finish` resolves, the data and the name of the file are synced. */
export type SpoolWriter = {
  /** Resolves when the chunk is taken (backpressure). The caller may then reuse the chunk. */
  write(chunk: Uint8Array): Promise<void>;
  finish(): Promise<Spool>;
  /** Removes the file. May be called at any time, also after `finish` if the message is not accepted. */
  abort(): Promise<void>;
};

export type NewRecipient = {
  readonly address: string;
  /** Deliveries are grouped by it: the domain, or the route that was chosen at acceptance. */
  readonly destination: string;
  readonly notify?: readonly Notify[];
  readonly orcpt?: string;
};

/** How a client has handed a message in. For people only: no decision depends on it. */
export type Origin = {
  /** The address of the client. */
  readonly ip: string;
  /** The version of TLS, such as `TLSv1.3`. null: without TLS. */
  readonly tls: string | null;
  /** The mechanism of its login. */
  readonly mechanism: string;
  /** The Subject field in one line, decoded and cut. Absent: there was none, or it is not kept. */
  readonly subject?: string;
};

/** A message without its recipients and content. */
export type MessageFacts = {
  readonly id: string;
  /** The name of the login. null for our own mail. */
  readonly user: string | null;
  readonly reversePath: string;
  /** The value of the Message-ID field, with angle brackets. Empty if there is none. */
  readonly messageId: string;
  readonly size: number;
  readonly acceptedAt: number;
  readonly expiresAt: number;
  readonly body: '7BIT' | '8BITMIME';
  /** The client gave SMTPUTF8, and the header needs it. Each transaction checks the addresses itself: RFC 6531 §3.1. */
  readonly needsSmtpUtf8: boolean;
  readonly ret?: 'FULL' | 'HDRS';
  readonly envid?: string;
  /** `selector._domainkey.domain` of each signature of ours. */
  readonly signatures: readonly string[];
  /** The trace keeps the dialogs of its attempts. For test messages. */
  readonly recorded?: boolean;
  /** REQUIRETLS was given. */
  readonly requireTls?: boolean;
  /** Its header says that TLS-Required is No. */
  readonly tlsOptional?: boolean;
  /** It is a report about TLS: what its own sessions do is not counted. */
  readonly tlsReport?: boolean;
  /** The message that this report is about. */
  readonly about?: string;
  /** Absent for our own mail, and for mail of releases that did not keep it. */
  readonly origin?: Origin;
};

export type NewMessage = MessageFacts & {
  readonly recipients: readonly NewRecipient[];
  readonly content: Content;
  /**
   * A random number below 2^48, for one try to store the message. Id and token together name this message; another message may have the
   * same id. Absent: the message is never withdrawn.
   */
  readonly token?: number;
};

/**
 * Names one claim. It has the name of the owner, which is one run of a process, and a number that this owner uses once. `settle`
 * gives the lease, and changes nothing if another claim has the recipient.
 */
export type ClaimLease = `${string}#${number}`;

export type AcceptRequest = {
  readonly message: NewMessage;
  /**
   * Claims some recipients in the same transaction: their indexes, and their lease. The other recipients are due at once.
   * Ignored if the message is held.
   */
  readonly claim?: { readonly indexes: readonly number[]; readonly lease: ClaimLease };
  /**
   * Checked and counted in the same transaction. A message over a limit is refused or held as a whole. A held message is counted when it
   * is released. If a user has `maxHeld` held messages, the next one is refused.
   */
  readonly limits?: {
    readonly user: string;
    readonly list: readonly Limit[];
    readonly over: 'refuse' | 'hold';
    readonly maxHeld?: number;
  };
  /** The login of the sender, as it was read before. The transaction checks that it is still the same. */
  readonly grant?: { readonly name: string; readonly generation: string; readonly revision: number };
};

/** `ended`: the login is removed, disabled or expired, or has another password. `changed`: its rights or limits are others. */
export type Denial = 'ended' | 'changed';

export type AcceptResult =
  | {
      readonly accepted: true;
      readonly held: boolean;
      /** The bytes of the caller: they were transferred to the store and back. */
      readonly content: Content;
      /** The use after counting. Empty without limits. */
      readonly use: readonly LimitUse[];
      /** The limit that holds the message. Absent if it only waits behind held mail. */
      readonly exceeded?: LimitUse;
    }
  | { readonly accepted: false; readonly exceeded: LimitUse; readonly use: readonly LimitUse[] }
  /** Nothing was stored or counted. The bytes are given back. */
  | { readonly accepted: false; readonly denied: Denial; readonly content: Content }
  /** Another message has the id. Nothing was stored or counted. The bytes are given back. */
  | { readonly accepted: false; readonly idTaken: true; readonly content: Content };

/** A stored recipient. `n` is its index in the message. */
export type StoredRecipient = NewRecipient & {
  readonly n: number;
  readonly state: RecipientState;
  readonly attempts: number;
  readonly nextAttemptAt: number | null;
  /** The last reply in one line, or the reason. */
  readonly lastReply: string | null;
  /** The sender was told of the delay. */
  readonly delayReported: boolean;
  /** How many of `attempts` failed because of us, and not because of the destination. Absent: 0. */
  readonly excused?: number;
  /** The provider that it is held for. Absent: it is not. */
  readonly heldBy?: string;
};

/** Recipients of one message for one destination, claimed by the caller. */
export type Claim = {
  readonly lease: ClaimLease;
  readonly message: MessageFacts;
  readonly recipients: readonly StoredRecipient[];
  readonly content: Content;
};

export type RecipientChange = {
  readonly n: number;
  readonly state: RecipientState;
  /** Only for waiting states. */
  readonly nextAttemptAt?: number;
  readonly lastReply?: string;
  /** Goes to the trace, and counts as an attempt. */
  readonly attempt?: AttemptRecord;
  readonly delayReported?: boolean;
  /** `attempt` failed because of us. */
  readonly excused?: true;
  /** It waits because this provider refuses our address. Absent: it does not (any more). */
  readonly heldBy?: string;
};

/** News about one recipient that the sender must get. It is kept until a report with this news is stored. */
export type Untold = {
  /** The index of the recipient. */
  readonly n: number;
  readonly action: DsnAction | 'expired';
  readonly reply: Reply;
  readonly mx?: string;
  readonly ip?: string;
  /** The time of the attempt, ms. */
  readonly at: number;
};

/** The report waits until `collectUntil` (ms) for other recipients of the message. It is due earlier if no other recipient can follow. */
export type NewUntold = Untold & { readonly collectUntil: number };

/** One transaction: outcomes, next attempts, trace, and news for the sender. */
export type Settlement = {
  readonly messageId: string;
  /** The lease of the claim. null: the recipients are not claimed. */
  readonly lease: ClaimLease | null;
  readonly at: number;
  readonly changes: readonly RecipientChange[];
  /** Stored if the change of the recipient is stored. A delay is told once. */
  readonly untold?: readonly NewUntold[];
  /** What has become of providers since the last settlement. Stored in any case. */
  readonly shaping?: readonly Shaping[];
  /** What the outcomes say of addresses. Stored if the change of the recipient is stored, and it is not the same settlement again. */
  readonly suppression?: readonly NewSuppression[];
};

export type Settled = {
  /** The `n` of recipients that were not changed. */
  readonly unchanged: readonly number[];
  /** Those of them that wait or belong to another claim now. The lease was lost, because its owner seemed dead. */
  readonly lost: readonly number[];
  /** A report about the message is due now. */
  readonly reportDue: boolean;
  /** Absent: no address has another state. */
  readonly suppression?: readonly SuppressionNews[];
};

/** News about a recipient. `joined`: no news was stored for it, but it is as late as the others. */
export type UntoldRecipient = Untold & {
  readonly message: string;
  readonly recipient: StoredRecipient;
  readonly joined: boolean;
};

/** What one report will say: about one message and one Action, or, where a sender had many reports, about many. */
export type DueReport<C = Content> =
  | {
      readonly kind: 'report';
      readonly message: MessageFacts;
      /** Absent if it cannot be read. */
      readonly content: C | undefined;
      readonly untold: readonly UntoldRecipient[];
    }
  | {
      readonly kind: 'summary';
      /** To whom. */
      readonly sender: string;
      readonly messages: readonly MessageFacts[];
      readonly untold: readonly UntoldRecipient[];
    };

/** `report` tells everything in `untold`. Without a report, it need not be told any more. */
export type Told = {
  readonly sender: string;
  readonly untold: readonly UntoldRecipient[];
  readonly at: number;
  /** Stored as a new message that is due at once. */
  readonly report?: NewMessage;
};

/** A destination with waiting mail. */
export type Due = { readonly destination: string; readonly nextAttemptAt: number };

/** Hears after each step of a command how many recipients it changed. */
export type OnStep = (changed: number) => void;

export type MessageStore = {
  /** Makes a spool file for a large body. */
  createSpool(): Promise<SpoolWriter>;
  /** Resolves when message, recipients and counters are synced. */
  accept(request: AcceptRequest): Promise<AcceptResult>;
  /** Destinations with recipients that are due at `now`, the longest waiting first. `nextAt`: when the next destination is due. */
  due(now: number, limit: number): Promise<{ readonly due: readonly Due[]; readonly nextAt: number | null }>;
  /** Claims due recipients of up to `limit` messages for one destination. A claim has at most 50 recipients. */
  claim(request: { destination: string; now: number; limit: number; lease: ClaimLease }): Promise<readonly Claim[]>;
  /**
   * Stores outcomes. A recipient that ended meanwhile, or has another lease, is not changed, and its news is not stored; its attempt goes
   * to the trace. `relayed` is the exception: it ends a recipient with any lease, because the mail has left. No client waits for this
   * call, so that it may wait a few milliseconds to share a sync.
   */
  settle(settlement: Settlement): Promise<Settled>;
  /**
   * Reports that are due at `now`, at most `limit`. `nextAt`: when the next one is due. A sender gets at most `perHour` reports in an hour.
   * The rest waits for the end of the hour, and is then due as one summary.
   */
  dueReports(request: {
    now: number;
    limit: number;
    perHour: number;
  }): Promise<{ readonly due: readonly DueReport[]; readonly nextAt: number | null }>;
  /**
   * Stores the report and removes its news, in one transaction. @returns false if all of it had been told; nothing is stored then.
   * Rejects with the code `EEXIST`, and changes nothing, if another message has the id of the report.
   */
  told(told: Told): Promise<boolean>;
  /** Makes a report due at `until`, because it could not be written. */
  postponeReport(untold: readonly UntoldRecipient[], until: number): Promise<void>;
  /**
   * Gives a sign of life of this owner, by the clock of the store. A claim is a sign of life too. An owner without claims need not give one.
   * @returns false if the owner was unknown or was found dead. Other owners may have its claims then.
   */
  beat(owner: string): Promise<boolean>;
  /**
   * Makes the claims of dead owners due at `now`. An owner is dead if it gave no sign of life for `silence` ms by the clock of the store, if
   * it was found dead before, or if the store does not know it. `owner` itself is alive. @returns the number of recipients.
   */
  takeBack(request: { readonly owner: string; readonly silence: number; readonly now: number }): Promise<number>;
  /** Makes the recipients of this lease due at `now`, because the answer to the claim was lost. @returns the number of recipients. */
  giveBack(lease: ClaimLease, now: number): Promise<number>;
  /** Removes the messages with these ids and tokens. Their clients were told that the messages are not accepted. */
  withdraw(messages: readonly { readonly id: string; readonly token: number }[], now: number): Promise<void>;
  /** Makes recipients due at `now` that wait for a time after `latest`, because the clock was wrong. @returns their number. */
  thaw(latest: number, now: number): Promise<number>;

  list(query: ListQuery): Promise<readonly StoredMessage[]>;
  /** @param part only these recipients, with their attempts. */
  get(id: string, part?: RecipientPart): Promise<StoredMessage | undefined>;
  /** Finds messages by queue id, Message-ID (with or without angle brackets), recipient or reverse-path. The newest is first. */
  find(text: string, limit: number): Promise<readonly StoredMessage[]>;
  /** One page of messages, ended ones too, the newest first. */
  browse(query: BrowseQuery): Promise<BrowsedPage>;
  /** Counts what a command with this selection would find. */
  preview(selection: Selection): Promise<SelectionPreview>;
  /** The stored bytes of a message that has not ended. */
  content(id: string): Promise<Content | undefined>;
  /**
   * Each command returns the changed recipients. `retry` does not reset the age. `hold` does not change active recipients.
   * @param onStep hears after each step how many recipients it changed.
   */
  retry(selection: Selection, now: number, onStep?: OnStep): Promise<readonly Touched[]>;
  hold(selection: Selection, now: number, onStep?: OnStep): Promise<readonly Touched[]>;
  release(selection: Selection, now: number, onStep?: OnStep): Promise<readonly Touched[]>;
  remove(selection: Selection, now: number, onStep?: OnStep): Promise<readonly Touched[]>;
  /** Gives waiting recipients a new destination, due at once. A recipient for which `destinationOf` returns undefined is not changed. */
  reroute(
    selection: Selection,
    now: number,
    destinationOf: (message: MessageFacts, address: string, destination: string) => string | undefined,
    onStep?: OnStep,
  ): Promise<readonly Touched[]>;

  /** Changes of recipients by commands, the oldest first, for the log. Each is returned once. */
  takeNotices(limit: number): Promise<readonly Notice[]>;
  /** Destinations of recipients that `retry` made due. Each is returned once. The relay then ends the back-off of their hosts. */
  takeRetried(limit: number): Promise<readonly string[]>;

  /** The number of recipients in each state that is not ended, and the time when the oldest of their messages was accepted. */
  counts(): Promise<{
    readonly states: Readonly<Partial<Record<RecipientState, number>>>;
    readonly oldestAcceptedAt: number | null;
  }>;
  /** Destinations with waiting mail, the largest first, for `queue summary`. */
  summary(limit: number): Promise<readonly QueueSummaryRow[]>;
  /** The queue by destination or login, the largest first. */
  queueGroups(query: QueueGroupQuery): Promise<readonly QueueGroup[]>;
  /** Recipients that wait because a provider refuses our address, by provider. */
  heldByProvider(): Promise<readonly HeldMail[]>;
  /**
   * Makes up to `limit` recipients due at `now` that are held for this provider, those of the oldest messages first. They are held no longer.
   * @param request `probe`: among the oldest, messages with one recipient and at most 100 KiB first, and those with the fewest attempts.
   * `after`: all of the next older message behind this one, whatever the limit; empty: of the oldest. `avoid`: a probe is no message of these
   * users.
   * @returns the ids of their messages.
   */
  releaseHeld(request: {
    readonly provider: string;
    readonly limit: number;
    readonly probe: boolean;
    readonly now: number;
    readonly after?: string;
    readonly avoid?: readonly string[];
  }): Promise<readonly string[]>;
  /** Users with mail that is held over a limit, and some of this mail that has expired by `now`. */
  overLimit(now: number): Promise<OverLimit>;
  /**
   * Releases mail of this user that is held over a limit, the oldest first, as far as the limits allow. It is counted as if it came now.
   * `list` null: nothing is released.
   */
  releaseOverLimit(request: {
    readonly user: string;
    readonly list: readonly Limit[] | null;
    readonly now: number;
  }): Promise<{ readonly released: readonly Touched[]; readonly more: boolean }>;
  /** The use of limits at `now`. Counts nothing. */
  limitUse(user: string, list: readonly Limit[], now: number): Promise<readonly LimitUse[]>;
  /** The addresses that this user has sent to before. */
  knownRecipients(user: string, addresses: readonly string[]): Promise<readonly string[]>;
  /**
   * Forgets some recipients that their user has not written to for 400 days. They count as new again. One call is one step, behind `after`
   * (null: from the start). @returns the start of the next step; null at the end.
   */
  forgetRecipients(
    this: Led<MessageStore>,
    now: number,
    after: KnownRecipient | null,
  ): Promise<{ readonly forgotten: number; readonly after: KnownRecipient | null }>;
  /** True if a message that has not ended has this signature (`selector._domainkey.domain`). */
  signatureInUse(name: string): Promise<boolean>;
  /** Removes ended messages that are older than `before`, and the oldest ones while the trace is larger than `maxSize` bytes. Works in small steps. */
  trimTrace(this: Led<MessageStore>, before: number, maxSize: number): Promise<number>;
};
