/**
 * Ids of messages in the queue. They fit into a reply, a log and a file name. Sorted as text, they are in the order of time.
 *
 *     queue-id = 9time 2node 6count      17 characters of ALPHABET, most significant first
 *     time     = milliseconds since 1970, good until the year 3084
 *     node     = random number of the maker, drawn once per store, so that ids of several relays differ
 *     count    = begins at one of 2^29 random values in each millisecond, then goes up by one, or by the number of threads
 *
 * Release 0.1 wrote 9time 4count. Ids of both forms can be sorted together.
 */
import { randomInt } from 'node:crypto';

/** Crockford's base 32 in lower case: no letters that look like digits. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const TIME_LENGTH = 9;
const NODE_LENGTH = 2;
const COUNT_LENGTH = 6;
const QUEUE_ID = /^[0-9a-hjkmnp-tv-z]{13}(?:[0-9a-hjkmnp-tv-z]{4})?$/;

/** Number of different nodes. */
export const NODES = 32 ** NODE_LENGTH;
/** Half of the values of `count`. The other half is room to count up. */
const COUNT_STARTS = 2 ** 29;
const COUNT_END = 2 ** 30;
const LAST_TIME = 32 ** TIME_LENGTH - 1;

/** The node of this process. Every opened store sets its node and its newest id by `continueQueueIds`. */
let node = randomInt(NODES);
let lastMillisecond = 0;
let count = 0;
/** Threads of one process have the same node, and each has a part of the values of `count`: those with this remainder. */
let part = 0;
let parts = 1;

/**
 * From now on ids have this node and sort after `newest`, even if the clock was set back.
 * @param made `node`: 0 to NODES - 1; null keeps the one that this process drew. `newest`: the newest id in the store.
 */
export function continueQueueIds(made: { readonly node: number | null; readonly newest: string | null }): void {
  if (made.node !== null && made.node >= 0 && made.node < NODES) node = Math.floor(made.node);
  if (made.newest === null || !QUEUE_ID.test(made.newest)) return;
  const time = decode(made.newest.slice(0, TIME_LENGTH));
  if (time >= lastMillisecond && time < LAST_TIME) begin(time + 1);
}

/** What a thread of this process continues by `joinQueueIds`. From now on this thread has part 0 of `parts`. */
export function shareQueueIds(now: number, count: number): { readonly node: number; readonly newest: string } {
  part = 0;
  parts = count;
  return { node, newest: anotherQueueId(now) };
}

/** In another thread of a process: its ids sort after `newest`, and never equal those of a thread with another part. */
export function joinQueueIds(made: {
  readonly node: number;
  readonly newest: string;
  readonly part: number;
  readonly parts: number;
}): void {
  part = made.part;
  parts = made.parts;
  continueQueueIds(made);
}

/** @param now milliseconds since the epoch. If the clock goes back, ids still go up. */
export function newQueueId(now: number): string {
  if (now > lastMillisecond) begin(now);
  else if ((count += parts) >= COUNT_END) begin(lastMillisecond + 1);
  return encode(lastMillisecond, TIME_LENGTH) + encode(node, NODE_LENGTH) + encode(count, COUNT_LENGTH);
}

/** A new id for a message whose id is taken. It is far from the next ids, which the other maker may have used too. */
export function anotherQueueId(now: number): string {
  begin(Math.max(now, lastMillisecond + 1));
  return newQueueId(now);
}

/** No id that was made at this time or later sorts before it. */
export function queueIdAt(time: number): string {
  return encode(Math.min(Math.max(0, time), LAST_TIME), TIME_LENGTH);
}

/** When an id was made, in milliseconds since the epoch. */
export function timeOfQueueId(id: string): number {
  return decode(id.slice(0, TIME_LENGTH));
}

function begin(millisecond: number): void {
  lastMillisecond = millisecond;
  count = randomInt(Math.floor(COUNT_STARTS / parts)) * parts + part;
}

function encode(value: number, length: number): string {
  let text = '';
  for (let rest = value, i = 0; i < length; i++) {
    text = ALPHABET[rest % 32] + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

function decode(text: string): number {
  let value = 0;
  for (const digit of text) value = value * 32 + ALPHABET.indexOf(digit);
  return value;
}
