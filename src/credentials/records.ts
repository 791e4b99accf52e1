/** Credentials as the store has them, remembered for 2 s: a change takes effect within 5 s, and a storm of logins reads once. */
import type { Credential, CredentialStore } from '../store/store.ts';
import { createCache } from '../system/cache.ts';
import { type Clock, SECOND } from '../system/clock.ts';

const FRESH = 2 * SECOND;
const REMEMBERED = 10_000;

/** The memory of unknown names is bounded like that of known ones: who tries many cannot fill the process. */
/** @param now a clock that is never set back: what is remembered would be believed for as long. */
export function createRecords(store: Pick<CredentialStore, 'get'>, now: Clock) {
  const known = createCache<string, { readonly record: Credential | undefined; readonly until: number }>(REMEMBERED);
  const asked = new Map<string, Promise<Credential | undefined>>();

  function load(name: string): Promise<Credential | undefined> {
    const shared = asked.get(name);
    if (shared !== undefined) return shared;
    const answer: Promise<Credential | undefined> = store
      .get(name)
      .then((record) => {
        if (asked.get(name) === answer) known.set(name, { record, until: now() + FRESH });
        return record;
      })
      .finally(() => {
        if (asked.get(name) === answer) asked.delete(name);
      });
    asked.set(name, answer);
    return answer;
  }

  return {
    /** @param name in its normal form. */
    async get(name: string): Promise<Credential | undefined> {
      const found = known.get(name);
      return found !== undefined && now() < found.until ? found.record : load(name);
    },
    /** What is remembered of it; undefined: the store has to be asked. */
    remembered(name: string): Credential | undefined {
      const found = known.get(name);
      return found !== undefined && now() < found.until ? found.record : undefined;
    },
    /** As the store has it now, whatever is remembered. */
    ask(name: string): Promise<Credential | undefined> {
      asked.delete(name); // what is being asked already may be answered with what was true before
      return load(name);
    },
    /** Also what is being asked now may be old already: it is not remembered. */
    forget(): void {
      known.clear();
      asked.clear();
    },
  };
}
