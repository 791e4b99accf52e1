/** Accounts of the console that are in the store before the relay starts, each logged in already. */
import { secretHash } from '../../src/console/access/cookie.ts';
import { csrfOf } from '../../src/console/access/csrf.ts';
import type { StoreData } from '../../src/store/store.ts';

export type Role = 'reader' | 'operator' | 'admin';
export const ROLES: readonly Role[] = ['reader', 'operator', 'admin'];

const secretOf = (role: Role) => `session of ${role}`;

/** The cookie of its session, as a browser keeps it. */
export const cookieOf = (role: Role, port: number) => ({ name: `smarthost-${port}`, value: secretOf(role) });

/** What a page of ours sends with each request. */
export function fieldsOf(role: Role, port: number): Readonly<Record<string, string>> {
  const { name, value } = cookieOf(role, port);
  return { cookie: `${name}=${value}`, 'x-smarthost-csrf': csrfOf(value), 'sec-fetch-site': 'same-origin' };
}

/** Its name is that of its role. @param passwordHash absent: one that no password has. */
export async function addAccount(
  { console: accounts }: Pick<StoreData, 'console'>,
  role: Role,
  passwordHash = '$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$never',
): Promise<void> {
  const now = Date.now();
  const link = { id: role, hash: secretHash(role), account: role, expiresAt: now + 60_000, triesLeft: 1 };
  await accounts.addAccount({ name: role, role, credentials: null, createdAt: now }, link);
  await accounts.changeAccount(role, { passwordHash, passwordSetAt: now });
  const times = { createdAt: now, lastSeenAt: now, confirmedAt: now };
  const session = { hash: secretHash(secretOf(role)), account: role, ip: '127.0.0.1', userAgent: 'test', ...times };
  await accounts.addSession(session, { passwordHash, totpSecret: null });
}
