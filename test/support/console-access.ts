/** Accounts, sessions and tokens of a test in memory. */
import type { AccessAccount, AccessSession, AccessStore, AccessToken } from '../../src/console/access/access-store.ts';
import { secretHash } from '../../src/console/access/cookie.ts';

type Role = AccessAccount['role'];

export function memoryAccess(now: number) {
  const sessions = new Map<string, { session: AccessSession; account: AccessAccount }>();
  const tokens = new Map<string, { token: AccessToken; account: AccessAccount }>();
  const accountOf = (role: Role): AccessAccount => ({
    ...{ name: role, role, credentials: null, passwordHash: null, totpSecret: null, disabled: false },
  });
  const store: AccessStore = {
    session: async (hash) => sessions.get(hash),
    seeSession: async () => {},
    endSession: async (hash) => sessions.delete(hash),
    token: async (hash) => tokens.get(hash),
    seeToken: async () => {},
  };
  return {
    ...store,
    let(role: Role, hash: string, changes: Partial<AccessAccount & AccessSession> = {}) {
      const times = { createdAt: now, lastSeenAt: now, confirmedAt: now };
      const session = { hash, account: role, ip: '127.0.0.1', userAgent: '', ...times, ...changes };
      sessions.set(hash, { session, account: { ...accountOf(role), ...changes } });
    },
    give(value: string, scopes: readonly string[], changes: Partial<AccessToken> = {}) {
      const token = {
        id: value,
        name: value,
        account: 'admin',
        scopes,
        credential: null,
        networks: [],
        expiresAt: null,
        ...changes,
      };
      tokens.set(secretHash(value), { token, account: accountOf('admin') });
    },
  };
}
