/** Credentials: who may send, as whom, and how much. */

import { limitsFor } from '../policy/policy.ts';
import { canonicalMailbox } from '../smtp/address.ts';
import type { Limit } from '../smtp/limit.ts';
import type { Credential, CredentialChange } from '../store/store.ts';
import { behaviourViews, forgetLogin, hasTraits, putTraits, type TraitsChange, traitsOf } from './behaviour-view.ts';
import { type ClientSettings, type ClientSettingsSource, clientSettings } from './client-settings.ts';
import { ControlError } from './control-error.ts';
import { forgetLastLogin, readLastLogins } from './last-logins.ts';
import type { Parts } from './parts.ts';
import { type SenderTrial, type TriedSenders, trySenders } from './sender-trial.ts';
import { iso, settingsShape, type User, userShape, type WholeUser, wholeUserShape } from './shapes.ts';

export type UserSettings = ClientSettingsSource & {
  /** Apply to users without limits of their own. */
  readonly limits: Readonly<Record<Limit['kind'], readonly Limit[]>>;
};

/** Only the given fields change. */
export type UserChange = Partial<Pick<Credential, 'senders' | 'mailServer' | 'limits' | 'expiresAt' | 'rewrite' | 'disabled'>>;

/** Made by `newUser`. */
export type NewUser = Omit<UserChange, 'disabled'> & Pick<Credential, 'name' | 'senders'>;

/** `password` is null if the caller chose it; only a generated password is returned. */
export type UserLogin = { readonly name: string; readonly password: string | null };

/** Throws if the user is not as the caller saw it. What it has looked at is what is changed. */
type Match = (seen: { readonly createdAt: string; readonly revision: number }) => void;
type ChangeOptions = {
  /** The new one. Default: it does not change. */
  readonly password?: string | undefined;
  readonly match?: Match | undefined;
};

/** A name may be given in any spelling. Each function rejects with `not found` if there is no such user. */
export type UserControl = {
  list(): Promise<readonly User[]>;
  show(name: string): Promise<WholeUser>;
  /** Undefined if there is no such user. */
  find(name: string): Promise<WholeUser | undefined>;
  /** Rejects with `exists` if `add` would. Called before the operator is asked for a password. */
  checkFree(name: string): Promise<void>;
  /** @param password default: a generated one. */
  add(user: NewUser, password?: string, traits?: TraitsChange): Promise<UserLogin>;
  /** @returns the user after the change. */
  change(name: string, change: UserChange, more?: ChangeOptions): Promise<WholeUser>;
  /** Also ends the user's sessions. @param password default: a generated one. */
  setPassword(name: string, password?: string): Promise<UserLogin>;
  /** What its client must be told. */
  client(name: string): Promise<ClientSettings>;
  /** What would be answered to mail of it with these senders. */
  checkSender(name: string, senders: TriedSenders): Promise<SenderTrial>;
  /** The user's mail stays in the queue. @param match throws if it is not what the caller saw. */
  remove(name: string, match?: Match): Promise<{ readonly name: string; readonly removed: true }>;
};

