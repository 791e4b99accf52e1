/**
 * What the main thread and the threads of sessions ask of each other. The main thread has all that is one for the machine: the ports, the
 * counts of clients and logins, the queue, the limits of destinations, policies, log and metrics. A thread has sessions, preparation,
 * signing and attempts. All numbers are given by the side that begins.
 */
import type { Socket } from 'node:net';
import type { MessagePort } from 'node:worker_threads';
import type { KnownVerdict, Misaligned, SenderIdentity } from '../../alignment/alignment.ts';
import type { Config } from '../../config/config.ts';
import type { Verification } from '../../credentials/credentials.ts';
import type { CourierOptions, Place, Places, TurnedAway } from '../../delivery/delivery.ts';
import type { RelayEvent } from '../../events/events.ts';
import type { Quota, QuotaDefaults, QuotaUser } from '../../policy/policy.ts';
import type { Queue } from '../../queue/queue.ts';
import type { LimitUse } from '../../smtp/limit.ts';
import type { Outcome } from '../../smtp/outcome.ts';
import type { Claim, Content } from '../../store/store.ts';
import type { ClientFacts, Entrance, HandedCaller, ListenerName, TlsFiles } from '../../submission/submission.ts';
import type { Unusable } from '../health.ts';
import type { Transferred } from './peer.ts';

/** What a thread is started with. */
export type ThreadData = {
  readonly config: Config;
  /** What follows from the configuration for users without limits of their own. */
  readonly limits: QuotaDefaults;
  /** Events that the main thread wants to hear of, because metrics count them. */
  readonly counted: ReadonlySet<string>;
  /** From 1 on. The main thread is 0. `threads`: with the main thread. */
  readonly thread: number;
  readonly threads: number;
  readonly queueIds: { readonly node: number; readonly newest: string };
  readonly tls: TlsFiles;
  /** A port to the store. */
  readonly store: MessagePort;
  readonly state: MachineState;
};

/** What sessions and attempts must know at once. Sent when it changes. */
export type MachineState = {
  readonly crowded: boolean;
  readonly unusable: Unusable | undefined;
  readonly validates: boolean;
};

/** `place` counts until `left`. */
type SentCaller = Omit<HandedCaller, 'place'> & { readonly place: number | undefined };

/** A spooled body is a file, so that only its name crosses. */
export type SentContent =
  | (Content & { readonly kind: 'inline' })
  | { readonly kind: 'spooled'; readonly prefix: Uint8Array<ArrayBuffer>; readonly spool: SpoolName };
type SpoolName = { readonly name: string; readonly size: number; readonly verify?: number };

type AddRequest = Parameters<Queue['add']>[0];
type AddResult = Awaited<ReturnType<Queue['add']>>;
/** `discard` becomes a number, by which the main thread asks for it. */
type SentMessage = Omit<AddRequest['message'], 'content'> & { readonly content: SentContent };
export type SentRequest = Pick<AddRequest, 'limits' | 'grant' | 'submitter'> & {
  readonly message: SentMessage;
  readonly discard: number;
};
type Denied = Extract<AddResult, { readonly denied: unknown }>;
type SentResult =
  | Exclude<AddResult, { readonly denied: unknown }>
  | (Omit<Denied, 'content'> & { readonly content: SentContent });

/** The content of a spooled body is read from the store. */
export type SentClaim = Omit<Claim, 'content'> & { readonly content: (Content & { readonly kind: 'inline' }) | 'spooled' };

type Entrant = Parameters<Places['enter']>[0];
/** `lookUp` by its number. */
export type SentEntrant = Omit<Entrant, 'home' | 'lookUp' | 'signal'> & { readonly lookUp: number; readonly destination: string };

type Policies = NonNullable<CourierOptions['sts']>;
type Results = NonNullable<CourierOptions['results']>;
type LeaveArguments = Parameters<Places['leave']>;

/** What a thread asks of the main thread. */
export type MainServices = {
  /** The thread works. */
  ready(): void;
  pong(): void;

  admit(number: number, caller: ClientFacts): Promise<Exclude<Entrance, object> | number>;
  /** The client has left while it waited for a place. */
  gone(number: number): void;
  loggedIn(place: number): void;
  left(place: number): void;
  nextHandshake(client: string): Promise<number | undefined>;
  repayHandshake(client: string): void;
  verify(login: { readonly name: string; readonly password: string }, caller: ClientFacts): Promise<Verification | 'blocked'>;
  recordFailure(ip: string, name: string): Promise<number>;

  add(request: SentRequest): Promise<SentResult | Transferred<SentResult>>;
  noteUse(...use: Parameters<Quota['noteUse']>): void;
  notifyLimit(user: QuotaUser, use: LimitUse, percent: 80 | 100): void;

  senderVerdict(sender: SenderIdentity): Promise<KnownVerdict | undefined>;
  tellMisaligned(problem: Misaligned): void;

  lookUp(number: number, destination: string): void;
  lookedUp(number: number): void;
  /** `hasRoom`: the first session of the attempt needs no `makeRoom`. */
  enter(number: number, entrant: SentEntrant): Promise<TurnedAway | (Omit<Place, 'number'> & { readonly hasRoom: boolean })>;
  makeRoom(number: number): Promise<void>;
  /** The attempt waits no longer. */
  leaveLine(number: number): void;
  leave(number: number, effect: LeaveArguments[1], reason: LeaveArguments[2], heard: LeaveArguments[3]): void;
  /** A slot at an upstream with a limit, see `Slots`. `leaveLine` ends the wait. */
  takeSlot(number: number, hosts: string, insists: boolean): Promise<TurnedAway | 'kept' | 'taken'>;
  giveSlot(number: number): void;
  /** A session of this host set waits for another message or has stopped waiting, or is being left or is closed. */
  idle(hosts: string, change: 1 | -1, isLeaving: boolean): void;
  validatesNow(): Promise<boolean>;
  policyFor(domain: string): ReturnType<Policies['policyFor']>;
  heal(...failed: Parameters<Policies['heal']>): ReturnType<Policies['heal']>;
  countSession(result: Parameters<Results['count']>[0]): void;

  /** Whole lines. */
  log(lines: string): void;
  /** For metrics. */
  observe(event: RelayEvent): void;
};

/** What the main thread asks of a thread. */
export type ThreadServices = {
  ping(): void;
  state(state: MachineState): void;
  /** @param caller undefined: a proxy has yet to name the client. */
  take(socket: Socket, listener: ListenerName, caller: SentCaller | undefined): void;
  deliver(number: number, claim: SentClaim): Promise<readonly Outcome[]>;
  /** @param reason of the signal. */
  abort(number: number, reason: unknown): void;
  discard(number: number): Promise<void>;
  /** Leaves the oldest idle sessions until `count` wait. */
  trim(count: number): void;
  /** Leaves one idle session of a host set. */
  drop(hosts: string): Promise<void>;
  noteUse(...use: Parameters<Quota['noteUse']>): void;
  store(port: MessagePort): void;
  setTls(tls: TlsFiles): void;
  reload(config: Config, limits: QuotaDefaults): void;
  /** Lets transactions end. Resolves when all sessions have ended, in `deadline` milliseconds at most. */
  drain(deadline: number): Promise<void>;
  /** Ends the attempts, and takes leave of all hosts. The thread ends after it. */
  close(): Promise<void>;
};
