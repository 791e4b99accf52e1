/** Messages, their recipients, and what happened to them. */

import type { Notify } from '../smtp/envelope.ts';
import type { Limit, LimitUse } from '../smtp/limit.ts';
import type { AttemptEnd, DsnAction } from '../smtp/outcome.ts';
import type { Reply } from '../smtp/reply.ts';

/**
 * Where a recipient stands. Waiting: queued (never tried), delayed, uncertain (the final dot had no reply), active (leased).
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
 * The bytes that leave: `prefix` (what we put in front: Received, DKIM-Signature, added fields; then the header) and the normalised body.
 * `inline` holds both in one buffer that owns its memory (never a slice of a pool: it is transferred to another thread).
 * `spooled` names a body that was streamed to disk before; only its prefix is in memory.
 */
export type Content =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'spooled'; readonly prefix: Uint8Array<ArrayBuffer>; readonly spool: Spool };

/** A large body on disk. */
export type Spool = {
  readonly name: string;
  readonly size: number;
  /**
   * May be called any number of times until the message has ended.
   * @param memory every chunk lies in it, so that each is valid only until the next is asked for; absent: each has its own.
   */
  read(memory?: Uint8Array): AsyncIterable<Uint8Array>;
};

/** A large body while it arrives. Nothing is promised before `finish` has resolved: then the data and its name are synced. */
export type SpoolWriter = {
  /** Resolves when the chunk is taken (backpressure); the chunk may be reused afterwards. */
  write(chunk: Uint8Array): Promise<void>;
  finish(): Promise<Spool>;
  /** Removes what was written; may be called at any time, also after `finish` when the message is not accepted. */
  abort(): Promise<void>;
};

export type NewRecipient = {
  readonly address: string;
  /** What deliveries are grouped by: the domain, or the route that was chosen at acceptance. */
  readonly destination: string;
  readonly notify?: readonly Notify[];
  readonly orcpt?: string;
};

/** What is known of a message besides its recipients and content. */
export type MessageFacts = {
  readonly id: string;
  /** Credential; null for our own reports. */
  readonly user: string | null;
  readonly reversePath: string;
  /** The Message-ID field's value with its angle brackets; empty if there is none. */
  readonly messageId: string;
  readonly size: number;
  readonly acceptedAt: number;
  readonly expiresAt: number;
  readonly body: '7BIT' | '8BITMIME';
  /** SMTPUTF8 was given, and the header needs it. What the addresses need is seen in each transaction: RFC 6531 §3.1. */
  readonly needsSmtpUtf8: boolean;
  readonly ret?: 'FULL' | 'HDRS';
  readonly envid?: string;
  /** `selector._domainkey.domain` of each signature we made. */
  readonly signatures: readonly string[];
  /** What its attempts say and hear is kept in the trace: a test message. */
  readonly recorded?: boolean;
  /** REQUIRETLS was given. */
  readonly requireTls?: boolean;
  /** Its header says that TLS-Required is No. */
  readonly tlsOptional?: boolean;
  /** It is a report about TLS: what its own sessions do is not counted. */
  readonly tlsReport?: boolean;
  /** The message that this report is about. */
  readonly about?: string;
};

export type NewMessage = MessageFacts & {
  readonly recipients: readonly NewRecipient[];
  readonly content: Content;
  /**
   * A random number of one try to store it, below 2^48. Id and token name this very message, the id alone may be another's.
   * Absent: it is never withdrawn.
   */
  readonly token?: number;
};

/**
 * One claim: the name of its owner, which is one incarnation of a process, and a number that this owner gives to no other claim.
 * Whoever settles names it, and changes nothing where the recipient has passed into other hands.
 */
export type ClaimLease = `${string}#${number}`;

export type AcceptRequest = {
  readonly message: NewMessage;
  /**
   * Recipients that are handed out at once: their indexes, and the lease that they get. The others wait and are due at once.
   * Ignored when the message is held.
   */
  readonly claim?: { readonly indexes: readonly number[]; readonly lease: ClaimLease };
  /** Judged and counted in the same transaction; a message over a limit is refused or held as a whole, and what is held is not counted
   * before it leaves. At most `maxHeld` messages of a user are held; then it is refused. */
  readonly limits?: {
    readonly user: string;
    readonly list: readonly Limit[];
    readonly over: 'refuse' | 'hold';
    readonly maxHeld?: number;
  };
  /** The credential that sends it, as it was looked at. Looked at again in the same transaction. */
  readonly grant?: { readonly name: string; readonly generation: string; readonly revision: number };
};

