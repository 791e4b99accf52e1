/** Who is logged in to the console. */
import type { ConsoleSession } from '../store/store.ts';
import { ControlError } from './control-error.ts';
import type { Parts } from './parts.ts';
import { iso } from './shapes.ts';
import { normalUserName } from './users.ts';

/** `console sessions`. `id` is public: the value of the cookie cannot be found from it. */
export type SessionOfAccount = ReturnType<typeof sessionShape>;

export type SessionControl = {
  /** The newest first. @param account only its own. */
  list(account?: string): Promise<readonly SessionOfAccount[]>;
  /** Rejects with `not found`. @param account only if it is one of its own. */
  end(id: string, account?: string): Promise<{ readonly id: string; readonly ended: true }>;
  /** All of an account. Rejects with `not found` if there is no such account. @param except the id of one that stays. */
  endAll(account: string, except?: string): Promise<{ readonly name: string; readonly ended: number }>;
};

const ID_LENGTH = 16;
const idOf = ({ hash }: Pick<ConsoleSession, 'hash'>) => hash.slice(0, ID_LENGTH);

export function createSessionControl({ store: { console: accounts }, note }: Parts<unknown>): SessionControl {
  const sessionsOf = async (account: string | undefined) =>
    accounts.sessions(account === undefined ? undefined : await normalUserName(account, 'account'));

  return {
    list: async (account) => (await sessionsOf(account)).map(sessionShape),
    async end(id, account) {
      const found = (await sessionsOf(account)).find((session) => idOf(session) === id);
      if (found === undefined) throw new ControlError('not found', 'session', `No session ${id}.`);
      const view = note({ action: 'session.end', target: found.account, before: sessionShape(found) });
      await view.console.endSession(found.hash);
      return { id, ended: true };
    },
    async endAll(typed, except) {
      const account = await accounts.account(await normalUserName(typed, 'account'));
      if (account === undefined) throw new ControlError('not found', 'account', `No account named ${JSON.stringify(typed)}.`);
      const kept = (await accounts.sessions(account.name)).find((session) => idOf(session) === except);
      const view = note({ action: 'session.endAll', target: account.name });
      return { name: account.name, ended: await view.console.endSessions(account.name, kept?.hash) };
    },
  };
}

function sessionShape(session: ConsoleSession) {
  const { account, createdAt, lastSeenAt, ip, userAgent, confirmedAt } = session;
  return {
    ...{ id: idOf(session), account, createdAt: iso(createdAt), lastSeenAt: iso(lastSeenAt), confirmedAt: iso(confirmedAt) },
    ...{ ip, userAgent },
  };
}
