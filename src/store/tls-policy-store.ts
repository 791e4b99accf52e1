/** What recipients' domains ask of TLS, remembered over restarts: policies of MTA-STS (RFC 8461). */

/** A policy as it was fetched, and what became of it since. Times in ms. */
export type StoredStsPolicy = {
  /** In A-labels and lower case, without a final dot. */
  readonly domain: string;
  /** Of the TXT record at the time of the fetch. */
  readonly id: string;
  readonly mode: 'enforce' | 'testing' | 'none';
  /** Seconds. */
  readonly maxAge: number;
  /** Patterns, in A-labels and lower case. */
  readonly mx: readonly string[];
  /** The lines of the policy as they were served, for reports. */
  readonly text: string;
  readonly fetchedAt: number;
  readonly expiresAt: number;
  /** When mail last asked for it. */
  readonly usedAt: number;
  /** When it is to be fetched anew in the background; null: when mail asks for it again. */
  readonly refreshAt: number | null;
  /** Fetches in a row that failed, the last of them at `failedAt` with `lastError`; 0: the last one succeeded. */
  readonly failures: number;
  readonly failedAt: number | null;
  readonly lastError: string | null;
  /** Not before this time is the policy with the id `retryId` fetched again. */
  readonly retryAt: number | null;
  readonly retryId: string | null;
};

/** A fetch that failed. */
export type StsFailure = {
  readonly domain: string;
  readonly at: number;
  readonly error: string;
  readonly retryAt: number;
  readonly retryId: string;
};

export type DueStsRequest = {
  readonly now: number;
  readonly usedAfter: number;
  readonly heldAt: number;
  readonly limit: number;
};

export type TlsPolicyStore = {
  /** Also where it has expired. */
  stsPolicy(domain: string): Promise<StoredStsPolicy | undefined>;
  /** Replaces all that is known of the domain's policy. Told as `policies` where it is an operator who has fetched it. */
  putStsPolicy(policy: StoredStsPolicy, by: 'relay' | 'operator'): Promise<void>;
  /** The policy that is there stays as it is, and is fetched again at `retryAt`. Nothing is noted where there is none. */
  noteStsFailure(failure: StsFailure): Promise<void>;
  /** Mail asked for these. Who was not fetched anew because nobody asked is due at once. Nobody waits for it. */
  noteStsUse(uses: readonly { readonly domain: string; readonly at: number }[]): Promise<void>;
  /**
   * Policies whose `refreshAt` has come, the longest waiting first. Two kinds are left out, and wait until mail asks: those that nobody has
   * asked for since `usedAfter`, and those that had ended by `heldAt`, whose domains are told once.
   */
  dueStsPolicies(
    request: DueStsRequest,
  ): Promise<{ readonly due: readonly StoredStsPolicy[]; readonly expired: readonly string[] }>;
  /** By domain, behind `after`. At most 1000. */
  listStsPolicies(after: string, limit: number): Promise<readonly StoredStsPolicy[]>;
  /** False where there is none. */
  forgetStsPolicy(domain: string): Promise<boolean>;
  /** Forgets those that expired before `expired`, and those that nobody has asked for since `unused`; some at a time. @returns their domains. */
  trimStsPolicies(request: { readonly expired: number; readonly unused: number }): Promise<readonly string[]>;
  /**
   * How many are valid at `now`, by mode, and how many of them are overdue: their fetches fail, and they are older than `age` or than half
   * of their life. A policy of mode `none` is never overdue.
   */
  countStsPolicies(request: { readonly now: number; readonly age: number }): Promise<{
    readonly modes: Readonly<Record<StoredStsPolicy['mode'], number>>;
    readonly overdue: number;
  }>;
};
