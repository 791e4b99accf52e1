/** What is shown of the behaviour of logins. */
import {
  describeSignal,
  holdKey,
  loginKey,
  type Profile,
  parseStop,
  parseTraits,
  STOP_PREFIX,
  type Stop,
  traitsName,
  type UserTraits,
} from '../policy/policy.ts';
import type { Credential, StoreData } from '../store/store.ts';
import type { Parts } from './parts.ts';
import { iso } from './shapes.ts';

/** A stop, for `user show` and `user list`. */
export type HeldLogin = ReturnType<typeof stopShape>;

export function stopShape(stop: Stop, recipients: number) {
  const { sender, state, since, by, score, signals, linkUntil } = stop;
  return {
    ...{ sender: sender === '' ? null : sender, state, since: iso(since), by, score, signals: signals.map(describeSignal) },
    ...{ heldRecipients: recipients, linkUntil: iso(linkUntil ?? null) },
  };
}

/** What is known of the behaviour of logins, by the key of the login. */
export async function behaviourViews({ operation, messages }: Pick<StoreData, 'operation' | 'messages'>, now: number) {
  const [stops, held] = await Promise.all([readStops({ operation }), messages.heldByProvider()]);
  return (name: string) => {
    const own = stops.filter(({ user }) => user === loginKey(name));
    const trusted = Math.max(0, ...own.map(({ trustUntil = 0 }) => trustUntil));
    return {
      stops: own
        .filter(({ state }) => state !== 'released')
        .map((stop) => stopShape(stop, held.find(({ provider }) => provider === holdKey(stop))?.recipients ?? 0)),
      trustedUntil: trusted > now ? iso(trusted) : null,
    };
  };
}

/** What is held because of its login, for `doctor`. */
export async function heldLogins({ operation, messages }: Pick<StoreData, 'operation' | 'messages'>) {
  const [stops, held] = await Promise.all([readStops({ operation }), messages.heldByProvider()]);
  return stops
    .filter(({ state }) => state === 'held' || state === 'refused')
    .map((stop) => {
      const recipients = held.find(({ provider }) => provider === holdKey(stop))?.recipients ?? 0;
      return { name: stop.user, ...stopShape(stop, recipients) };
    });
}

export async function traitsOf({ operation }: Pick<StoreData, 'operation'>, { name, mailServer }: Credential) {
  const stored = await operation.value(traitsName(name));
  const { profile, bulk = false, contact = null } = (stored === undefined ? undefined : parseTraits(stored)) ?? {};
  const usual: Profile = mailServer ? 'server' : 'app';
  return { profile: profile ?? usual, bulk, contact };
}

/** Of how a login behaves, only what is given. null: back to the default. */
export type TraitsChange = { readonly [K in keyof UserTraits]?: UserTraits[K] | null };

const givenTraits = (traits: TraitsChange) => Object.entries(traits).filter(([, value]) => value !== null && value !== undefined);

export const hasTraits = (traits: TraitsChange): boolean => givenTraits(traits).length > 0;

/** Changes nothing that is so already. @param gives as of a change that completes its request */
export async function putTraits(
  { store: { operation }, note }: Pick<Parts<unknown>, 'store' | 'note'>,
  target: string,
  change: TraitsChange,
  gives?: unknown,
): Promise<void> {
  const stored = await operation.value(traitsName(target));
  const known = (stored === undefined ? undefined : parseTraits(stored)) ?? {};
  const all = givenTraits({ ...known, ...change });
  const after = Object.fromEntries(all);
  const value = all.length === 0 ? null : JSON.stringify(after);
  if (value === (stored ?? null)) return;
  await note({ action: 'user.traits', target, before: known, after, gives }).operation.setValue(traitsName(target), value);
}

/** The user is removed: nothing of it is known any more. What is held stays, and its stop too. */
export async function forgetLogin({ operation, behaviour }: Pick<StoreData, 'operation' | 'behaviour'>, name: string) {
  if ((await operation.value(traitsName(name))) !== undefined) await operation.setValue(traitsName(name), null);
  await behaviour.forget(loginKey(name));
}

export async function readStops({ operation }: Pick<StoreData, 'operation'>): Promise<readonly Stop[]> {
  return (await operation.values(STOP_PREFIX)).flatMap(({ value }) => parseStop(value) ?? []);
}
