/** Findings of `doctor` that an operator does not want to be told of for a while. They are still looked for. */
import type { MutedFinding } from '../store/store.ts';
import { ControlError } from './control-error.ts';
import type { Parts } from './parts.ts';
import { iso } from './shapes.ts';

type Mute = ReturnType<typeof muteShape>;

type NewMute = {
  readonly check: string;
  readonly subject: string;
  readonly reason: string;
  /** Milliseconds since the epoch; null: until it is taken back. */
  readonly until: number | null;
};

export type MuteControl = {
  /** Those that have not ended. */
  list(): Promise<readonly Mute[]>;
  /** Replaces an older one. Rejects with `invalid` if it has no reason, or ends in the past. */
  add(mute: NewMute): Promise<Mute>;
  /** Rejects with `not found`. */
  remove(check: string, subject: string): Promise<void>;
};

const MAX_REASON = 500;

export function createMuteControl({ store, now, note, by }: Parts<unknown>): MuteControl {
  const current = async () => (await store.console.mutes()).filter(({ until }) => until === null || until > now());
  const find = async (check: string, subject: string) =>
    (await current()).find((mute) => mute.check === check && mute.subject === subject);

  return {
    list: async () => (await current()).map(muteShape),
    async add({ check, subject, reason, until }) {
      if (reason.trim() === '' || reason.length > MAX_REASON)
        throw new ControlError('invalid', 'reason', `A finding is muted for a reason of at most ${MAX_REASON} characters.`);
      if (until !== null && until <= now())
        throw new ControlError('invalid', 'until', 'A finding is muted until a time in the future.');
      const known = await find(check, subject);
      const mute = { check, subject, reason, by: by.name, at: now(), until };
      const view = note({
        ...{ action: 'finding.mute', target: `${check} ${subject}`.trim() },
        ...{ before: known && muteShape(known), after: muteShape(mute), gives: muteShape(mute) },
      });
      await view.console.putMute(mute);
      return muteShape(mute);
    },
    async remove(check, subject) {
      const known = await find(check, subject);
      if (known === undefined) throw new ControlError('not found', 'finding', `The finding ${check} ${subject} is not muted.`);
      const view = note({ action: 'finding.unmute', target: `${check} ${subject}`.trim(), before: muteShape(known) });
      await view.console.removeMute(check, subject);
    },
  };
}

function muteShape({ check, subject, reason, by, at, until }: MutedFinding) {
  return { check, subject, reason, by, at: iso(at), until: iso(until) };
}
