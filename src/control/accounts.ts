/** Accounts of the console: who may use it, and as what. Their passwords are set by one-time links, so that nobody else knows them. */
import { hash, randomInt } from 'node:crypto';
import type { AccountChange, AccountLink, AccountOutcome, ConsoleAccount } from '../store/store.ts';
import { HOUR } from '../system/clock.ts';
import { ControlError } from './control-error.ts';
import type { Parts } from './parts.ts';
import { iso } from './shapes.ts';
import { normalUserName } from './users.ts';

/** `console list`. `recoveryCodes`: how many are left. */
export type Account = ReturnType<typeof accountShape>;
type AccountRole = ConsoleAccount['role'];
export const ACCOUNT_ROLES: readonly AccountRole[] = ['reader', 'operator', 'admin'];

/** `code` belongs behind `#setup=` of a link to the console, and is shown once. `name` is null for the first admin, who chooses it. */
export type AccountInvitation = {
  readonly name: string | null;
  readonly role: AccountRole;
  readonly code: string;
  readonly expiresAt: string;
};

type NewAccount = {
  readonly name: string;
  readonly role: AccountRole;
  /** Only a reader: sees the mail of these alone. Absent or null: of all. */
  readonly credentials?: readonly string[] | null | undefined;
};
type Rights = Pick<ConsoleAccount, 'role' | 'credentials'>;
type RightsChange = Partial<Omit<NewAccount, 'name'>> & { readonly disabled?: boolean | undefined };
type ChangeOptions = {
  /** The last admin too. */
  readonly force?: boolean | undefined;
  /** Throws if the account is not as the caller saw it. What it has looked at is what is changed. */
  readonly match?: ((seen: Account) => void) | undefined;
};

/**
 * A name may be given in any spelling. Each function but `add` and `setup` rejects with `not found` if there is no such account, and with
 * `conflict` if no admin would be left, unless it is forced.
 */
export type AccountControl = {
  list(): Promise<readonly Account[]>;
  show(name: string): Promise<Account>;
  /** The link is valid for 60 minutes. Rejects with `exists`. */
  add(account: NewAccount): Promise<AccountInvitation>;
  /** Only the given rights change. Another role, or `disabled`, ends its sessions. */
  change(name: string, change: RightsChange, more?: ChangeOptions): Promise<Account>;
  /** Takes its password and second factor away, ends its sessions, and makes a link for a new password. */
  reset(name: string): Promise<AccountInvitation>;
  /** Its sessions and tokens end. */
  remove(name: string, more?: ChangeOptions): Promise<{ readonly name: string; readonly removed: true }>;
  /** A link by which somebody makes the first admin. Rejects with `conflict` where an admin has a password already. */
  setup(): Promise<AccountInvitation>;
};

/** Without letters that are confused when they are read out. 12 of 31 characters: 59 bits, and five wrong ones end the link. */
const ALPHABET = 'ABCDEFGHJKMNPQRSTUVWXYZ23456789';
const ID_LENGTH = 4;
const CODE_LENGTH = 12;
const TRIES = 5;

