/** The TLS policies of recipients' domains, kept over restarts: MTA-STS (RFC 8461). */

/** A fetched policy, and the state of its refresh. Times in ms. */
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
  /** When it is fetched again in the background. null: when mail needs it again. */
  readonly refreshAt: number | null;
  /** The number of failed fetches in a row. The last one failed at `failedAt` with `lastError`. 0: the last fetch succeeded. */
  readonly failures: number;
  readonly failedAt: number | null;
  readonly lastError: string | null;
  /** The policy with the id `retryId` is not fetched again before this time. */
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
  /** Returns an expired policy too. */
  stsPolicy(domain: string): Promise<StoredStsPolicy | undefined>;
  /** Replaces all that is known of the domain's policy. Told as `policies` where it is an operator who has fetched it. */
  putStsPolicy(policy: StoredStsPolicy, by: 'relay' | 'operator'): Promise<void>;
  /** Notes the failure. The policy is not changed, and is fetched again at `retryAt`. Does nothing if there is no policy. */
  noteStsFailure(failure: StsFailure): Promise<void>;
  /** Notes that mail used these policies. A policy without `refreshAt` is due at once. No client waits for this call. */
  noteStsUse(uses: readonly { readonly domain: string; readonly at: number }[]): Promise<void>;
  /**
   * Policies whose `refreshAt` has come, the longest waiting first. Two kinds are left out, and wait until mail asks: those that nobody has
   * asked for since `usedAfter`, and those that had ended by `heldAt`, whose domains are told once.
   */
  dueStsPolicies(
    request: DueStsRequest,
  ): Promise<{ readonly due: readonly StoredStsPolicy[]; readonly expired: readonly string[] }>;
  /** Policies in the order of their domains, behind `after`. At most 1000. */
  listStsPolicies(after: string, limit: number): Promise<readonly StoredStsPolicy[]>;
  /** False if there is none. */
  forgetStsPolicy(domain: string): Promise<boolean>;
  /** Removes some policies that expired before `expired`, or that no mail has used since `unused`. @returns their domains. */
  trimStsPolicies(request: { readonly expired: number; readonly unused: number }): Promise<readonly string[]>;
  /**
   * Counts the policies that are valid at `now`, by mode, and those of them that are overdue. A policy is overdue if its fetches fail and it
   * is older than `age`, or than half of its lifetime. A policy with the mode `none` is never overdue.
   */
  countStsPolicies(request: { readonly now: number; readonly age: number }): Promise<{
    readonly modes: Readonly<Record<StoredStsPolicy['mode'], number>>;
    readonly overdue: number;
  }>;
};