/** `ended`: the login is gone, disabled or expired, or has another password. `changed`: it stands, with other rights or limits. */
export type Denial = 'ended' | 'changed';

export type AcceptResult =
  | {
      readonly accepted: true;
      readonly held: boolean;
      /** The bytes given come back (they were transferred there and back). */
      readonly content: Content;
      /** After counting; empty without limits. */
      readonly use: readonly LimitUse[];
      /** What it is held for; absent also where it waits behind held mail. */
      readonly exceeded?: LimitUse;
    }
  | { readonly accepted: false; readonly exceeded: LimitUse; readonly use: readonly LimitUse[] }
  /** Nothing was stored or counted; the bytes given come back. */
  | { readonly accepted: false; readonly denied: Denial; readonly content: Content }
  /** Another message has the id. Nothing was stored or counted; the bytes given come back. */
  | { readonly accepted: false; readonly idTaken: true; readonly content: Content };

/** A recipient as kept. `n` is its index in the message. */
export type StoredRecipient = NewRecipient & {
  readonly n: number;
  readonly state: RecipientState;
  readonly attempts: number;
  readonly nextAttemptAt: number | null;
  /** One line of the last reply, or the reason. */
  readonly lastReply: string | null;
  /** A delay was reported already. */
  readonly delayReported: boolean;
  /** So many of `attempts` failed because of us, which is no chance that the destination had; absent: none. */
  readonly excused?: number;
};

/** Recipients of one message for one destination, leased to the caller. */
export type Claim = {
  readonly lease: ClaimLease;
  readonly message: MessageFacts;
  readonly recipients: readonly StoredRecipient[];
  readonly content: Content;
};

/** One attempt, for the trace. */
export type AttemptRecord = {
  readonly at: number;
  readonly mx: string | null;
  readonly ip: string | null;
  readonly tls: string | null;
  readonly outcome: AttemptEnd;
  readonly code: number;
  readonly status: string;
  readonly reply: string;
  readonly seconds: number;
  /** How much the connection was worth, one word; absent where nothing was said about it. */
  readonly assurance?: string;
  /** What was said, one line each; absent unless the message is `recorded`. */
  readonly conversation?: string;
};

export type RecipientChange = {
  readonly n: number;
  readonly state: RecipientState;
  /** For waiting states. */
  readonly nextAttemptAt?: number;
  readonly lastReply?: string;
  /** Added to the trace; its presence counts an attempt. */
  readonly attempt?: AttemptRecord;
  readonly delayReported?: boolean;
  /** `attempt` failed because of us. */
  readonly excused?: true;
};

/** What the sender of a message must still be told of one recipient. Kept until a report that says it is stored. */
export type Untold = {
  /** Of the recipient. */
  readonly n: number;
  readonly action: DsnAction | 'expired';
  readonly reply: Reply;
  readonly mx?: string;
  readonly ip?: string;
  /** Of the attempt, ms. */
  readonly at: number;
};

/** `collectUntil`: other recipients of the message may join the report until then, ms. It is due earlier where none can come. */
export type NewUntold = Untold & { readonly collectUntil: number };

/** One transaction: outcomes, next attempts, trace, and what the sender must be told of them. */
export type Settlement = {
  readonly messageId: string;
  /** By which the recipients were claimed; null: of recipients that nobody has claimed. */
  readonly lease: ClaimLease | null;
  readonly at: number;
  readonly changes: readonly RecipientChange[];
  /** Kept where the change of its recipient is; a delay is told once. */
  readonly untold?: readonly NewUntold[];
};

export type Settled = {
  /** The `n` of recipients that stayed as they were. */
  readonly unchanged: readonly number[];
  /** Those of them that are waiting or another's now: the lease was lost, because its owner seemed dead. */
  readonly lost: readonly number[];
  /** A report about the message is due now. */
  readonly reportDue: boolean;
};

