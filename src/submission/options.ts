/** What submission needs from the other parts, and what all its sessions share. */

import type { Socket } from 'node:net';
import type { TLSSocketOptions } from 'node:tls';
import type { Credentials } from '../credentials/credentials.ts';
import type { EventLog } from '../events/events.ts';
import type { Quota } from '../policy/policy.ts';
import type { PreparationFactory } from '../preparation/preparation.ts';
import type { Queue } from '../queue/queue.ts';
import type { Refusal } from '../smtp/reply.ts';
import type { DestinationFunction, SignsFunction } from '../smtp/route.ts';
import type { CredentialStore } from '../store/store.ts';
import type { Clock } from '../system/clock.ts';
import type { AgreedTls } from '../system/server-tls.ts';
import type { HandshakePace } from './handshake-pace.ts';
import type { KnownClients } from './known-clients.ts';

/** PEM, one or two pairs, in the same order: an ECDSA and an RSA certificate stand side by side, OpenSSL picks by client. */
export type TlsFiles = { readonly key: readonly string[]; readonly cert: readonly string[] };

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
  /** Networks whose connections begin with a PROXY header. */
  readonly proxyTrust: readonly string[];
};

export type AuthLimits = {
  /** Networks that are neither counted nor refused. */
  readonly allow: readonly string[];
  readonly failuresPerMinute: number;
  readonly failuresPerDay: number;
  /** Milliseconds a wrong login waits for its answer; more as the failures of its address go on. */
  readonly failureDelay: number;
};

export type SubmissionOptions = {
  /** Greeting and EHLO. */
  readonly hostname: string;
  /** Who gets mail for `<postmaster>`; absent: it is refused. */
  readonly operator?: string | undefined;
  readonly listeners: readonly ListenerOptions[];
  readonly tls: TlsFiles;
  readonly limits: SubmissionLimits;
  readonly auth: AuthLimits;
  readonly credentials: Pick<Credentials, 'verify' | 'current' | 'renewed'>;
  /** Where failed logins are counted. */
  readonly failures: Pick<CredentialStore, 'putFailures' | 'failures'>;
  readonly quota: Pick<Quota, 'limitsOf' | 'atMail' | 'atRecipient' | 'refusal' | 'noteUse'>;
  readonly preparation: Pick<PreparationFactory, 'start'>;
  readonly queue: Pick<Queue, 'add'>;
  readonly destinationOf: DestinationFunction;
  /** False: the route of this recipient asks for no signature of ours. */
  readonly signs: SignsFunction;
  readonly log: EventLog;
  /** Milliseconds until a message is given up. */
  readonly lifetime: number;
  /** What stands for a login in the Received field. */
  readonly userToken: (name: string) => string;
  /** 452 4.3.1 while the disk is too full for another message. */
  readonly storeUsable: () => Refusal | undefined;
  readonly now?: Clock;
  /** Milliseconds by a clock that nobody sets, for deadlines. */
  readonly monotonic?: Clock;
};

/** What a running submission may be told anew. */
export type SubmissionChanges = Partial<Pick<SubmissionOptions, 'hostname' | 'limits' | 'auth' | 'lifetime'>>;

/** What all sessions share, as it is now. */
export type Shared = {
  options: SubmissionOptions;
  readonly now: Clock;
  readonly monotonic: Clock;
  readonly bruteForce: BruteForce;
  readonly knownClients: KnownClients;
  readonly handshakes: HandshakePace;
  /** Whose connections begin with a PROXY header. */
  proxies: { has(ip: string): boolean };
  /** Shutting down: a session ends as soon as its transaction has ended. */
  draining: boolean;
  /** What goes on though its session may have ended: messages on their way into the queue, and their removal. */
  readonly working: Set<Promise<unknown>>;
};

/** One connection that was accepted. */
export type SessionSetup = {
  readonly shared: Shared;
  readonly socket: Socket;
  /** What the handshake agreed on, where there was one before the session. */
  readonly tls: AgreedTls | undefined;
  readonly listener: ListenerName;
  readonly ip: string;
  /** The session is only told why there is none. */
  readonly refusal: Refusal | undefined;
  readonly tlsOptions: () => TLSSocketOptions;
  readonly onTlsFailed: (reason: string) => void;
  /** @returns milliseconds until its handshake may begin, undefined where it may not. */
  readonly nextHandshake: () => number | undefined;
  readonly onLogin: () => void;
  readonly onClose: () => void;
};

/** Who is turned away for failed logins. */
export type BruteForce = {
  /** True while the client's address, or the pair, has failed too often. */
  isBlocked(ip: string, user?: string): boolean;
  /** Counts at once. `kept` resolves when the store has it, and rejects when the store fails. */
  recordFailure(ip: string, user: string): { readonly inMinute: number; readonly kept: Promise<void> };
  reload(limits: AuthLimits): void;
};
