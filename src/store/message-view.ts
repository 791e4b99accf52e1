/** What people ask about messages: which ones, and what they get. */

import type { AttemptRecord } from './attempt-record.ts';
import type { MessageFacts, RecipientState, StoredRecipient } from './message-store.ts';

/** A message with all its recipients, for `queue list` and `trace`. */
export type StoredMessage = MessageFacts & {
  readonly recipients: readonly (StoredRecipient & { readonly trace: readonly AttemptRecord[] })[];
};

/** Some recipients of one message, by their numbers, which begin at 0. */
export type RecipientPart = { readonly from: number; readonly limit: number };

/** Which recipients that have not ended. What is given must all fit. */
export type RecipientFilter = {
  /** The domain of the recipient. */
  readonly domain?: string;
  /** What its delivery is grouped by: its domain, or a route. */
  readonly destination?: string;
  /** The login of the message. */
  readonly user?: string;
  readonly states?: readonly RecipientState[];
  /** The message was accepted before this time. */
  readonly acceptedBefore?: number;
  /** Only messages up to this queue id, so that mail which came later is not changed. */
  readonly upTo?: string;
};

/** The recipients of a command: those of the messages with these `ids`, or those that the filter chooses. `all`: every recipient that has not ended. */
export type Selection = RecipientFilter & { readonly ids?: readonly string[]; readonly all?: boolean };

/** What a selection holds now. With `upTo`, the same selection holds nothing that came later. */
export type SelectionPreview = {
  readonly recipients: number;
  readonly messages: number;
  readonly oldestAcceptedAt: number | null;
  readonly upTo: string;
};

export type ListQuery = {
  /** Only messages with a recipient in one of these states. Default: all states that are not ended. */
  readonly states?: readonly RecipientState[];
  readonly domain?: string;
  readonly user?: string;
  /** Begins behind this message id. */
  readonly after?: string;
  /** Default 100, at most 1000. */
  readonly limit?: number;
};

/** Which messages are shown. What is given must all fit. Texts are looked for anywhere in the field; the case of ASCII letters does not count. */
export type BrowseQuery = {
  readonly user?: string;
  /** Only mail of these logins, for someone who may see no other. */
  readonly users?: readonly string[];
  /** With angle brackets or without. */
  readonly messageId?: string;
  /** Only these messages. */
  readonly ids?: readonly string[];
  /** None of these messages. */
  readonly except?: readonly string[];
  /** Only reports about this message. */
  readonly about?: string;
  /** In the reverse-path. */
  readonly sender?: string;
  readonly subject?: string;
  /** In the address of a recipient. */
  readonly recipient?: string;
  /** What the delivery of a recipient is grouped by. */
  readonly destination?: string;
  /** Of a recipient. With `recipient` or `destination`: of the same one. */
  readonly states?: readonly RecipientState[];
  /** Accepted at this time or later. */
  readonly since?: number;
  /** Accepted before this time. */
  readonly until?: number;
  /** Only older messages than the one with this id. */
  readonly before?: string;
  /** Only newer messages than the one with this id. */
  readonly after?: string;
  readonly limit: number;
  /** Milliseconds after which no further step is begun. Default: no end. */
  readonly budget?: number;
};

/** A message in a list: `recipients` has at most 20, those that fit the query; `states` counts all of them. */
export type BrowsedMessage = MessageFacts & {
  readonly recipients: readonly StoredRecipient[];
  readonly states: Readonly<Partial<Record<RecipientState, number>>>;
};

export type BrowsedPage = {
  /** The newest first. */
  readonly items: readonly BrowsedMessage[];
  /** The `before` of the next page. null: there is nothing older. */
  readonly next: string | null;
  /** The time back to which all messages were looked at. null: to the oldest one. */
  readonly searchedBackTo: number | null;
};

/** A destination with waiting mail. */
export type QueueSummaryRow = {
  readonly destination: string;
  readonly recipients: number;
  readonly oldestAcceptedAt: number;
  readonly nextAttemptAt: number | null;
};

/** What a part of the queue is grouped by: the key of deliveries, or the login. */
export type QueueGroupQuery = {
  readonly by: 'destination' | 'user';
  /** Only mail of these logins. */
  readonly users?: readonly string[];
  readonly limit: number;
};

/** Recipients that have not ended, of one destination or login. `name` is empty for our own mail. */
export type QueueGroup = {
  readonly name: string;
  readonly recipients: number;
  readonly messages: number;
  readonly states: Readonly<Partial<Record<RecipientState, number>>>;
  readonly oldestAcceptedAt: number;
  /** null: none of them waits for a time. */
  readonly nextAttemptAt: number | null;
  /** What the oldest message was told last. null: nothing yet. */
  readonly lastReply: string | null;
};

/** A recipient that a command changed. */
export type Touched = { readonly id: string; readonly recipient: string; readonly state: RecipientState };

/** A command has held, released or removed a recipient. */
export type Notice = { readonly event: 'held' | 'released' | 'removed'; readonly id: string; readonly recipient: string };

export type OverLimit = {
  readonly users: readonly string[];
  readonly expired: readonly {
    readonly id: string;
    readonly reversePath: string;
    readonly recipients: readonly StoredRecipient[];
  }[];
};

export type HeldMail = { readonly provider: string; readonly recipients: number; readonly oldestAcceptedAt: number };

/** Both in the form of the keys in the store. */
export type KnownRecipient = { readonly user: string; readonly address: string };
