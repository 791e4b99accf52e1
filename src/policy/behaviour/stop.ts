/** A login, or a sender of a mail server, whose mail does not leave: what is stored of it, as JSON in small values. */
import { lowerAscii } from '../../smtp/text.ts';
import { DAY } from '../../system/clock.ts';
import type { Profile, Signal } from './signals.ts';

/**
 * held: mail is accepted and stays. refused: no mail is accepted, and the old stays. releasing: the old leaves step by step.
 * released: nothing is held, and the thresholds are higher until `trustUntil`.
 */
type StopState = 'held' | 'refused' | 'releasing' | 'released';

export type Stop = {
  /** New with each stop. */
  readonly id: string;
  /** In lower case. */
  readonly user: string;
  /** The envelope sender, in lower case; `<>` is the null one. Empty: all mail of the login. */
  readonly sender: string;
  readonly state: StopState;
  /** When it was stopped, milliseconds since the epoch. 0: never; the operator has said that it is trusted. */
  readonly since: number;
  readonly by: 'relay' | 'operator';
  readonly profile: Profile;
  readonly score: number;
  readonly signals: readonly Signal[];
  /** Addresses of clients, and subjects, as far as they are known. */
  readonly firstSource?: string;
  readonly lastSource?: string;
  readonly subjects: readonly string[];
  /** Messages that were accepted in the hour before. */
  readonly messages: number;
  /** The login was disabled too. */
  readonly disabled: boolean;
  /** Receivers call its mail spam, so that its senders, who may be forged, get no warnings. */
  readonly quiet: boolean;
  /** Queue ids of the notices. */
  readonly notices: readonly string[];
  /** It was stopped before within a week, so that no link releases it. */
  readonly again?: true;
  /** SHA-256 of the one-time link, in hexadecimal. Absent: it may not be released by a link. */
  readonly link?: string;
  readonly linkUntil?: number;
  readonly releasedAt?: number;
  readonly trustUntil?: number;
};

/** Someone has called this mail spam. `at`: when the relay heard of it, milliseconds since the epoch. */
export type HeardComplaint = { readonly user: string; readonly reversePath: string; readonly at: number };

/** What the operator has set for a login. Absent: what follows from it. */
export type UserTraits = { readonly profile?: Profile; readonly bulk?: boolean; readonly contact?: string };

export const STOP_PREFIX = 'behaviour.stop.';
export const TRAITS_PREFIX = 'behaviour.user.';
/** Small values by which a command tells the relay of a complaint. */
export const COMPLAINT_PREFIX = 'behaviour.complaint.';
/** So long a release makes the thresholds higher, by default. */
export const TRUSTED_FOR = 30 * DAY;
export const LINK_LIFETIME = DAY;
/** After another stop within this time, no link releases. */
export const AGAIN = 7 * DAY;

type Whose = Pick<Stop, 'user' | 'sender'>;

/** The name of the small value. */
export function stopName({ user, sender }: Whose): string {
  return `${STOP_PREFIX}${encodeURIComponent(user)}/${encodeURIComponent(sender)}`;
}

export function traitsName(user: string): string {
  return TRAITS_PREFIX + encodeURIComponent(loginKey(user));
}

/** User names and addresses are compared without ASCII case. */
export const loginKey = lowerAscii;

/** @returns `<>` for the null reverse-path. */
export function senderKey(reversePath: string): string {
  return reversePath === '' ? '<>' : loginKey(reversePath);
}

/** Holds nothing back, and changes no threshold any more. */
export function isOver({ state, trustUntil = 0, since }: Stop, now: number): boolean {
  return state === 'released' && trustUntil <= now && since + AGAIN <= now;
}

/** The facts of a stop, or of trust, that an operator asks for. */
export function newOperatorStop(
  { user, sender, profile }: Whose & { readonly profile: Profile },
  facts: Pick<Stop, 'id' | 'state' | 'since'> & Partial<Stop>,
): Stop {
  const none = { score: 0, signals: [], subjects: [], messages: 0, disabled: false, quiet: false, notices: [] };
  return { ...none, user, sender, profile, by: 'operator', ...facts };
}

export function parseComplaint(value: string): HeardComplaint | undefined {
  return parse<HeardComplaint>(value, ({ user, at }) => typeof user === 'string' && typeof at === 'number');
}

/** Undefined: the value is not readable. */
export function parseStop(value: string): Stop | undefined {
  return parse<Stop>(value, (stop) => typeof stop.user === 'string' && typeof stop.state === 'string');
}

export function parseTraits(value: string): UserTraits | undefined {
  return parse<UserTraits>(value, () => true);
}

function parse<T>(value: string, isWhole: (found: T) => boolean): T | undefined {
  try {
    const found = JSON.parse(value) as T | null;
    return typeof found === 'object' && found !== null && isWhole(found) ? found : undefined;
  } catch {
    return undefined;
  }
}
