/** What an attempt asks of the line of a provider, and what it is answered. Plain data, because the attempt may be in another thread. */
import type { Reply } from '../../smtp/reply.ts';
import type { Family } from '../ip-families.ts';
import type { Way, WayCause } from './provider-way.ts';
import type { DomainRest } from './refusals.ts';

/** For one attempt. It is plain data, so that it may go to another thread. */
export type Permit = {
  readonly provider: string;
  readonly way: string;
  /** The address of ours for each family of IP that may be used. */
  readonly sources: readonly Way[];
  /** Families of IP that the provider takes nothing from now. */
  readonly closed: readonly Family[];
  /** Why a family is closed, where the provider refuses our address in it. A host without another address is not tried then. */
  readonly closedBy?: { readonly reply: Reply; readonly since: number };
  /** Messages in one connection. */
  readonly perConnection: number;
  readonly probe: boolean;
  /** How many other attempts have a permit by the same address of ours. */
  readonly beside: number;
  readonly beganAt: number;
  /** Whether a sure refusal of our address holds all mail of the provider: in its own words, and in words that its customer may have written. */
  readonly believed: { readonly own: boolean; readonly other: boolean };
  /** At the fallback upstream: for how many recipients, and of which message. */
  readonly fallback?: { readonly granted: number; readonly message: string };
};

/** Mail waits for a provider. `until`: it makes no sense to come earlier. `since`: when the block began, milliseconds since the epoch. */
export type ProviderWait = {
  readonly provider: string;
  readonly until: number;
  /** The provider refuses our address: what it has said. Absent: it asks for less. */
  readonly blocked?: { readonly reply: Reply; readonly since: number };
  /** The address is new to the provider, and has sent what it may today. */
  readonly isNew?: true;
  /** It is one domain that refuses our address. */
  readonly refusedBy?: DomainRest;
};

/** An attempt that wants to begin. */
export type ProviderEntrant = {
  /** The key of a line of the table, or of a host set that none knows. */
  readonly provider: string;
  readonly ways: readonly Way[];
  /** The key of the host set. */
  readonly hosts: string;
  readonly message: string;
  /** It is no probe: mail of its user was taken for spam. */
  readonly isStruck: boolean;
  /** Of the sender. */
  readonly domain: string;
  /** Of the recipients. */
  readonly to: string;
  /** It goes first where little may go. */
  readonly priority: boolean;
  readonly signal: AbortSignal;
};

/** The beginning or the end of a block, for the operator. */
export type BlockNews = {
  readonly provider: string;
  readonly way: Way;
  readonly state: 'blocked' | 'open';
  readonly since: number;
  readonly cause: WayCause | undefined;
};
