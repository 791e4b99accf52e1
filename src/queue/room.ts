/**
 * How much may be under way: bytes of bodies in memory, and attempts promised to a destination but not yet begun. And direct delivery:
 * which recipients of a new message get their first attempt from memory, before anything is read back.
 */
import type { Claim, ClaimLease, Content, NewMessage, StoredRecipient } from '../store/store.ts';

/** One destination may take this part of what is free, so the more is in use the less any one may add to it. */
const SHARE = 8;
/** What a message costs besides its body. */
const OVERHEAD = 2048;
/** Of a spooled body: the chunk of 128 KiB that is read, and the one on its way out. */
const CHUNKS = 256 * 1024;
/** Recipients of one destination that one transaction takes. */
export const MAX_RECIPIENTS = 50;

type Promises = ReturnType<typeof createPromises>;
export type Room = ReturnType<typeof createRoom>;

/** @param room how many more attempts a destination takes; it does not know of those that wait for the store's answer. */
export function createPromises(room: (destination: string) => number) {
  const promised = new Map<string, number>();
  return {
    /** How many more attempts may be promised now. */
    attempts: (destination: string): number => room(destination) - (promised.get(destination) ?? 0),
    /** A negative count gives back. */
    promise: (destination: string, count: number): void => add(promised, destination, count),
  };
}

/** @param total bytes of bodies at most. */
export function createRoom(total: number, promises: Promises) {
  const bytes = new Map<string, number>();
  let free = total;
  return {
    ...promises,
    /** A destination with nothing in memory may always have one message, so that hanging ones never lock out another. */
    fits(destination: string, size: number): boolean {
      const used = bytes.get(destination) ?? 0;
      return size <= free && (used === 0 || used + size <= free / SHARE);
    },
    take(destination: string, size: number): void {
      free -= size;
      add(bytes, destination, size);
    },
    give(destination: string, size: number): void {
      free += size;
      add(bytes, destination, -size);
    },
    free: () => free,
  };
}

/** What a message keeps in memory: all of an inline one, prefix and chunks of a spooled one. */
export function bytesOf(content: Content): number {
  return OVERHEAD + (content.kind === 'inline' ? content.bytes.length : content.prefix.length + CHUNKS);
}

type Group = { readonly destination: string; readonly indexes: number[] };
type Accepted = { readonly message: NewMessage; readonly content: Content; readonly lease: ClaimLease };
type Beginning = {
  readonly start: (claim: Claim, done: () => void) => void;
  /** For destinations with recipients that wait in the store. */
  readonly announce: (destination: string) => void;
};

/** Keeps room for the first attempts of a new message until `release`. */
export function planFirstAttempts(message: NewMessage, room: Room) {
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
  let begun = false;
  return {
    /** Indexes of the recipients to claim. */
    indexes: groups.flatMap(({ indexes }) => indexes),
    /** The message is stored, and those recipients are claimed. Each attempt keeps its bytes until it is done. */
    begin(accepted: Accepted, { start, announce }: Beginning): void {
      begun = true;
      for (const group of groups) start(toClaim(group, accepted), () => room.give(group.destination, bytes));
      for (const destination of left) announce(destination);
    },
    /** The store has answered: begun attempts count as running, others never come. */
    release(): void {
      for (const { destination } of groups) {
        room.promise(destination, -1);
        if (!begun) room.give(destination, bytes);
      }
    },
  };
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

function toClaim(group: Group, { message, content, lease }: Accepted): Claim {
  const { recipients, content: _, token: __, ...facts } = message;
  return { lease, message: facts, recipients: group.indexes.map((n) => firstOf(recipients, n)), content };
}

function firstOf(recipients: NewMessage['recipients'], n: number): StoredRecipient {
  return { ...recipients[n]!, n, state: 'active', attempts: 0, nextAttemptAt: null, lastReply: null, delayReported: false };
}

function add(map: Map<string, number>, key: string, amount: number): void {
  const sum = (map.get(key) ?? 0) + amount;
  if (sum > 0) map.set(key, sum);
  else map.delete(key);
}
