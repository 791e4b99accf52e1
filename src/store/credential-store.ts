/** Logins of clients, and the counts of failed logins. */
import type { Limit } from '../smtp/limit.ts';

/** A stored login. `name` is compared without ASCII case. `hash` is argon2id in PHC form. */
export type Credential = {
  readonly name: string;
  readonly hash: string;
  /** An address, `@domain`, `@.domain` (with subdomains), or `*`. */
  readonly senders: readonly string[];
  /** A mail server may use the null reverse-path, and has no default limits. */
  readonly mailServer: boolean;
  /** null: the defaults of the configuration. An empty list: no limits. */
  readonly limits: readonly Limit[] | null;
  readonly disabled: boolean;
  readonly expiresAt: number | null;
  /** Replaces From and reverse-path, for devices with a fixed sender. */
  readonly rewrite: string | null;
  readonly createdAt: number;
  /** A random value, new with each new password. A session remembers the value of its login. */
  readonly generation: string;
  /** Grows with each change, except by `renewHash`. */
  readonly revision: number;
};

/** The store adds the other fields. */
export type NewCredential = Omit<Credential, 'generation' | 'revision'>;
export type CredentialChange = Partial<Omit<NewCredential, 'name' | 'createdAt'>>;
/** What a change was decided by. It is compared in the transaction of the change. */
export type SeenCredential = Pick<Credential, 'generation' | 'revision'>;

export type CredentialStore = {
  get(name: string): Promise<Credential | undefined>;
  list(): Promise<readonly Credential[]>;
  /** False if the name exists. */
  add(credential: NewCredential): Promise<boolean>;
  /** False if it does not exist. Only the given fields change. @param seen false too if it has changed since. */
  update(name: string, change: CredentialChange, seen?: SeenCredential): Promise<boolean>;
  /** Stores another hash of the same password. False if the stored hash is not `from`, because the password was changed. */
  renewHash(name: string, from: string, to: string): Promise<boolean>;
  /** False if it does not exist. @param seen false too if it has changed since. */
  remove(name: string, seen?: SeenCredential): Promise<boolean>;
  /**
   * Keeps the counts for the next process, each with one more failure than before. Counts that have ended by `now` may be removed.
   * @returns the counts of all processes together.
   */
  putFailures(counts: readonly FailureCount[], now: number): Promise<readonly FailureCount[]>;
  /** The counts whose day has not ended, for a process that starts. */
  failures(now: number): Promise<readonly FailureCount[]>;
  forgetFailures(key: string): Promise<void>;
};

/** Failed logins by a key (an address, a network, or a pair). The windows begin with the first failure. */
export type FailureCount = {
  readonly key: string;
  readonly inMinute: number;
  readonly minuteEndsAt: number;
  readonly inDay: number;
  readonly dayEndsAt: number;
};