export function createUserControl({ store, settings, now, note }: Parts<UserSettings>): UserControl {
  const { credentials, messages } = store;

  /** What is known of all users. */
  const glance = async () => ({ behaviourOf: await behaviourViews(store, now()), loginOf: await readLastLogins(store) });

  async function viewOf(credential: Credential, { behaviourOf, loginOf }: Awaited<ReturnType<typeof glance>>) {
    const defaults = settings().limits;
    const limits = limitsFor(credential, [...defaults.messages, ...defaults.recipients, ...defaults.newRecipients]);
    const used = limits.length === 0 ? [] : await messages.limitUse(credential.name, limits, now());
    return { credential, limits, used, behaviour: behaviourOf(credential.name), lastLogin: loginOf(credential.name) };
  }

  async function wholeOf(credential: Credential): Promise<WholeUser> {
    return wholeUserShape({ ...(await viewOf(credential, await glance())), traits: await traitsOf(store, credential) });
  }

  async function find(name: string): Promise<Credential | undefined> {
    return credentials.get(await normalUserName(name));
  }

  async function existing(name: string): Promise<Credential> {
    const found = await find(name);
    if (found === undefined) throw notFound(name);
    return found;
  }

  /** False if it has changed since. */
  async function update(known: Credential, change: CredentialChange): Promise<boolean> {
    const { name: target } = known;
    const [before, after] = [settingsShape(known), settingsShape({ ...known, ...change })];
    const password = change.hash === undefined ? {} : { password: 'changed' };
    const isSame = change.hash === undefined && JSON.stringify(before) === JSON.stringify(after);
    const view = isSame ? store : note({ action: 'user.set', target, before, after: { ...after, ...password } });
    return view.credentials.update(target, change, known);
  }

  /** Reads it again each time that somebody else was faster. @throws ControlError `not found`, or what `match` throws */
  async function decided(name: string, match: Match | undefined, act: (known: Credential) => Promise<boolean>): Promise<string> {
    for (;;) {
      const known = await existing(name);
      match?.({ createdAt: iso(known.createdAt), revision: known.revision });
      if (await act(known)) return known.name;
    }
  }

  return {
    async list() {
      const users: User[] = [];
      const seen = await glance();
      for (const credential of await credentials.list()) users.push(userShape(await viewOf(credential, seen)));
      return users;
    },
    show: async (name) => wholeOf(await existing(name)),
    async find(name) {
      const found = await find(name);
      return found && wholeOf(found);
    },
    async checkFree(name) {
      if (await find(name)) throw exists(name);
    },
    async add({ name, ...user }, given, traits = {}) {
      const { password, hash } = await hashed(given);
      const base = { mailServer: false, limits: null, expiresAt: null, rewrite: null };
      const credential = { ...base, ...user, name, hash, disabled: false, createdAt: now() };
      const login = { name, password };
      const last = hasTraits(traits) ? {} : { gives: login };
      const view = note({ action: 'user.add', target: name, after: settingsShape(credential), ...last });
      if (!(await view.credentials.add(credential))) throw exists(name);
      await putTraits({ store, note }, name, traits, login);
      return login;
    },
    async change(name, change, { password, match } = {}) {
      const hash = password === undefined ? {} : { hash: (await hashed(password)).hash };
      return wholeOf(await existing(await decided(name, match, (known) => update(known, { ...change, ...hash }))));
    },
    async setPassword(name, given) {
      const { name: target } = await existing(name);
      const { password, hash } = await hashed(given);
      const login = { name: target, password };
      const view = note({ action: 'user.password', target, gives: login });
      if (!(await view.credentials.update(target, { hash }))) throw notFound(target);
      return login;
    },
    client: async (name) => clientSettings(settings(), await wholeOf(await existing(name))),
    checkSender: async (name, senders) => trySenders(await existing(name), senders),
    async remove(typed, match) {
      const name = await decided(typed, match, async (known) => {
        const view = note({ action: 'user.remove', target: known.name, before: settingsShape(known) });
        const isRemoved = await view.credentials.remove(known.name, known);
        if (isRemoved) await forgetLogin(view, known.name);
        if (isRemoved) await forgetLastLogin(view, known.name);
        return isRemoved;
      });
      return { name, removed: true };
    },
  };
}

/** The user in the form that is stored. If its name is an address, this is its default sender. @throws ControlError */
export async function newUser(typedName: string, change: Omit<UserChange, 'disabled'>): Promise<NewUser> {
  const name = await normalUserName(typedName);
  return { ...change, name, senders: change.senders ?? defaultSenders(name) };
}

function defaultSenders(name: string): readonly string[] {
  const address = name.startsWith('@') ? undefined : canonicalMailbox(name.trim());
  if (address === undefined) throw new ControlError('invalid', 'senders', `"${name}" is not a mail address`);
  return [address];
}

/** The canonical spelling of a name. @throws ControlError about `subject` */
export async function normalUserName(text: string, subject: 'name' | 'user' | 'account' = 'name'): Promise<string> {
  const { normalizeName } = await import('../credentials/credentials.ts');
  try {
    return normalizeName(text);
  } catch (cause) {
    throw new ControlError('invalid', subject, (cause as Error).message, { cause });
  }
}

/** Octets. A longer password could never log in. */
const MAX_PASSWORD = 1024;

/** @throws ControlError if the value cannot be a password. */
export function checkPassword(password: string): void {
  const invalid = (sentence: string) => new ControlError('invalid', 'password', sentence);
  if (password === '') throw invalid('a password is not empty');
  if (Buffer.byteLength(password) > MAX_PASSWORD) throw invalid(`a password has at most ${MAX_PASSWORD} octets`);
  if (/[\x00-\x1f\x7f\ufffd]/.test(password)) throw invalid('a password is UTF-8 without control characters');
}

/** @returns the password only if it was generated here. */
async function hashed(given: string | undefined): Promise<{ password: string | null; hash: string }> {
  if (given !== undefined) checkPassword(given);
  const { generatePassword, hashPassword } = await import('../credentials/credentials.ts');
  const made = given ?? generatePassword();
  return { password: given === undefined ? made : null, hash: await hashPassword(made) };
}

function exists(name: string): ControlError {
  return new ControlError('exists', 'user', `${name} exists already.`);
}

function notFound(name: string): ControlError {
  return new ControlError('not found', 'user', `No credential named ${JSON.stringify(name)}.`);
}
