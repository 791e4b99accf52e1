/** What each part of control is given. */
import { randomUUID } from 'node:crypto';
import type { ChangeNote, RequestAnswer, RequestKey, StoreData } from '../store/store.ts';
import type { Clock } from '../system/clock.ts';

/** Who acts. Every change says so, in a row of its own that `changes` shows. */
export type Actor = {
  /** An account, a token, a user of the system, or `smarthost` for what the relay does by itself. */
  readonly name: string;
  readonly way: ChangeNote['way'];
  /** Of the client. */
  readonly address?: string | undefined;
  /** What the caller may repeat without its being done twice. */
  readonly request?: RepeatableRequest | undefined;
};

/** The key of a request, and what it is answered when its action gives something. */
export type RepeatableRequest = RequestKey & { readonly answerOf?: (given: unknown) => RequestAnswer };

/** What an action does. `before` and `after` are shapes without secrets; absent: there was nothing, or nothing is left. */
type Deed = {
  readonly action: string;
  readonly target: string;
  readonly before?: unknown;
  readonly after?: unknown;
  /**
   * What HTTP answers to the whole request, if this change completes it. It is stored with the change, so that a request that is repeated
   * because its answer was lost gets the same: a password that is shown once would be gone. Absent: more follows, or nothing can be said yet.
   */
  readonly gives?: unknown;
};

export type Parts<Settings> = {
  readonly store: StoreData;
  /** Returns the current settings: a running relay can reload its configuration. */
  readonly settings: () => Settings;
  readonly now: Clock;
  readonly by: Actor;
  /** The data, for the changes of one action: the first of them writes the row, in its transaction. Reads need no view of it. */
  readonly note: (deed: Deed) => StoreData;
};

export function noteAs({ store, now }: Pick<Parts<unknown>, 'store' | 'now'>, by: Actor) {
  return (deed: Deed): StoreData => store.noted(noteOf(deed, by, now()));
}

/** The row of an action. */
export function noteOf({ action, target, before = null, after = null, gives }: Deed, by: Actor, at: number): ChangeNote {
  const { name, way, address, request } = by;
  const said = { actor: name, way, address: address ?? null, action, target, before, after };
  return { id: randomUUID(), at, ...said, ...(request === undefined ? {} : { request: answered(request, gives) }) };
}

function answered({ owner, key, answerOf }: RepeatableRequest, gives: unknown): NonNullable<ChangeNote['request']> {
  return gives === undefined || answerOf === undefined ? { owner, key } : { owner, key, answer: answerOf(gives) };
}
