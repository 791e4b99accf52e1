/** Stands for a login in the Received field. */
import { createHmac, randomBytes } from 'node:crypto';
import type { StoreData } from '../store/store.ts';

/**
 * The token in Received that replaces the login name. Only the operator of this relay can find the credential by it.
 * `smarthost trace` shows the name itself.
 */
export async function createUserToken({ operation }: Pick<StoreData, 'operation'>): Promise<(name: string) => string> {
  const drawn = randomBytes(32).toString('hex');
  const secret = (await operation.value('instance.secret')) ?? (await operation.keepValue('instance.secret', drawn));
  const key = Buffer.from(secret, 'hex');
  const known = new Map<string, string>();
  return (name) => {
    let token = known.get(name);
    if (token === undefined) {
      token = createHmac('sha256', key).update(name).digest('hex').slice(0, 12);
      known.set(name, token);
    }
    return token;
  };
}