export function createAccountControl({ store, now, note }: Parts<unknown>): AccountControl {
  const { console: accounts, credentials } = store;

  async function existing(name: string): Promise<ConsoleAccount> {
    const found = await accounts.account(await normalUserName(name, 'account'));
    if (found === undefined) throw notFound(name);
    return found;
  }

  function newLink(account: string | null) {
    const code = Array.from({ length: CODE_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
    const expiresAt = now() + HOUR;
    const link: AccountLink = { id: code.slice(0, ID_LENGTH), hash: hash('sha256', code), account, expiresAt, triesLeft: TRIES };
    return { link, shown: { code: code.replace(/(.{4})(?=.)/g, '$1-'), expiresAt: iso(expiresAt) } };
  }

  async function checked({ role, credentials: names }: Rights): Promise<Rights> {
    if (names === null) return { role, credentials: null };
    if (role !== 'reader')
      throw new ControlError(
        'invalid',
        'credentials',
        `Only a reader sees the mail of some credentials alone, and not an ${role}.`,
      );
    const known: string[] = [];
    for (const name of names) {
      const found = await credentials.get(await normalUserName(name, 'user'));
      if (found === undefined) throw new ControlError('not found', 'user', `No credential named ${JSON.stringify(name)}.`);
      known.push(found.name);
    }
    return { role, credentials: known };
  }

  const own: AccountControl = {
    list: async () => (await accounts.accounts()).map(accountShape),
    show: async (name) => accountShape(await existing(name)),
    async add({ name: typed, role, credentials: only = null }) {
      const name = await normalUserName(typed);
      const rights = await checked({ role, credentials: only });
      const { link, shown } = newLink(name);
      const made = { name, role, ...shown };
      const view = note({ action: 'account.add', target: name, after: rights, gives: made });
      if (!(await view.console.addAccount({ name, ...rights, createdAt: now() }, link)))
        throw new ControlError('exists', 'account', `${name} exists already.`, { named: name });
      return made;
    },
    async change(name, wanted, { force = false, match } = {}) {
      const { role: given, credentials: only, disabled: off } = wanted;
      const known = await existing(name);
      match?.(accountShape(known));
      const role = given ?? known.role;
      const rights = await checked({
        role,
        credentials: only === undefined ? (role === 'reader' ? known.credentials : null) : only,
      });
      const change: AccountChange = { ...rights, disabled: off ?? known.disabled };
      const [before, after] = [rightsShape(known), rightsShape({ ...known, ...change })];
      if (JSON.stringify(before) === JSON.stringify(after)) return accountShape(known);
      const view = note({ action: 'account.set', target: known.name, before, after });
      const outcome = await view.console.changeAccount(known.name, change, { force, when: { rights: rightsShape(known) } });
      if (outcome === 'changed') return own.change(name, wanted, { force, match }); // what was not named stays as somebody else has set it
      done(outcome, known.name);
      return accountShape(await existing(known.name));
    },
    async reset(typed) {
      const { name, role } = await existing(typed);
      const { link, shown } = newLink(name);
      const change = { passwordHash: null, passwordSetAt: null, totpSecret: null, recoveryCodes: [] };
      const made = { name, role, ...shown };
      const view = note({ action: 'account.reset', target: name, gives: made });
      done(await view.console.changeAccount(name, change, { link }), name);
      return made;
    },
    async remove(typed, { force = false, match } = {}) {
      const known = await existing(typed);
      match?.(accountShape(known));
      const view = note({ action: 'account.remove', target: known.name, before: rightsShape(known) });
      const outcome = await view.console.removeAccount(known.name, { force, when: { rights: rightsShape(known) } });
      if (outcome === 'changed') return own.remove(typed, { force, match });
      done(outcome, known.name);
      return { name: known.name, removed: true };
    },
    async setup() {
      const { link, shown } = newLink(null);
      const isPut = await note({ action: 'account.setup', target: 'first admin' }).console.putLink(link);
      if (isPut) return { name: null, role: 'admin', ...shown };
      const admin = (await accounts.accounts()).find(({ role, passwordHash }) => role === 'admin' && passwordHash !== null);
      throw new ControlError('conflict', 'account', `There is an admin already: ${admin?.name}.`);
    },
  };
  return own;
}

/** @throws ControlError if it was not done. */
function done(outcome: AccountOutcome, name: string): void {
  if (outcome === 'absent') throw notFound(name);
  if (outcome === 'lastAdmin')
    throw new ControlError('conflict', 'account', `${name} is the last admin: nobody could change accounts any more.`, {
      named: name,
    });
}

function notFound(name: string): ControlError {
  return new ControlError('not found', 'account', `No account named ${JSON.stringify(name)}.`);
}

function rightsShape({ role, credentials, disabled }: Rights & Pick<ConsoleAccount, 'disabled'>) {
  return { role, credentials, disabled };
}

function accountShape(account: ConsoleAccount) {
  const { name, createdAt, passwordSetAt, passwordHash, totpSecret, recoveryCodes } = account;
  return {
    ...{ name, ...rightsShape(account), hasPassword: passwordHash !== null, secondFactor: totpSecret !== null },
    ...{ recoveryCodes: recoveryCodes.length, createdAt: iso(createdAt), passwordSetAt: iso(passwordSetAt) },
  };
}
