/** Who may send, and who failed to prove it. */
import type { Limit } from '../smtp/limit.ts';

/** A credential as kept. `name` is compared without ASCII case; `hash` is argon2id in PHC form. */
export type Credential = {
  readonly name: string;
  readonly hash: string;
  /** An address, `@domain`, `@.domain` (with subdomains), or `*`. */
  readonly senders: readonly string[];
  /** May use the null reverse-path; has no default limits. */
  readonly mailServer: boolean;
  /** null: the defaults of the configuration; an empty list: none. */
  readonly limits: readonly Limit[] | null;
  readonly disabled: boolean;
  readonly expiresAt: number | null;
  /** Replaces From and reverse-path, for devices with a fixed sender. */
  readonly rewrite: string | null;
  readonly createdAt: number;
  /** Drawn anew when the credential is added and when its password changes: what a session was let in by. */
  readonly generation: string;
  /** Grows with each change of whatever kind, except that of `renewHash`. */
  readonly revision: number;
};

/** The store draws the rest. */
export type NewCredential = Omit<Credential, 'generation' | 'revision'>;
export type CredentialChange = Partial<Omit<NewCredential, 'name' | 'createdAt'>>;

export type CredentialStore = {
  get(name: string): Promise<Credential | undefined>;
  list(): Promise<readonly Credential[]>;
  /** False if the name exists. */
  add(credential: NewCredential): Promise<boolean>;
  /** False if it does not exist. Only what is named changes. */
  update(name: string, change: CredentialChange): Promise<boolean>;
  /** Another hash of the same password. False where the stored one is no longer `from`: somebody has changed the password. */
  renewHash(name: string, from: string, to: string): Promise<boolean>;
  remove(name: string): Promise<boolean>;
  /** Keeps what the running process has counted, for the next one; what has ended by `now` may be forgotten. */
  putFailures(counts: readonly FailureCount[], now: number): Promise<void>;
  /** Failures still within a day, for the memory of a process that starts. */
  failures(now: number): Promise<readonly FailureCount[]>;
  forgetFailures(key: string): Promise<void>;
};

/** Failures by a key (an address, a network, a pair), in windows that begin with the first failure. */
export type FailureCount = {
  readonly key: string;
  readonly inMinute: number;
  readonly minuteEndsAt: number;
  readonly inDay: number;
  readonly dayEndsAt: number;
};
