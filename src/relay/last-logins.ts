/** Remembers the last login of each credential, and writes it now and then, because some clients log in for each message. */
import { keepLastLogin, type LastLogin } from '../control/control.ts';
import type { StoreData } from '../store/store.ts';

/** Credentials of one write. What has no room is written by a later login. */
const MOST = 1000;

export function createLastLogins() {
  const waiting = new Map<string, LastLogin>();
  return {
    note(name: string, login: LastLogin): void {
      if (waiting.has(name) || waiting.size < MOST) waiting.set(name, login);
    },
    async write(store: Pick<StoreData, 'operation'>): Promise<void> {
      const logins = [...waiting];
      waiting.clear();
      await Promise.all(logins.map(([name, login]) => keepLastLogin(store, name, login)));
    },
  };
}
