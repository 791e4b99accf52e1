/** A whole relay with its console, an account of each role, and a browser that one of them is logged in with. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore, type Store } from '../../src/store/store.ts';
import { openWindow, type Visit, type WindowOptions } from './browser.ts';
import { addAccount, cookieOf, ROLES, type Role } from './console-session.ts';
import { startTestRelay, type TestRelayOptions } from './relay.ts';

type ConsoleRelayOptions = Omit<TestRelayOptions, 'dataDir'> & {
  /** What is in the store before the relay starts. */
  readonly prepare?: (store: Store) => Promise<void>;
};

const LISTEN =
  "listen: { submissions: ['127.0.0.1:0'], submission: ['127.0.0.1:0'], admin: ['127.0.0.1:0'], console: ['127.0.0.1:0'] }\n";

export type ConsoleRelay = Awaited<ReturnType<typeof startConsoleRelay>>;

export async function startConsoleRelay({ prepare, yaml = '', ...options }: ConsoleRelayOptions = {}) {
  const dataDir = await mkdtemp(join(tmpdir(), 'smarthost-console-'));
  const store = await openStore({ dataDir, store: 'sqlite' });
  for (const role of ROLES) await addAccount(store, role);
  await prepare?.(store);
  await store.close();
  const relay = await startTestRelay({ ...options, dataDir, yaml: `${LISTEN}${yaml}` });
  const { port } = relay.listening.find(({ name }) => name === 'console')!;
  const origin = `http://127.0.0.1:${port}`;
  return {
    relay,
    origin,
    /** A window in which somebody of this role is logged in. */
    async open(role: Role = 'admin', options: WindowOptions = {}): Promise<Visit> {
      const visit = await openWindow(origin, options);
      await visit.page.context().addCookies([{ ...cookieOf(role, port), url: origin }]);
      return visit;
    },
    async [Symbol.asyncDispose]() {
      await relay.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
