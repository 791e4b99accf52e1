/** What the memory store knows of the console: accounts, links, sessions, tokens, repeated requests and findings. */
import type {
  AccountCondition,
  AccountLink,
  ConsoleAccount,
  ConsoleSession,
  ConsoleStore,
  ConsoleToken,
  MutedFinding,
  RequestState,
} from '../../src/store/store.ts';
import type { Tell } from './memory-store.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;

export type MemoryRequest = { hash: string; at: number; changed: boolean; status: number | null; body: string };
type Finding = { check: string; subject: string; result: string; since: number; detail: string };

export type MemoryConsole = {
  store(tell: Tell): ConsoleStore;
  /** By owner and key. */
  readonly requests: Map<string, MemoryRequest>;
};

const keyOf = (name: string) => name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
export const requestKey = ({ owner, key }: { owner: string; key: string }) => JSON.stringify([owner, key]);

export function createMemoryConsole(): MemoryConsole {
  const accounts = new Map<string, ConsoleAccount & { step: number }>();
  const links = new Map<string, AccountLink>();
  let sessions: ConsoleSession[] = [];
  let tokens: ConsoleToken[] = [];
  let mutes: MutedFinding[] = [];
  let findings: Finding[] = [];
  const requests = new Map<string, MemoryRequest>();

  const find = (name: string) => accounts.get(keyOf(name));
  const shown = (kept: (ConsoleAccount & { step: number }) | undefined): ConsoleAccount | undefined => {
    if (kept === undefined) return undefined;
    const { step: _, ...account } = kept;
    return account;
  };
  const isOf = (name: string) => (one: { readonly account: string | null }) => keyOf(one.account ?? '') === keyOf(name);
  const isAdmin = (one: ConsoleAccount) => one.role === 'admin' && !one.disabled;
  const isLastAdmin = ({ name, passwordHash }: Pick<ConsoleAccount, 'name' | 'passwordHash'>) =>
    ![...accounts.values()].some(
      (one) => isAdmin(one) && keyOf(one.name) !== keyOf(name) && (passwordHash === null || one.passwordHash !== null),
    );
  const hasAdmin = () => [...accounts.values()].some((one) => one.role === 'admin' && one.passwordHash !== null);
  const putLink = (link: AccountLink): boolean => {
    if (link.account === null && hasAdmin()) return false;
    for (const [id, one] of links) if (isOf(link.account ?? '')(one)) links.delete(id);
    links.set(link.id, link);
    return true;
  };
  const endSessions = (name: string, except?: string) => {
    const before = sessions.length;
    sessions = sessions.filter((one) => !isOf(name)(one) || one.hash === except);
    return before - sessions.length;
  };
  const tryLink = (
    { id, hash }: Pick<AccountLink, 'id' | 'hash'>,
    now: number,
  ): Pick<AccountLink, 'account'> | 'wrong' | 'gone' => {
    const link = links.get(id);
    if (link === undefined || link.expiresAt <= now) return 'gone';
    if (link.hash === hash) return { account: link.account };
    if (link.triesLeft <= 1) links.delete(id);
    else links.set(id, { ...link, triesLeft: link.triesLeft - 1 });
    return 'wrong';
  };
  const rightsOf = ({ role, credentials, disabled }: Pick<ConsoleAccount, 'role' | 'credentials' | 'disabled'>) =>
    JSON.stringify([role, credentials, disabled]);
  const holds = (old: ConsoleAccount, { rights = old, session }: AccountCondition) =>
    rightsOf(rights) === rightsOf(old) &&
    (session === undefined || sessions.some((one) => one.hash === session && isOf(old.name)(one)));
  const bare = { passwordHash: null, totpSecret: null, recoveryCodes: [], passwordSetAt: null, disabled: false, step: 0 };
  const newest = (one: ConsoleSession, other: ConsoleSession) =>
    other.createdAt - one.createdAt || (one.hash < other.hash ? -1 : 1);

  const store = (tell: Tell): ConsoleStore => {
    const own: ConsoleStore = {
      account: async (name) => shown(find(name)),
      accounts: async () => [...accounts.keys()].sort().map((key) => shown(accounts.get(key))!),
      async addAccount(account, link) {
        if (find(account.name) !== undefined) return false;
        accounts.set(keyOf(account.name), { ...account, ...bare });
        putLink(link);
        tell('console');
        return true;
      },
      async changeAccount(name, change, { link, force = false, when = {} } = {}) {
        const old = find(name);
        if (old === undefined) return 'absent';
        if (!holds(old, when)) return 'changed';
        const next = { ...old, ...Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) };
        if (!force && isAdmin(old) && !isAdmin(next) && isLastAdmin(old)) return 'lastAdmin';
        accounts.set(keyOf(name), next);
        if (hasAdmin()) for (const [id, one] of links) if (one.account === null) links.delete(id);
        const ends = old.role !== next.role || old.passwordHash !== next.passwordHash || (next.disabled && !old.disabled);
        if (ends) endSessions(name);
        else if (old.totpSecret !== next.totpSecret) endSessions(name, when.session);
        if (link !== undefined) putLink(link);
        tell('console');
        return 'done';
      },
      async removeAccount(name, { force = false, when = {} } = {}) {
        const old = find(name);
        if (old === undefined) return 'absent';
        if (!holds(old, when)) return 'changed';
        if (!force && isAdmin(old) && isLastAdmin(old)) return 'lastAdmin';
        accounts.delete(keyOf(name));
        endSessions(name);
        tokens = tokens.filter((one) => !isOf(name)(one));
        for (const [id, one] of links) if (isOf(name)(one)) links.delete(id);
        tell('console');
        return 'done';
      },
      putLink: async (link) => putLink(link),
      tryLink: async (code, now) => tryLink(code, now),
      async takeLink(code, { name, passwordHash }, now) {
        const link = tryLink(code, now);
        if (typeof link === 'string') return link;
        if (link.account === null) {
          if (find(name) !== undefined) return 'exists';
          accounts.set(keyOf(name), { name, role: 'admin', credentials: null, createdAt: now, ...bare });
        }
        links.delete(code.id);
        const set = { passwordHash, passwordSetAt: now };
        return (await own.changeAccount(link.account ?? name, set)) === 'done' ? 'done' : 'gone';
      },
      async useTotpStep(name, step) {
        const old = find(name);
        if (old === undefined || old.step >= step) return false;
        accounts.set(keyOf(name), { ...old, step });
        return true;
      },
      async useRecoveryCode(name, hash) {
        const old = find(name);
        if (!old?.recoveryCodes.includes(hash)) return false;
        accounts.set(keyOf(name), { ...old, recoveryCodes: old.recoveryCodes.filter((code) => code !== hash) });
        return true;
      },
      async addSession(session, { passwordHash, totpSecret }) {
        const account = find(session.account);
        if (account === undefined || account.disabled) return false;
        if (account.passwordHash !== passwordHash || account.totpSecret !== totpSecret) return false;
        const mine = sessions.filter(isOf(session.account)).sort(newest).slice(0, 9);
        sessions = [...sessions.filter((one) => !isOf(session.account)(one)), ...mine, { ...session, account: account.name }];
        tell('console');
        return true;
      },
      async session(hash) {
        const session = sessions.find((one) => one.hash === hash);
        const account = session && shown(find(session.account));
        return session && account && { session, account };
      },
      sessions: async (account) => sessions.filter((one) => account === undefined || isOf(account)(one)).sort(newest),
      async seeSession(hash, at, ip) {
        sessions = sessions.map((one) =>
          one.hash === hash && one.lastSeenAt <= at - MINUTE ? { ...one, lastSeenAt: at, ip } : one,
        );
      },
      async confirmSession(hash, at) {
        sessions = sessions.map((one) => (one.hash === hash ? { ...one, confirmedAt: at } : one));
        return sessions.some((one) => one.hash === hash);
      },
      async endSession(hash) {
        const before = sessions.length;
        sessions = sessions.filter((one) => one.hash !== hash);
        tell('console');
        return sessions.length < before;
      },
      async endSessions(account, except) {
        tell('console');
        return endSessions(account, except);
      },
      async addToken(token) {
        const account = find(token.account);
        if (account === undefined) return 'no account';
        const lasts = ({ expiresAt }: ConsoleToken) => expiresAt === null || expiresAt > token.createdAt;
        if (tokens.some((one) => one.account === account.name && one.name === token.name && lasts(one))) return 'name taken';
        tokens = [...tokens, { ...token, account: account.name }];
        return 'done';
      },
      tokens: async () => tokens.toSorted((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1)),
      async token(hash) {
        const token = tokens.find((one) => one.hash === hash);
        const account = token && shown(find(token.account));
        return token && account && { token, account };
      },
      async seeToken(id, at, ip) {
        tokens = tokens.map((one) =>
          one.id === id && (one.lastUsedAt ?? 0) <= at - MINUTE ? { ...one, lastUsedAt: at, lastUsedIp: ip } : one,
        );
      },
      async removeToken(id) {
        const before = tokens.length;
        tokens = tokens.filter((one) => one.id !== id);
        tell('console');
        return tokens.length < before;
      },
      async beginRequest(key, hash, at, { again = false } = {}) {
        const known = stateOf(requests.get(requestKey(key)), hash, at);
        const state: RequestState = again && /^(done|lost)$/.test(known.state) ? { state: 'new' } : known;
        if (state.state === 'new') requests.set(requestKey(key), { hash, at, changed: false, status: null, body: '' });
        return state;
      },
      async endRequest(key, answer) {
        const row = requests.get(requestKey(key));
        if (answer !== null && row !== undefined) Object.assign(row, answer);
        if (answer === null && row?.changed === false) requests.delete(requestKey(key));
      },
      mutes: async () => mutes.toSorted(byName),
      async putMute(mute) {
        mutes = [...mutes.filter((one) => one.check !== mute.check || one.subject !== mute.subject), mute];
      },
      async removeMute(check, subject) {
        const before = mutes.length;
        mutes = mutes.filter((one) => one.check !== check || one.subject !== subject);
        return mutes.length < before;
      },
      async keepFindings(found, at) {
        const known = findings;
        findings = found.map((one) => ({
          ...one,
          since: known.find((old) => byName(old, one) === 0 && old.result === one.result)?.since ?? at,
        }));
      },
      findings: async () => findings.toSorted(byName),
      async trim(now, { createdBefore, seenBefore }) {
        for (const [id, one] of links) if (one.expiresAt <= now) links.delete(id);
        sessions = sessions.filter((one) => one.createdAt >= createdBefore && one.lastSeenAt >= seenBefore);
        for (const [key, one] of requests) if (one.at <= now - DAY) requests.delete(key);
        mutes = mutes.filter((one) => one.until === null || one.until > now);
      },
    };
    return own;
  };
  return { store, requests };
}

type Named = { readonly check: string; readonly subject: string };
const byName = (a: Named, b: Named) =>
  a.check < b.check ? -1 : a.check > b.check ? 1 : a.subject < b.subject ? -1 : Number(a.subject > b.subject);

function stateOf(row: MemoryRequest | undefined, hash: string, at: number): RequestState {
  if (row === undefined || row.at <= at - DAY) return { state: 'new' };
  if (row.hash !== hash) return { state: 'different' };
  if (row.status !== null) return { state: 'done', status: row.status, body: row.body };
  if (row.at > at - MINUTE) return { state: 'running' };
  return { state: row.changed ? 'lost' : 'new' };
}
