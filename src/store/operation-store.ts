/** Keys, certificates, back-off, and what else the relay must remember to operate. */

/** pending: its record waits to be seen in the DNS; active: signs; retiring: kept until no queued message carries it. */
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

/** One key and no namesake: a domain that is removed and added again may have another key of that selector. `state`: only while it is in it. */
export type WhichDkimKey = Pick<DkimKey, 'domain' | 'selector' | 'createdAt'> & { readonly state?: DkimKeyState };

export type StoredCertificate = {
  readonly keyType: 'ecdsa' | 'rsa';
  /** PEM, leaf first. */
  readonly certificate: string;
  readonly key: string;
  readonly source: 'self-signed' | 'acme';
  readonly createdAt: number;
};

/** Back-off of one MX host set, see delivery/pacing.ts. */
export type Pace = {
  readonly key: string;
  readonly concurrency: number;
  readonly blockedUntil: number;
  readonly reason: string;
  readonly failures: number;
};

export type OperationStore = {
  dkimKeys(domain?: string): Promise<readonly DkimKey[]>;
  /** False if that selector of that domain exists. */
  addDkimKeys(keys: readonly DkimKey[]): Promise<boolean>;
  /** False where there is no such key any more: nothing is changed then. */
  setDkimKeyState(key: WhichDkimKey, state: DkimKeyState): Promise<boolean>;
  /** False where there is no such key any more. */
  removeDkimKey(key: WhichDkimKey): Promise<boolean>;

  certificates(): Promise<readonly StoredCertificate[]>;
  putCertificate(certificate: StoredCertificate): Promise<void>;

  paces(): Promise<readonly Pace[]>;
  putPace(pace: Pace): Promise<void>;
  removePace(key: string): Promise<void>;

  /** Small values by name: account keys, ACME challenges, the instance's secret. */
  value(name: string): Promise<string | undefined>;
  /** The value that stands: this one where there was none. Of several that ask at once all get the same. */
  keepValue(name: string, value: string): Promise<string>;
  /** null removes it. */
  setValue(name: string, value: string | null): Promise<void>;
  values(prefix: string): Promise<readonly { readonly name: string; readonly value: string }[]>;
  /**
   * One of several does a piece of work: true where `owner` holds the lease `name` until `until` now, because it was free, over
   * at `now`, or its own already. An `until` that is not after `now` gives it back. One step: two that ask at once never both get it.
   */
  takeLease(name: string, owner: string, until: number, now: number): Promise<boolean>;
};
