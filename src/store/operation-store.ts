/** DKIM keys, certificates, back-off, and small values of a running relay. */
import type { Lease, Led } from './lease.ts';

/** pending: waits for its record in the DNS. active: signs. retiring: kept until no queued message has its signature. */
export type DkimKeyState = 'pending' | 'active' | 'retiring';
export type DkimKey = {
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: 'rsa-sha256' | 'ed25519-sha256';
  /** PKCS#8 PEM. */
  readonly privateKey: string;
  readonly state: DkimKeyState;
  readonly createdAt: number;
};

/** Names exactly one key. A domain that is removed and added again may have another key with the same selector. With `state`: only a key in this state. */
export type WhichDkimKey = Pick<DkimKey, 'domain' | 'selector' | 'createdAt'> & { readonly state?: DkimKeyState };

export type StoredCertificate = {
  readonly keyType: 'ecdsa' | 'rsa';
  /** PEM, leaf first. */
  readonly certificate: string;
  readonly key: string;
  readonly source: 'self-signed' | 'acme';
  readonly createdAt: number;
};

/** Back-off of one set of MX hosts, see delivery/pacing.ts. */
export type Pace = {
  readonly key: string;
  readonly concurrency: number;
  readonly blockedUntil: number;
  readonly reason: string;
  readonly failures: number;
};

/**
 * The state of a provider as it sees one address of ours, see delivery/shaping/breaker.ts. Times are milliseconds since the epoch; `rate` is
 * messages in a minute; `source` is empty where the system chooses the address; `evidence` is JSON. A `provider` that begins with `fallback:` is
 * an upstream, see delivery/shaping/fallback.ts.
 */
export type Shaping = {
  readonly provider: string;
  readonly source: string;
  readonly family: 4 | 6;
  readonly state: string;
  readonly since: number;
  readonly until: number;
  readonly step: number;
  readonly sessions: number;
  readonly rate: number;
  readonly learnedCap: number | null;
  readonly evidence: string;
};

/** Equal refusals of the trace. `judged` is JSON: what they were taken for. */
export type TracedRefusal = {
  readonly mx: string | null;
  readonly code: number;
  readonly status: string;
  readonly reply: string;
  readonly judged: string | null;
  readonly count: number;
};

export type OperationStore = {
  dkimKeys(domain?: string): Promise<readonly DkimKey[]>;
  /** False if the domain has a key with one of the selectors. */
  addDkimKeys(keys: readonly DkimKey[]): Promise<boolean>;
  /** False if there is no such key any more. */
  setDkimKeyState(key: WhichDkimKey, state: DkimKeyState): Promise<boolean>;
  /** False if there is no such key any more. */
  removeDkimKey(key: WhichDkimKey): Promise<boolean>;

  certificates(): Promise<readonly StoredCertificate[]>;
  putCertificate(certificate: StoredCertificate): Promise<void>;

  paces(): Promise<readonly Pace[]>;
  putPace(pace: Pace): Promise<void>;
  removePace(key: string): Promise<void>;

  shaping(): Promise<readonly Shaping[]>;
  /** For what no result of a delivery has caused. `settle` stores the other changes. */
  putShaping(shaping: Shaping): Promise<void>;
  /** Refusals since then, equal ones together, the most frequent first. It reads the whole trace, so it is for commands only. */
  refusals(since: number, limit: number): Promise<readonly TracedRefusal[]>;

  /** A small value: an account key, an ACME challenge, the secret of this installation. */
  value(name: string): Promise<string | undefined>;
  /** Stores the value if there is none. @returns the stored value, which is the same for all callers. */
  keepValue(name: string, value: string): Promise<string>;
  /** null removes the value. */
  setValue(name: string, value: string | null): Promise<void>;
  values(prefix: string): Promise<readonly { readonly name: string; readonly value: string }[]>;
  /**
   * Takes a lease for a piece of work that only one process may do. True if `owner` now holds the lease `name` until `until`. A lease can
   * be taken if it is free, if it ended before `now`, or if `owner` holds it already. An `until` that is not after `now` gives it back.
   * Two callers at the same time never both get it.
   */
  takeLease(name: string, owner: string, until: number, now: number): Promise<boolean>;
  /** The same data for the work of a lease that was taken: each change is stored only while the lease is held. */
  underLease(lease: Lease): Led<OperationStore>;
};
