/** The console before there is a configuration: it asks for one, and nothing else of a relay runs. */
import { randomBytes, X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { hostname as machineName } from 'node:os';
import { createSelfSigned } from '../certificates/certificates.ts';
import type { Config } from '../config/config.ts';
import { type ConsoleParts, startConsole } from '../console/console.ts';
import { type Control, ControlError } from '../control/control.ts';
import { createConsolePasswords } from '../credentials/credentials.ts';
import { createEventLog } from '../events/events.ts';
import { isLoopback } from '../net/addresses.ts';
import { type ListenAddress, type OpenPort, openPort } from '../net/open-port.ts';
import { type FirstRunOptions, keepPlace, openFirstRun } from '../setup/setup.ts';
import { filesOf, openStore } from '../store/store.ts';
import { createLog } from '../system/log.ts';
import { tlsOptions } from '../system/tls-options.ts';
import { VERSION } from '../system/version.ts';

type FirstRunSetting = Omit<FirstRunOptions, 'store'> & {
  /** As far as it is known: where the data and the ports are. */
  readonly config: Pick<Config, 'store' | 'dataDir' | 'listen' | 'console' | 'log'>;
  readonly listen: readonly ListenAddress[];
};

type FirstRunConsole = {
  readonly listening: readonly OpenPort[];
  /** Makes the first account. null: there is one already, who can log in and go on. */
  readonly code: string | null;
  /** Of the certificate of ports outside loopback, in hex. */
  readonly fingerprint: string | undefined;
  /** Resolves when the configuration is written, and the browser knows. Rejects when the code ends before there is an account. */
  readonly done: Promise<void>;
  /** Ends it, so that a relay can take its place. */
  close(): Promise<void>;
};

/** @throws ClosedPort, or StoreError if a relay or another first run has the data. */
export async function startFirstRunConsole({ config, listen, ...options }: FirstRunSetting): Promise<FirstRunConsole> {
  const closers: (() => Promise<unknown> | unknown)[] = [];
  const close = async () => {
    for (const one of closers.splice(0).reverse()) await one();
  };
  try {
    const lock = await filesOf(config)?.lock();
    closers.push(() => lock?.release());
    const store = await openStore(config);
    closers.push(() => store.close());
    const firstRun = await openFirstRun({ ...options, store });
    const ended = Promise.withResolvers<void>();
    ended.promise.catch(() => {}); // it may end while the start still fails
    const { accounts } = firstRun.control;
    const invitation = await accounts.setup().catch(noneNeeded);
    if (invitation !== null) closers.push(endAt(Date.parse(invitation.expiresAt) - store.now(), accounts, ended.reject));
    const certificate = listen.every(({ address }) => isLoopback(address)) ? undefined : await ownCertificate();
    // What only routes of a relay ask is not there: a first run has none of them.
    const console = await startConsole({
      ...{ listen, version: VERSION, startedAt: Date.now(), now: store.now },
      hostname: () => firstRun.config().hostname,
      control: () => firstRun.control,
      clientEvents: () => [],
      firstRun: { ...firstRun, answered: ended.resolve },
      store: store.forPeople,
      passwords: createConsolePasswords(),
      guard: { isBlocked: () => false, recordFailure: async () => 0 }, // the code has five tries, and an address few a minute
      settings: () => ({ ...config.console, names: [machineName(), firstRun.config().hostname] }),
      tls: { current: () => certificate?.tls ?? {}, onChange: () => {} },
      log: createEventLog(createLog({ ...config.log, level: 'error' })),
    } satisfies Partial<ConsoleParts> as unknown as ConsoleParts);
    closers.push(() => console.close());
    closers.push(await answerHealth(config.listen.admin));
    const { listening } = console;
    await keepPlace(store, listening[0]!);
    return { listening, code: invitation?.code ?? null, fingerprint: certificate?.fingerprint, done: ended.promise, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** There is an account from an earlier first run, who can go on. */
function noneNeeded(error: unknown): null {
  if (error instanceof ControlError && error.kind === 'conflict') return null;
  throw error;
}

/** Nobody waits for ever for a code that no longer counts. @param wait in ms. @returns ends the timer. */
function endAt(wait: number, accounts: Control['accounts'], reject: (error: Error) => void): () => void {
  const timer = setTimeout(async () => {
    const all = await accounts.list().catch(() => undefined);
    if (all === undefined || all.some(({ role, hasPassword }) => role === 'admin' && hasPassword)) return;
    reject(
      new ControlError('conflict', 'configuration', 'The code has ended, and nobody has used it. Begin again for a new one.'),
    );
  }, wait);
  return () => clearTimeout(timer);
}

/** New for each first run: a person compares its fingerprint with what the terminal shows. */
async function ownCertificate() {
  const { certificate, key } = await createSelfSigned('ecdsa', [...new Set([machineName(), 'localhost'])], Date.now());
  const fingerprint = new X509Certificate(certificate).fingerprint256;
  return { tls: tlsOptions({ cert: [certificate], key: [key], ticketKeys: randomBytes(48) }), fingerprint };
}

/** Those who watch the process are told that it lives, and that it is no relay yet. @returns closes the ports. */
async function answerHealth(listen: readonly ListenAddress[]): Promise<() => Promise<unknown>> {
  const servers: Server[] = [];
  const close = () =>
    Promise.all(
      servers.map((server) => {
        server.closeAllConnections();
        return new Promise((resolve) => server.close(resolve));
      }),
    );
  for (const at of listen) {
    const server = createServer(({ url }, response) => {
      response.writeHead(url === '/healthz' ? 200 : url === '/readyz' ? 503 : 404, { 'content-type': 'text/plain' });
      response.end(url === '/readyz' ? 'not configured yet\n' : '');
    });
    try {
      await openPort(server, { name: 'admin', ...at });
    } catch (error) {
      await close();
      throw error;
    }
    servers.push(server);
  }
  return close;
}
