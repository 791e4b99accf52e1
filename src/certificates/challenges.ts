/** Answers to challenges, kept in the store so that any worker can give them: RFC 8555 §8.3, RFC 8737 §3. */
import { setTimeout } from 'node:timers/promises';
import type { OperationStore } from '../store/store.ts';

export type ChallengeType = 'http-01' | 'tls-alpn-01';

/** What a port is opened for, where it cannot be opened. */
export function purposeOf(challenge: ChallengeType): string {
  return `tls.mode acme needs it for the challenge ${challenge}`;
}

const PREFIX = 'acme.challenge.';
/** Milliseconds between two readings, so that a flood of requests costs the store next to nothing. */
const SPACING = 20;

/** @param name the token of http-01, the host name of tls-alpn-01 */
const nameOf = (type: ChallengeType, name: string) => `${PREFIX}${type}.${name}`;

export function putChallenge(operation: OperationStore, type: ChallengeType, name: string, answer: string): Promise<void> {
  return operation.setValue(nameOf(type, name), answer);
}

/** Nothing of an order that has ended, however it did, is answered any longer. */
export async function removeChallenges(operation: OperationStore): Promise<void> {
  for (const { name } of await operation.values(PREFIX)) await operation.setValue(name, null);
}

export type ChallengeAnswers = {
  /** What to answer for a token or host name; undefined: nothing is asked of it now. */
  find(name: string): Promise<string | undefined>;
};

/**
 * Looks up answers exactly. However many strangers ask, the store is read now and then: each reading serves all that waited for
 * it, and begins after they came, so that no answer is missed that was there before the question.
 */
export function createAnswers(operation: OperationStore, type: ChallengeType): ChallengeAnswers {
  let running: Promise<ReadonlyMap<string, string>> | undefined;
  let next: Promise<ReadonlyMap<string, string>> | undefined;

  async function read(): Promise<ReadonlyMap<string, string>> {
    const entries = await operation.values(nameOf(type, ''));
    return new Map(entries.map(({ name, value }) => [name.slice(nameOf(type, '').length), value]));
  }
  function fresh(): Promise<ReadonlyMap<string, string>> {
    if (running === undefined) {
      running = read().finally(() => {
        running = undefined;
      });
      return running;
    }
    next ??= running
      .catch(() => undefined)
      .then(() => setTimeout(SPACING))
      .then(() => {
        next = undefined;
        return fresh();
      });
    return next;
  }
  return {
    find: async (name) => (await fresh()).get(name),
  };
}
