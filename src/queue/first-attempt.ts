/** Direct delivery: which recipients of a new message get their first attempt from memory, before anything is read back. */
import type { Claim, ClaimLease, Content, NewMessage, StoredRecipient } from '../store/store.ts';
import { OVERHEAD, type Room } from './room.ts';

/** Recipients of one destination that one transaction takes. */
export const MAX_RECIPIENTS = 50;

type Group = { readonly destination: string; readonly indexes: number[] };

/** What `add` claims at once, and what it leaves to the runner. */
export type FirstAttempt = {
  readonly claim: readonly number[];
  readonly groups: readonly Group[];
  /** Destinations with recipients that wait in the store. */
  readonly left: readonly string[];
  /** Bytes that each group keeps in memory. */
  readonly bytes: number;
};

/** While shutting down: stored, and left to the next start. */
export const NOTHING: FirstAttempt = { claim: [], groups: [], left: [], bytes: 0 };

/** Takes room for what it plans: `release` gives it back. */
export function planFirstAttempts(message: NewMessage, room: Room): FirstAttempt {
  const bytes = bytesOf(message.content);
  const groups: Group[] = [];
  const left: string[] = [];
  for (const group of groupsOf(message)) {
    const { destination } = group;
    if (room.attempts(destination) > 0 && room.fits(destination, bytes)) {
      room.promise(destination, 1);
      room.take(destination, bytes);
      groups.push(group);
    } else left.push(destination);
  }
  return { claim: groups.flatMap((group) => group.indexes), groups, left, bytes };
}

/** Nothing is stored, or it is held: the room is free again. */
export function release({ groups, bytes }: FirstAttempt, room: Room): void {
  for (const { destination } of groups) {
    room.promise(destination, -1);
    room.give(destination, bytes);
  }
}

export function toClaim(
  group: Group,
  { message, content, lease }: { message: NewMessage; content: Content; lease: ClaimLease },
): Claim {
  const { recipients, content: _, token: __, ...facts } = message;
  return { lease, message: facts, recipients: group.indexes.map((n) => firstOf(recipients, n)), content };
}

function firstOf(recipients: NewMessage['recipients'], n: number): StoredRecipient {
  return { ...recipients[n]!, n, state: 'active', attempts: 0, nextAttemptAt: null, lastReply: null, delayReported: false };
}

/** Of a spooled body: the chunk of 128 KiB that is read, and the one on its way out. */
const CHUNKS = 256 * 1024;

/** What a message keeps in memory: all of an inline one, prefix and chunks of a spooled one. */
export function bytesOf(content: Content): number {
  return OVERHEAD + (content.kind === 'inline' ? content.bytes.length : content.prefix.length + CHUNKS);
}

function groupsOf({ recipients }: NewMessage): readonly Group[] {
  if (recipients.length === 1) return [{ destination: recipients[0]!.destination, indexes: [0] }];
  const open = new Map<string, Group>();
  const groups: Group[] = [];
  for (const [n, { destination }] of recipients.entries()) {
    let group = open.get(destination);
    if (group === undefined || group.indexes.length === MAX_RECIPIENTS) {
      group = { destination, indexes: [] };
      open.set(destination, group);
      groups.push(group);
    }
    group.indexes.push(n);
  }
  return groups;
}
