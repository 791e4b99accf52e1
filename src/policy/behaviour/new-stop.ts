/** The facts of a new stop. */
import { randomBytes } from 'node:crypto';
import { newQueueId } from '../../smtp/queue-id.ts';
import type { Watched } from './logins.ts';
import type { BehaviourVerdict, Profile } from './signals.ts';
import { AGAIN, type Stop } from './stop.ts';

type StopFacts = {
  readonly watched: Watched;
  readonly verdict: BehaviourVerdict;
  readonly profile: Profile;
  /** The last stop of the same. */
  readonly before: Stop | undefined;
  readonly now: number;
};

export function newStop({ watched, verdict, profile, before, now }: StopFacts): Stop {
  const { user, sender, firstSource, lastSource, subjects, subject } = watched;
  const { score, signals, stolen } = verdict;
  return {
    ...{ id: randomBytes(12).toString('hex'), user, sender, state: 'held', since: now, by: 'relay', profile, score, signals },
    ...(firstSource === undefined ? {} : { firstSource }),
    ...(lastSource === undefined ? {} : { lastSource }),
    subjects: [...subjects],
    messages: subject.messages(now),
    disabled: stolen && profile !== 'server',
    quiet: signals.some(({ name }) => name === 'spamRefusals'),
    ...(before !== undefined && before.by === 'relay' && before.since > now - AGAIN ? { again: true } : {}),
    notices: [newQueueId(now), newQueueId(now)],
  };
}
