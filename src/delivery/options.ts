/** What delivery needs to know, and what it offers: the types of its front door. */
import type { Dns } from '../dns/dns.ts';
import type { EventLog } from '../events/events.ts';
import type { Outcome } from '../smtp/outcome.ts';
import type { DestinationFunction, IpPolicy, Route, SignsFunction, TlsLevel } from '../smtp/route.ts';
import type { Claim, OperationStore } from '../store/store.ts';
import type { Clock } from '../system/clock.ts';

/** Milliseconds: RFC 5321 §4.5.3.2. `command` is one reply to EHLO, STARTTLS, AUTH, MAIL or RCPT, and a TLS handshake. */
export type Timeouts = {
  readonly connect: number;
  readonly greeting: number;
  readonly command: number;
  readonly data: number;
  readonly block: number;
  readonly dot: number;
};

export type DeliveryOptions = {
  readonly hostname: string;
  readonly dns: Dns;
  readonly log: EventLog;
  /** Keeps back-off over a restart. */
  readonly operation: Pick<OperationStore, 'paces' | 'putPace' | 'removePace'>;
  readonly routes: readonly Route[];
  /** Port of MX hosts. */
  readonly port: number;
  readonly ip: IpPolicy;
  /** Local addresses to send from; empty: the system chooses. */
  readonly source: readonly string[];
  /** Networks in CIDR that MX hosts may lie in though they are private. */
  readonly allowPrivate: readonly string[];
  readonly tls: TlsLevel;
  /** 8-bit content and a host without 8BITMIME: send it as it is, or fail with 5.6.3. */
  readonly eightBit: 'send' | 'return';
  /** Sessions at most to one MX host set. */
  readonly concurrency: number;
  /** Sessions at most to all destinations together. */
  readonly maxSessions: number;
  readonly timeouts: Timeouts;
  /** PEM file of further roots to trust. */
  readonly caFile?: string;
  readonly now?: Clock;
  /** Addresses that are ourselves; default: those of this machine's interfaces that are neither loopback nor private. */
  readonly ownAddresses?: () => readonly string[];
};

export type Delivery = {
  /**
   * Never rejects. One Outcome per recipient of the claim, same order. `signal` aborted: hands back (`returned`) what has not
   * sent its final dot; what has waits for its reply, and is `uncertain` when `signal.reason` is 'now'.
   */
  deliver(claim: Claim, signal: AbortSignal): Promise<readonly Outcome[]>;
  /** What deliveries are grouped by: `route:<first host>` when a route matches, else the domain. Pure. */
  destinationOf: DestinationFunction;
  /** False: its route asks for no signature of ours; decided when the message is accepted. Pure. */
  signs: SignsFunction;
  /** How many more attempts this destination takes now, running and waiting in memory under its limit; 0 while it is backed off. */
  room(destination: string): number;
  /** Called when a destination that had no room has room again. */
  onRoom(listener: (destination: string) => void): void;
  /** When a backed-off destination may be tried again; undefined: now. */
  blockedUntil(destination: string): number | undefined;
  /** How many sets of MX hosts are left alone now. */
  resting(): number;
  /** The operator asks for an attempt at this destination: it lifts the rest of its hosts once. */
  tryNow(destination: string): void;
  /** Builds all that follows from the options; the function returned swaps it in and cannot fail. @throws where it cannot be built. */
  prepareReload(changes: Partial<DeliveryOptions>): () => void;
  reload(changes: Partial<DeliveryOptions>): void;
  /** Says QUIT to idle hosts. Ends what still runs. */
  close(): Promise<void>;
};
