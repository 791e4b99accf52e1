/** What a relay can do when the database that it shares was restored while it ran. */
import type { Content, MessageFacts, StoredRecipient } from './message-store.ts';

/** A message as a relay has it in memory, with some of its recipients. */
export type ForgottenMessage = {
  readonly message: MessageFacts;
  readonly recipients: readonly StoredRecipient[];
  readonly content: Content & { readonly kind: 'inline' };
};

export type RestoredStore = {
  /** Called when the database has gone back in time and all of its mail is held, whichever relay has found it. */
  onWentBack(listener: () => void): void;
  /** Stores a message that the database has forgotten, held. @returns false if it is there. */
  putBack(forgotten: ForgottenMessage): Promise<boolean>;
  /** Whether the database has forgotten this message. */
  lacks(id: string): Promise<boolean>;
};
