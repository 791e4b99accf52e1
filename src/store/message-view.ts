/** What people ask about messages: which ones, and what they get. */
import type { AttemptRecord, MessageFacts, RecipientState, StoredRecipient } from './message-store.ts';

/** A message with all its recipients, for `queue list` and `trace`. */
export type StoredMessage = MessageFacts & {
  readonly recipients: readonly (StoredRecipient & { readonly trace: readonly AttemptRecord[] })[];
};

/** The recipients of a command. `all`: every recipient that has not ended. */
export type Selection = { readonly ids?: readonly string[]; readonly domain?: string; readonly all?: boolean };

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
