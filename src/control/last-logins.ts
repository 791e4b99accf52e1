/** The last login of each credential, as the running relay keeps it. */
import type { StoreData } from '../store/store.ts';

/** Times are milliseconds since the epoch. `tls`: the protocol. */
export type LastLogin = {
  readonly at: number;
  readonly ip: string;
  readonly tls: string | null;
  readonly mechanism: string;
};

const PREFIX = 'login.last.';
const keyOf = (name: string) => PREFIX + name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());

export async function keepLastLogin({ operation }: Pick<StoreData, 'operation'>, name: string, login: LastLogin): Promise<void> {
  await operation.setValue(keyOf(name), JSON.stringify(login));
}

export async function forgetLastLogin({ operation }: Pick<StoreData, 'operation'>, name: string): Promise<void> {
  if ((await operation.value(keyOf(name))) !== undefined) await operation.setValue(keyOf(name), null);
}

/** @returns the last login by name; null where none is known. */
export async function readLastLogins({ operation }: Pick<StoreData, 'operation'>): Promise<(name: string) => LastLogin | null> {
  const known = new Map((await operation.values(PREFIX)).map(({ name, value }) => [name, value]));
  return (name) => {
    const value = known.get(keyOf(name));
    return value === undefined ? null : (JSON.parse(value) as LastLogin);
  };
}
