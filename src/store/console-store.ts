/** Who may use the console and the HTTP API, and by which ways. Secrets are stored as hashes only, except the key of a second factor. */
import type { Led } from './lease.ts';

/** Each role may do all that the one before it may. */
type ConsoleRole = 'reader' | 'operator' | 'admin';

export type ConsoleAccount = {
  /** Compared without ASCII case. */
  readonly name: string;
  readonly role: ConsoleRole;
  /** Only the mail of these credentials. null: of all. Only a reader has names here. */
  readonly credentials: readonly string[] | null;
  /** argon2id in PHC form. null: it cannot log in until a link has set one. */
  readonly passwordHash: string | null;
  /** Base32, RFC 6238. null: no second factor. */
  readonly totpSecret: string | null;
  /** SHA-256 in hex of each code that was not used. */
  readonly recoveryCodes: readonly string[];
  readonly createdAt: number;
  readonly passwordSetAt: number | null;
  readonly disabled: boolean;
};

export type NewConsoleAccount = Pick<ConsoleAccount, 'name' | 'role' | 'credentials' | 'createdAt'>;
export type AccountChange = Partial<Omit<ConsoleAccount, 'name' | 'createdAt'>>;

/** A one-time link by which somebody sets a password: for an account, or for the first admin. Its code is `id` and a secret. */
export type AccountLink = {
  /** The first characters of the code. They say which link a wrong code was meant for. */
  readonly id: string;
  /** SHA-256 of the whole code, in hex. */
  readonly hash: string;
  /** null: makes the first admin. */
  readonly account: string | null;
  readonly expiresAt: number;
  /** Wrong codes that it still bears. */
  readonly triesLeft: number;
};

/** What an account may do. */
export type AccountRights = Pick<ConsoleAccount, 'role' | 'credentials' | 'disabled'>;
/** What a change of an account was decided by. It is compared in the transaction of the change. */
export type AccountCondition = {
  /** The hash of a session of the account that has not ended. */
  readonly session?: string;
  /** The rights that it still has. */
  readonly rights?: AccountRights;
};

/** What somebody has proven to log in. */
export type VerifiedLogin = Pick<ConsoleAccount, 'passwordHash' | 'totpSecret'>;

/** `lastAdmin`: nobody could change anything any more. `changed`: the condition does not hold. */
export type AccountOutcome = 'done' | 'absent' | 'lastAdmin' | 'changed';

export type ConsoleSession = {
  /** SHA-256 of the cookie, in hex. */
  readonly hash: string;
  readonly account: string;
  readonly createdAt: number;
  /** At most a minute old. */
  readonly lastSeenAt: number;
  readonly ip: string;
  readonly userAgent: string;
  /** When the password was given last. */
  readonly confirmedAt: number;
};

export type ConsoleToken = {
  /** Public. */
  readonly id: string;
  /** SHA-256 of the token, in hex. */
  readonly hash: string;
  readonly name: string;
  /** Who made it. It ends with this account, and may never do more. */
  readonly account: string;
  readonly scopes: readonly string[];
  /** The only credential whose mail it may read. null: all. */
  readonly credential: string | null;
  /** CIDR. Empty: it is taken from everywhere. */
  readonly networks: readonly string[];
  readonly createdAt: number;
  readonly expiresAt: number | null;
  /** At most a minute old. */
  readonly lastUsedAt: number | null;
  readonly lastUsedIp: string | null;
};

/** A request that may be repeated without being done twice. `owner` is the token or the account. */
export type RequestKey = { readonly owner: string; readonly key: string };
export type RequestAnswer = { readonly status: number; readonly body: string };
/**
 * What is known of a request with this key. `new`: it is this one's to do. `running`: an earlier one is being done. `different`: the key
 * was used for something else. `lost`: it was done, but the process ended before its answer was stored.
 */
export type RequestState =
  | { readonly state: 'new' | 'running' | 'different' | 'lost' }
  | ({ readonly state: 'done' } & RequestAnswer);

/** `again`: a request that is `done` or `lost` begins once more, because its work ended with its process. */
type RequestAgain = { readonly again?: boolean };

/** A finding of `doctor` that an operator does not want to be told of. */
export type MutedFinding = {
  readonly check: string;
  readonly subject: string;
  readonly reason: string;
  readonly by: string;
  readonly at: number;
  readonly until: number | null;
};

/** A result of `doctor`, and since when it is that. `detail` is JSON. */
export type KnownFinding = {
  readonly check: string;
  readonly subject: string;
  readonly result: string;
  readonly since: number;
  readonly detail: string;
};

/** Sessions of one account. A new one above this number ends the oldest. */
export const MOST_SESSIONS = 10;
/** Uses are not written more often. */
export const SEEN_EVERY = 60_000;
/** A request with a key that has no answer for so long has ended with its process. */
export const REQUEST_PATIENCE = 60_000;
export const REQUEST_KEPT = 86_400_000;

