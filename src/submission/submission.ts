/** Mail from clients, on 465 (implicit TLS) and 587 (STARTTLS): RFC 6409, RFC 4954, RFC 8314. */

import { createNetworks } from '../net/networks.ts';
import { SECOND, systemClock } from '../system/clock.ts';
import { createAdmission } from './admission.ts';
import { createBruteForce } from './brute-force.ts';
import { sweepInterval } from './deadlines.ts';
import { createHandshakePace } from './handshake-pace.ts';
import { createKnownClients } from './known-clients.ts';
import { Listener } from './listener.ts';
import type { ListenerName, Shared, SubmissionChanges, SubmissionOptions, TlsFiles } from './options.ts';

export type { SubmissionLimits, SubmissionOptions, TlsFiles } from './options.ts';

type Submission = {
  readonly listening: readonly { readonly name: ListenerName; readonly address: string; readonly port: number }[];
  /** For new handshakes; running sessions stay. @throws Error where a key does not fit: the old ones serve on. */
  setTls(files: TlsFiles): void;
  reload(changes: SubmissionChanges): void;
  /** Stops listening, lets transactions end, and ends the sessions; at most `deadline` milliseconds. */
  close(deadline: number): Promise<void>;
  sessions(): number;
};

/** How long a client over its number of sessions waits for a place before it is refused. */
const PATIENCE = 5 * SECOND;

/** Rejects with one sentence where a port cannot be opened or the certificate cannot be used. */
export async function startSubmission(options: SubmissionOptions): Promise<Submission> {
  const { now = systemClock, monotonic = () => performance.now() } = options;
  const knownClients = createKnownClients();
  const bruteForce = await createBruteForce({ auth: options.auth, failures: options.failures, now, known: knownClients });
  const proxies = createNetworks(options.limits.proxyTrust);
  const handshakes = createHandshakePace(options.limits.handshakesPerAddress, monotonic, knownClients);
  const shared: Shared = {
    ...{ options, now, monotonic, bruteForce, knownClients, handshakes, proxies },
    draining: false,
    working: new Set(),
  };
  const admission = createAdmission(options.limits, PATIENCE, knownClients);
  const listeners = options.listeners.map(({ name }) => new Listener(name, shared, admission));
  const ports = await openAll(listeners, options);
  // Behind what has come meanwhile: after a pause of the whole process timers run before sockets are read.
  const sweep = () =>
    setImmediate(() => {
      for (const listener of listeners) listener.sweep(monotonic(), admission.crowded);
    });
  let timer = setInterval(sweep, sweepInterval(options.limits));

  return {
    listening: options.listeners.map(({ name, address }, i) => ({ name, address, port: ports[i]! })),
    setTls(tls) {
      for (const listener of listeners) listener.setTls(tls);
      shared.options = { ...shared.options, tls };
    },
    reload({ hostname, limits, auth, lifetime }) {
      const before = shared.options;
      shared.options = {
        ...before,
        hostname: hostname ?? before.hostname,
        limits: limits ?? before.limits,
        auth: auth ?? before.auth,
        lifetime: lifetime ?? before.lifetime,
      };
      bruteForce.reload(shared.options.auth);
      shared.proxies = createNetworks(shared.options.limits.proxyTrust);
      admission.reload(shared.options.limits);
      handshakes.reload(shared.options.limits.handshakesPerAddress);
      clearInterval(timer);
      timer = setInterval(sweep, sweepInterval(shared.options.limits));
    },
    async close(deadline) {
      shared.draining = true;
      const drained = Promise.all(listeners.map((listener) => listener.drain()));
      const late = setTimeout(() => {
        for (const { sessions } of listeners) for (const session of sessions) session.close();
      }, deadline);
      await drained;
      await Promise.allSettled(shared.working);
      clearTimeout(late);
      clearInterval(timer);
    },
    sessions: () => listeners.reduce((sum, { sessions }) => sum + sessions.size, 0),
  };
}

/** All or none. */
async function openAll(listeners: readonly Listener[], { listeners: where }: SubmissionOptions): Promise<number[]> {
  const opened = await Promise.allSettled(listeners.map((listener, i) => listener.open(where[i]!)));
  const failed = opened.find((result) => result.status === 'rejected');
  if (failed === undefined) return opened.map((result) => (result.status === 'fulfilled' ? result.value : 0));
  await Promise.all(listeners.filter(({ server }) => server.listening).map((listener) => listener.drain()));
  throw failed.reason;
}
