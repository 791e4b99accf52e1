/** Mail from clients, on 465 (implicit TLS) and 587 (STARTTLS): RFC 6409, RFC 4954, RFC 8314. */
import type { Socket } from 'node:net';
import type { Credentials } from '../credentials/credentials.ts';
import type { EventLog } from '../events/events.ts';
import { createNetworks } from '../net/networks.ts';
import type { AlignmentCheck, Quota } from '../policy/policy.ts';
import type { PreparationFactory } from '../preparation/preparation.ts';
import type { Queue } from '../queue/queue.ts';
import type { Refusal } from '../smtp/reply.ts';
import type { DestinationFunction, SignsFunction } from '../smtp/route.ts';
import type { CredentialStore } from '../store/store.ts';
import { type Clock, systemClock } from '../system/clock.ts';
import type { TlsFiles } from '../system/tls-options.ts';
import { sweepInterval } from './deadlines.ts';
import { type ConsoleGuard, createGuard, type Guard } from './guard.ts';
import { type Hand, type HandedCaller, Listener } from './listener.ts';

export type { TlsFiles } from '../system/tls-options.ts';
export type { ClientFacts, ConsoleGuard, Entrance, Guard } from './guard.ts';
export type { Hand, HandedCaller } from './listener.ts';

export type ListenerName = 'submissions' | 'submission';
/** `address` `::` is every address, IPv4 included. */
export type ListenerOptions = { readonly name: ListenerName; readonly address: string; readonly port: number };

/** Sizes in bytes, durations in milliseconds, the data rate in bytes per second. */
export type SubmissionLimits = {
  readonly maxMessageSize: number;
  readonly maxRecipients: number;
  readonly maxSessions: number;
  /** Per IPv4 address or IPv6 /64. */
  readonly maxSessionsPerAddress: number;
  /** TLS handshakes a second that lead to no login, per IPv4 address or IPv6 /64. */
  readonly handshakesPerAddress: number;
  readonly idleTimeout: number;
  readonly commandTimeout: number;
  readonly authTimeout: number;
  readonly minDataRate: number;
  readonly checkFrom: boolean;
  /** Whether EHLO lists REQUIRETLS: RFC 8689 §2. */
  readonly requireTls: 'offer' | 'off';
  /** Networks whose connections begin with a PROXY header. */
  readonly proxyTrust: readonly string[];
};

export type AuthLimits = {
  /** Networks that are neither counted nor refused. */
  readonly allow: readonly string[];
  readonly failuresPerMinute: number;
  readonly failuresPerDay: number;
  /** Milliseconds that a wrong login waits for its answer. It waits longer as the failures of its address go on. */
  readonly failureDelay: number;
};

export type SubmissionOptions = {
  /** The name in the greeting and in the answer to EHLO. */
  readonly hostname: string;
  /** The address that gets mail for `<postmaster>`. Absent: such mail is refused. */
  readonly operator?: string | undefined;
  readonly listeners: readonly ListenerOptions[];
  readonly tls: TlsFiles;
  readonly limits: SubmissionLimits;
  readonly auth: AuthLimits;
  readonly credentials: Pick<Credentials, 'verify' | 'current' | 'renewed'>;
  /** Keeps the counts of failed logins. */
  readonly failures: Pick<CredentialStore, 'putFailures' | 'failures'>;
  /** Whether receivers will believe the sender. Absent: it is not looked at. */
  readonly alignment?: AlignmentCheck;
  readonly quota: Pick<Quota, 'limitsOf' | 'atMail' | 'atRecipient' | 'refusal' | 'noteUse'>;
  readonly preparation: Pick<PreparationFactory, 'start'>;
  readonly queue: Pick<Queue, 'add'>;
  readonly destinationOf: DestinationFunction;
  /** False: the route of this recipient asks for no signature of ours. */
  readonly signs: SignsFunction;
  readonly log: EventLog;
  /** Milliseconds until a message is given up. */
  readonly lifetime: number;
  /** The token that stands for a login in the Received field. */
  readonly userToken: (name: string) => string;
  /** 452 4.3.1 while the disk is too full for another message, 451 4.3.0 while the store cannot be reached. */
  readonly storeUsable: () => Refusal | undefined | Promise<Refusal | undefined>;
  readonly now?: Clock;
  /** Milliseconds by a clock that is never set, for deadlines. */
  readonly monotonic?: Clock;
};

/** The options that a running submission can change. */
type SubmissionChanges = Partial<Pick<SubmissionOptions, 'hostname' | 'limits' | 'auth' | 'lifetime'>>;

