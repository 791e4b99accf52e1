/** Answers to challenges. The store keeps them, so that any process can give them: RFC 8555 §8.3, RFC 8737 §3. */
import { setTimeout } from 'node:timers/promises';
import type { OperationStore } from '../store/store.ts';

export type ChallengeType = 'http-01' | 'tls-alpn-01';

/** Says in an error message why the port is needed. */
export function purposeOf(challenge: ChallengeType): string {
  return `tls.mode acme needs it for the challenge ${challenge}`;
}

const PREFIX = 'acme.challenge.';
/** Milliseconds between two reads, so that many requests cost the store very little. */
const SPACING = 20;

/** @param name the token of http-01, the host name of tls-alpn-01 */
const nameOf = (type: ChallengeType, name: string) => `${PREFIX}${type}.${name}`;

export function putChallenge(operation: OperationStore, type: ChallengeType, name: string, answer: string): Promise<void> {
  return operation.setValue(nameOf(type, name), answer);
}

/** Called at the end of an order, whatever its result: its challenges are no longer answered. */
export async function removeChallenges(operation: OperationStore): Promise<void> {
  for (const { name } of await operation.values(PREFIX)) await operation.setValue(name, null);
}

export type ChallengeAnswers = {
  /** The answer for a token or host name; undefined if it has no open challenge. */
  find(name: string): Promise<string | undefined>;
};

/**
 * Looks up answers with few reads of the store, however many requests come. One read serves all requests that wait for it.
 * It starts after they came, so each request sees every answer that was stored before it.
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
