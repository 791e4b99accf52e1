/** What people ask about messages: which ones, and what they get. */
import type { AttemptRecord, MessageFacts, RecipientState, StoredRecipient } from './message-store.ts';

/** A message with all its recipients, for `queue list` and `trace`. */
export type StoredMessage = MessageFacts & {
  readonly recipients: readonly (StoredRecipient & { readonly trace: readonly AttemptRecord[] })[];
};

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
