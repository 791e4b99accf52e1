/** What lets somebody in: accounts, sessions, tokens. The store keeps them; secrets are hashes there. */

type Role = 'reader' | 'operator' | 'admin';

export type AccessAccount = {
  readonly name: string;
  readonly role: Role;
  /** Only the mail of these credentials. null: of all. */
  readonly credentials: readonly string[] | null;
  readonly passwordHash: string | null;
  readonly totpSecret: string | null;
  readonly disabled: boolean;
};

export type AccessSession = {
  readonly hash: string;
  readonly account: string;
  readonly createdAt: number;
  readonly lastSeenAt: number;
  readonly ip: string;
  readonly userAgent: string;
  readonly confirmedAt: number;
};

export type AccessToken = {
  readonly id: string;
  readonly name: string;
  readonly account: string;
  readonly scopes: readonly string[];
  readonly credential: string | null;
  readonly networks: readonly string[];
  readonly expiresAt: number | null;
};

export type AccessStore = {
  session(hash: string): Promise<{ readonly session: AccessSession; readonly account: AccessAccount } | undefined>;
  seeSession(hash: string, at: number, ip: string): Promise<void>;
  endSession(hash: string): Promise<boolean>;
  token(hash: string): Promise<{ readonly token: AccessToken; readonly account: AccessAccount } | undefined>;
  seeToken(id: string, at: number, ip: string): Promise<void>;
};
