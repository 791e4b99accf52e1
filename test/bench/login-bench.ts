/**
 * What a login costs: the first one of a pair (argon2 on the thread pool), and every further one, which is remembered.
 * Run: node test/bench/login-bench.ts [logins]
 */
import { createCredentials, hashPassword } from '../../src/credentials/credentials.ts';
import { credentialWith } from '../support/credential.ts';
import { row } from './rows.ts';

const LOGINS = Number(process.argv[2] ?? 50_000);
const FRESH = 40;
const PASSWORD = 'correct horse battery staple';

const credential = credentialWith({ name: 'app@sender.test', hash: await hashPassword(PASSWORD), senders: ['@sender.test'] });
const store = { get: async () => credential, update: async () => {} } as unknown as Parameters<
  typeof createCredentials
>[0]['store'];

/** @param cacheFor 0: every login is verified anew. */
async function measure(what: string, count: number, cacheFor: number): Promise<void> {
  const credentials = createCredentials({ store, cacheFor });
  const logIn = async () => {
    const { result } = await credentials.verify(credential.name, PASSWORD);
    if (result !== 'ok') throw new Error(result);
  };
  await logIn();
  const all = process.cpuUsage();
  const main = process.threadCpuUsage();
  for (let i = 0; i < count; i++) await logIn();
  const used = process.cpuUsage(all);
  const onMain = process.threadCpuUsage(main);
  row('login', what, (used.user + used.system) / count, 'µs CPU');
  row('login', `${what}, main thread`, (onMain.user + onMain.system) / count, 'µs CPU');
}

await measure('verified by argon2', FRESH, 0);
await measure('remembered', LOGINS, 300_000);