/** The state that all sessions share. */
export type Shared = {
  options: SubmissionOptions;
  readonly now: Clock;
  readonly monotonic: Clock;
  readonly guard: Guard;
  /** Addresses whose connections begin with a PROXY header. */
  proxies: { has(ip: string): boolean };
  /** True while shutting down: a session ends as soon as its transaction has ended. */
  draining: boolean;
  /** Work that goes on after its session has ended: messages on their way into the queue, and their removal. */
  readonly working: Set<Promise<unknown>>;
};

/** The sessions of one thread. */
type Sessions = {
  /** Begins the session of a connection that was accepted elsewhere. */
  take(socket: Socket, listener: ListenerName, caller: HandedCaller | undefined): void;
  /** Uses these files for new handshakes. @throws Error where a key does not fit, and keeps the old files. */
  setTls(files: TlsFiles): void;
  reload(changes: SubmissionChanges): void;
  /** Lets transactions end, and ends the sessions, in `deadline` milliseconds at most. */
  close(deadline: number): Promise<void>;
  sessions(): number;
};

/** `take` belongs to the other end of `hand`; `close` also stops listening. */
type Submission = Omit<Sessions, 'take'> & {
  readonly listening: readonly { readonly name: ListenerName; readonly address: string; readonly port: number }[];
  /** For sessions elsewhere. */
  readonly guard: Guard;
  readonly consoleGuard: ConsoleGuard;
};

/**
 * @param hand takes the connections away: their sessions are elsewhere.
 * Rejects with one sentence where a port cannot be opened or the certificate cannot be used.
 */
export async function startSubmission(options: SubmissionOptions, hand?: Hand): Promise<Submission> {
  const { now = systemClock, monotonic = () => performance.now() } = options;
  const guard = await createGuard({ ...options, now, monotonic });
  const { listeners, ...sessions } = createListeners(options, guard, hand);
  const ports = await openAll(listeners, options).catch(async (error) => {
    await sessions.close(0);
    throw error;
  });
  let settings = options;
  return {
    ...sessions,
    guard,
    consoleGuard: guard.console,
    listening: options.listeners.map(({ name, address }, i) => ({ name, address, port: ports[i]! })),
    reload(changes) {
      sessions.reload(changes);
      settings = { ...settings, ...changes };
      guard.reload(settings);
    },
  };
}

/** Sessions of connections that another thread accepts. */
export function createSessions(options: SubmissionOptions, guard: Guard): Sessions {
  const { listeners, ...sessions } = createListeners(options, guard);
  return { ...sessions, take: (socket, name, caller) => listeners.find((one) => one.name === name)?.take(socket, caller) };
}

function createListeners(options: SubmissionOptions, guard: Guard, hand?: Hand) {
  const { now = systemClock, monotonic = () => performance.now() } = options;
  const proxies = createNetworks(options.limits.proxyTrust);
  const shared: Shared = { options, now, monotonic, guard, proxies, draining: false, working: new Set() };
  const listeners = options.listeners.map(({ name }) => new Listener(name, shared, hand));
  // After a pause of the whole process timers run before sockets are read. The bytes that came meanwhile count first.
  const sweep = () =>
    setImmediate(() => {
      for (const listener of listeners) listener.sweep(monotonic(), guard.crowded);
    });
  let timer = setInterval(sweep, sweepInterval(options.limits));

  return {
    listeners,
    setTls(tls: TlsFiles) {
      for (const listener of listeners) listener.setTls(tls);
      shared.options = { ...shared.options, tls };
    },
    reload({ hostname, limits, auth, lifetime }: SubmissionChanges) {
      const before = shared.options;
      shared.options = {
        ...before,
        hostname: hostname ?? before.hostname,
        limits: limits ?? before.limits,
        auth: auth ?? before.auth,
        lifetime: lifetime ?? before.lifetime,
      };
      shared.proxies = createNetworks(shared.options.limits.proxyTrust);
      clearInterval(timer);
      timer = setInterval(sweep, sweepInterval(shared.options.limits));
    },
    async close(deadline: number) {
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

/** Opens all ports or none. */
async function openAll(listeners: readonly Listener[], { listeners: where }: SubmissionOptions): Promise<number[]> {
  const opened = await Promise.allSettled(listeners.map((listener, i) => listener.open(where[i]!)));
  const failed = opened.find((result) => result.status === 'rejected');
  if (failed === undefined) return opened.map((result) => (result.status === 'fulfilled' ? result.value : 0));
  await Promise.all(listeners.filter(({ server }) => server.listening).map((listener) => listener.drain()));
  throw failed.reason;
}
