/** What was learned about the behaviour of logins, so that a restart does not forget it. */

/** `sender` is empty for the login as a whole. `record` is JSON, see policy/behaviour/subject.ts. */
export type BehaviourRecord = { readonly user: string; readonly sender: string; readonly record: string };

/** Each machine has records of its own. User names are in lower case. */
export type BehaviourStore = {
  record(user: string, sender: string): Promise<string | undefined>;
  /** Replaces what is stored for the same user and sender. No client waits for this call. */
  put(records: readonly BehaviourRecord[], now: number): Promise<void>;
  /** Removes all records of this user, on all machines. */
  forget(user: string): Promise<void>;
  /** Removes some records that were not written since `before`. @returns their number. */
  trim(before: number): Promise<number>;
};