/** A recipient and what must be told of it. `joined`: nothing was noted of it, but it is late as the others are. */
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
      /** Absent where it cannot be read. */
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

/** Everything in `untold` is told by `report`, or need not be told any more where there is none. */
export type Told = {
  readonly sender: string;
  readonly untold: readonly UntoldRecipient[];
  readonly at: number;
  /** Stored as a new message, unclaimed and due at once. */
  readonly report?: NewMessage;
};

/** A destination with waiting mail. */
export type Due = { readonly destination: string; readonly nextAttemptAt: number };

/** For `queue list` and `trace`: a message with all its recipients. */
export type StoredMessage = MessageFacts & {
  readonly recipients: readonly (StoredRecipient & { readonly trace: readonly AttemptRecord[] })[];
};

/** Which recipients a command means. `all` is every recipient that has not ended. */
export type Selection = { readonly ids?: readonly string[]; readonly domain?: string; readonly all?: boolean };

export type ListQuery = {
  /** Only messages with a recipient in one of these states; default: all that have not ended. */
  readonly states?: readonly RecipientState[];
  readonly domain?: string;
  readonly user?: string;
  /** Exclusive: continue after this message id. */
  readonly after?: string;
  /** Default 100, at most 1000. */
  readonly limit?: number;
};

export type MessageStore = {
  /** A new spool file for a large body. */
  createSpool(): Promise<SpoolWriter>;
  /** Resolves when message, envelope and counters are synced. */
  accept(request: AcceptRequest): Promise<AcceptResult>;
  /** Destinations with recipients due at `now`, the longest waiting first; and when the next one will be due. */
  due(now: number, limit: number): Promise<{ readonly due: readonly Due[]; readonly nextAt: number | null }>;
  /** Leases up to `limit` messages' due recipients for one destination. At most 50 recipients a claim. */
  claim(request: { destination: string; now: number; limit: number; lease: ClaimLease }): Promise<readonly Claim[]>;
  /**
   * Records outcomes. A recipient that ended or was taken away meanwhile (command `remove`), or is no longer held by this lease, stays
   * as it is, and nothing is told of it; its attempt goes to the trace. With one exception: `relayed` ends a recipient whoever holds
   * it, because the mail has left. Nobody waits for it, so it may wait a few milliseconds to share a sync.
   */
  settle(settlement: Settlement): Promise<Settled>;
  /**
   * Reports that are due at `now`, at most `limit`, and when the next one will be. What a sender is owed beyond `perHour` reports
   * in an hour waits for the end of that hour, and is due as a summary then.
   */
  dueReports(request: {
    now: number;
    limit: number;
    perHour: number;
  }): Promise<{ readonly due: readonly DueReport[]; readonly nextAt: number | null }>;
  /**
   * The report and the end of what it tells, in one transaction. @returns false where all of it had been told: nothing is stored.
   * Rejects with the code `EEXIST`, and changes nothing, where another message has the id of the report: give it another one.
   */
  told(told: Told): Promise<boolean>;
  /** No report could be written: it is due again at `until`. */
  postponeReport(untold: readonly UntoldRecipient[], until: number): Promise<void>;
  /**
   * A sign of life of this owner, by the store's own clock; a claim is one too. Only who holds claims need give it.
   * @returns false where the owner was not known, or had been found dead: what it had claimed may be another's.
   */
  beat(owner: string): Promise<boolean>;
  /**
   * Claims of the dead are due again at `now`: of owners without a sign of life for `silence` ms by the store's own clock, of those
   * that the store knows to be dead, and of nobody known. The asker is alive. @returns how many recipients.
   */
  takeBack(request: { readonly owner: string; readonly silence: number; readonly now: number }): Promise<number>;
  /** What was claimed by exactly this lease is due again at `now`: the answer to the claim was lost. @returns how many recipients. */
  giveBack(lease: ClaimLease, now: number): Promise<number>;
  /** Takes away what was stored under id and token, and nothing else: its client was told that it is not accepted. */
  withdraw(messages: readonly { readonly id: string; readonly token: number }[], now: number): Promise<void>;
  /** What waits for a time after `latest` is due at `now`: a clock that stood wrong has put it there. Returns how many. */
  thaw(latest: number, now: number): Promise<number>;

  list(query: ListQuery): Promise<readonly StoredMessage[]>;
  get(id: string): Promise<StoredMessage | undefined>;
  /** By queue id, Message-ID (with or without angle brackets), recipient or reverse-path; the newest first. */
  find(text: string, limit: number): Promise<readonly StoredMessage[]>;
  /** The stored bytes of a message that has not ended. */
  content(id: string): Promise<Content | undefined>;
  /** Each returns the recipients it changed. `retry` does not reset the age; `hold` leaves active ones alone. */
  retry(selection: Selection, now: number): Promise<readonly Touched[]>;
  hold(selection: Selection, now: number): Promise<readonly Touched[]>;
  release(selection: Selection, now: number): Promise<readonly Touched[]>;
  remove(selection: Selection, now: number): Promise<readonly Touched[]>;
  /** Sets the destination of waiting recipients anew, due at once; those for which there is none stay as they are. */
  reroute(
    selection: Selection,
    now: number,
    destinationOf: (message: MessageFacts, address: string, destination: string) => string | undefined,
  ): Promise<readonly Touched[]>;

  /** What commands did to recipients since they were last asked for, the oldest first: each is handed out once, for the log. */
  takeNotices(limit: number): Promise<readonly Notice[]>;
  /** Destinations of recipients that `retry` made due since they were last asked for: each is handed out once, to lift the rest of its hosts. */
  takeRetried(limit: number): Promise<readonly string[]>;

  /** How many recipients stand in each state that has not ended, when the oldest of them was accepted. */
  counts(): Promise<{
    readonly states: Readonly<Partial<Record<RecipientState, number>>>;
    readonly oldestAcceptedAt: number | null;
  }>;
  /** Per destination with waiting mail, the most first: for `queue summary`. */
  summary(
    limit: number,
  ): Promise<readonly { destination: string; recipients: number; oldestAcceptedAt: number; nextAttemptAt: number | null }[]>;
  /** Whose mail is held over a limit, and what of it has expired by `now`: some at a time. */
  overLimit(now: number): Promise<OverLimit>;
  /**
   * Releases what is held over a limit of this user, as the limits allow, the oldest first; counted as if it came now. `list` null: nothing leaves.
   * What has ended meanwhile is forgotten.
   */
  releaseOverLimit(request: {
    readonly user: string;
    readonly list: readonly Limit[] | null;
    readonly now: number;
  }): Promise<{ readonly released: readonly Touched[]; readonly more: boolean }>;
  /** Use of limits now, without counting anything. */
  limitUse(user: string, list: readonly Limit[], now: number): Promise<readonly LimitUse[]>;
  /** Which of the addresses this user has sent to before. */
  knownRecipients(user: string, addresses: readonly string[]): Promise<readonly string[]>;
  /**
   * One step of a walk over what users have sent to, behind `after` (null: from the start): a recipient that its user has not written
   * to for 400 days is forgotten, and counts as new again. @returns where the next step goes on; null at the end of the walk.
   */
  forgetRecipients(
    now: number,
    after: KnownRecipient | null,
  ): Promise<{ readonly forgotten: number; readonly after: KnownRecipient | null }>;
  /** True while a message that has not ended carries this signature (`selector._domainkey.domain`). */
  signatureInUse(name: string): Promise<boolean>;
  /** Forgets ended messages: older than `before`, and the oldest while the trace is larger than `maxSize`. Works in small steps. */
  trimTrace(before: number, maxSize: number): Promise<number>;
};

/** In the form of their keys. */
export type KnownRecipient = { readonly user: string; readonly address: string };

export type OverLimit = {
  readonly users: readonly string[];
  readonly expired: readonly {
    readonly id: string;
    readonly reversePath: string;
    readonly recipients: readonly StoredRecipient[];
  }[];
};

/** A recipient that a command changed. */
export type Touched = { readonly id: string; readonly recipient: string; readonly state: RecipientState };

/** A command held, released or removed a recipient. */
export type Notice = { readonly event: 'held' | 'released' | 'removed'; readonly id: string; readonly recipient: string };
