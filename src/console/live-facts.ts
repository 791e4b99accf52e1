/** What the parts of the running relay know, beside what is stored. All of it is in memory, so that asking costs mail nothing. */
import type { RelayEvent } from '../events/events.ts';
import type { RefusedCommand } from '../store/store.ts';

/** Times are milliseconds since the epoch. */
export type LiveFacts = {
  /** @param users only mail of these logins. null: all. */
  readonly lastHour: (users: readonly string[] | null) => LastHour;
  /** Refusals of the last seconds that the store does not have yet, the newest first. */
  readonly refusals: () => readonly RefusedCommand[];
  /** The destinations that have had mail since the start, or that rest. */
  readonly destinations: () => readonly LiveDestination[];
  readonly condition: () => LiveCondition;
  /** Other relays have the store too. */
  readonly isShared: () => boolean;
  /** @returns ends it. */
  readonly watch: (listener: (event: RelayEvent) => void) => () => void;
  readonly log: LogTail;
};

/** What happened in the last hour, or since the start. `accepted` counts messages, `refused` refusals, the others recipients. */
export type LastHour = {
  readonly since: number;
  readonly counts: Readonly<
    Record<'accepted' | 'relayed' | 'delayed' | 'failed' | 'expired' | 'refused' | 'loginsFailed', number>
  >;
  /** From the acceptance to the reply of the destination, in seconds: half of the relayed recipients took less, 95 % took less. */
  readonly latency: { readonly count: number; readonly half: number | null; readonly most: number | null };
  /** The newest first. */
  readonly failures: readonly LastFailure[];
};

type LastFailure = {
  readonly at: number;
  readonly id: string;
  readonly recipient: string;
  readonly user: string | null;
  /** null: its lifetime was over. */
  readonly reply: string | null;
};

/** One destination: a domain, or a route. `hosts`: null: not looked up since the start. */
export type LiveDestination = {
  readonly destination: string;
  readonly hosts: string | null;
  readonly provider: string | null;
  /** Sessions in use and at most now, of the hosts with all their destinations. */
  readonly sessions: number;
  readonly allowed: number;
  /** Attempts that wait for a session. */
  readonly inLine: number;
  readonly rest: { readonly until: number; readonly failures: number; readonly reason: string } | null;
  readonly heard: Heard24h | null;
};

/** What a domain has said in the last 24 hours, or since the start. */
export type Heard24h = {
  readonly since: number;
  /** The most frequent first. `status` is empty where there was none. */
  readonly replies: readonly { readonly code: number; readonly status: string; readonly count: number }[];
  /** Sessions by TLS version, one per recipient. null: without TLS. */
  readonly tls: readonly { readonly version: string | null; readonly count: number }[];
  readonly last: { readonly at: number; readonly outcome: string; readonly reply: string; readonly mx: string | null };
  /** The last one that was opened. null: none. */
  readonly session: HeardSession | null;
};

/** What a session was worth, and what a certificate was accepted by. `tls`: null: none. `policyId`: of the policy of MTA-STS that it met. */
export type HeardSession = {
  readonly at: number;
  readonly mx: string | null;
  readonly tls: string | null;
  readonly assurance: string;
  readonly proof: string | null;
  readonly policyId: string | null;
  /** By the fallback upstream, so that it says nothing about the hosts of the domain. */
  readonly fallback: boolean;
};

export type LiveCondition = {
  /** Why no new mail is taken. null: it is. */
  readonly unusable: 'diskTooFull' | 'storeUnreachable' | 'unsure' | null;
  /** Bytes. null: the store is on no disk of this machine. */
  readonly disk: { readonly free: number; readonly wanted: number } | null;
  readonly certificates: readonly { readonly keyType: string; readonly notAfter: number; readonly failures: number }[];
  /** What is wrong with certificates, or will be, in sentences. */
  readonly certificateTroubles: readonly string[];
  /** Outbound port 25, as it was found at the start. `unknown`: not looked at, or no answer yet. */
  readonly port25: 'open' | 'closed' | 'unknown';
  /** By how many seconds this machine is ahead of the shared database. null: there is none. */
  readonly skew: number | null;
  readonly sessions: number;
  /** Sets of hosts that rest, of those that are known. */
  readonly resting: { readonly now: number; readonly known: number };
  /** Providers that refuse our address. */
  readonly blocked: readonly { readonly provider: string; readonly since: number; readonly reply: string }[];
  /** Logins, and senders of mail servers, whose mail is held. */
  readonly stopped: readonly { readonly user: string; readonly sender: string; readonly since: number }[];
};

/** Lines of the log, as JSON without the end of the line. `seq` grows by one with each line since the start. */
type LogTail = {
  readonly recent: () => readonly { readonly seq: number; readonly line: string }[];
  /** @returns ends it. */
  readonly watch: (listener: (seq: number, line: string) => void) => () => void;
};