/** Names are compared without ASCII case, hashes byte by byte. */
export type ConsoleStore = {
  account(name: string): Promise<ConsoleAccount | undefined>;
  accounts(): Promise<readonly ConsoleAccount[]>;
  /** With its first link. False if the name exists. */
  addAccount(account: NewConsoleAccount, link: AccountLink): Promise<boolean>;
  /**
   * Only the given fields change. Another role or password, and `disabled`, end all its sessions. Another second factor, or none any more,
   * ends all but the session in `when`, by which it is changed.
   * @param link replaces its links. @param force changes the last admin too. @returns `lastAdmin` if no admin would be left that is not disabled.
   */
  changeAccount(
    name: string,
    change: AccountChange,
    more?: { link?: AccountLink; force?: boolean; when?: AccountCondition },
  ): Promise<AccountOutcome>;
  /** Its sessions, links and tokens end with it. */
  removeAccount(name: string, more?: { force?: boolean; when?: AccountCondition }): Promise<AccountOutcome>;

  /**
   * Replaces the links of the same account, or of the first admin. False if it is for the first admin, and an admin has a password: there is
   * no such link beside one, so that none comes back to life when that password is taken away.
   */
  putLink(link: AccountLink): Promise<boolean>;
  /** Counts a wrong code; the last one ends the link. `gone`: there is no such link, or it is too old. */
  tryLink(code: Pick<AccountLink, 'id' | 'hash'>, now: number): Promise<Pick<AccountLink, 'account'> | 'wrong' | 'gone'>;
  /**
   * Sets the password of its account, or makes the first admin, and ends the link and the sessions, all at once: of two at the same time one
   * gets `done`. @param name of the first admin; ignored for a link of an account. `exists`: another account has this name.
   */
  takeLink(
    code: Pick<AccountLink, 'id' | 'hash'>,
    password: { readonly name: string; readonly passwordHash: string },
    now: number,
  ): Promise<'done' | 'wrong' | 'gone' | 'exists'>;

  /** False if this or a later code of the second factor was used before. @param step the number of its time step, RFC 6238. */
  useTotpStep(name: string, step: number): Promise<boolean>;
  /** False if it is no code of the account, or was used before. */
  useRecoveryCode(name: string, hash: string): Promise<boolean>;

  /** False if the account is gone or disabled, or has another password or second factor than those that were verified. */
  addSession(session: ConsoleSession, verified: VerifiedLogin): Promise<boolean>;
  session(hash: string): Promise<{ readonly session: ConsoleSession; readonly account: ConsoleAccount } | undefined>;
  /** The newest first. @param account only its own. */
  sessions(account?: string): Promise<readonly ConsoleSession[]>;
  /** Writes at most once a minute. */
  seeSession(hash: string, at: number, ip: string): Promise<void>;
  /** False if it has ended. */
  confirmSession(hash: string, at: number): Promise<boolean>;
  endSession(hash: string): Promise<boolean>;
  /** @param except this one stays. @returns how many ended. */
  endSessions(account: string, except?: string): Promise<number>;

  /** `name taken`: another token of the account has the name, and has not ended. `changes` tells tokens apart by their names. */
  addToken(token: ConsoleToken): Promise<'done' | 'no account' | 'name taken'>;
  tokens(): Promise<readonly ConsoleToken[]>;
  token(hash: string): Promise<{ readonly token: ConsoleToken; readonly account: ConsoleAccount } | undefined>;
  /** Writes at most once a minute. */
  seeToken(id: string, at: number, ip: string): Promise<void>;
  removeToken(id: string): Promise<boolean>;

  /** @param hash of the request, so that another one with the same key is noticed. Of two at once, one gets `new`. */
  beginRequest(key: RequestKey, hash: string, at: number, more?: RequestAgain): Promise<RequestState>;
  /** Keeps the answer for a day. null: nothing was done, and the key is free again. */
  endRequest(key: RequestKey, answer: RequestAnswer | null): Promise<void>;

  mutes(): Promise<readonly MutedFinding[]>;
  putMute(mute: MutedFinding): Promise<void>;
  removeMute(check: string, subject: string): Promise<boolean>;
  /** Replaces those of the last look of this relay. A result that did not change keeps its `since`. */
  keepFindings(findings: readonly Omit<KnownFinding, 'since'>[], at: number): Promise<void>;
  findings(): Promise<readonly KnownFinding[]>;

  /** Removes links, requests and mutes that have ended, and sessions that began or were seen last before these times. */
  trim(
    this: Led<ConsoleStore>,
    now: number,
    sessions: { readonly createdBefore: number; readonly seenBefore: number },
  ): Promise<void>;
};
