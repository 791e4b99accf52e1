/**
 * Names of messages in the queue. They fit in a reply, a log and a file name, and sort by time as text.
 *
 *     queue-id = 9time 2node 6count      17 characters of ALPHABET, most significant first
 *     time     = milliseconds since 1970, good until the year 3084
 *     node     = who made it: drawn once for each store, so that several relays do not meet
 *     count    = begins at one of 2^29 values in each millisecond, then goes up by one
 *
 * Release 0.1 wrote 9time 4count. Both sort together.
 */
import { randomInt } from 'node:crypto';

/** Crockford's base 32 in lower case: no letters that look like digits. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const TIME_LENGTH = 9;
const NODE_LENGTH = 2;
const COUNT_LENGTH = 6;
const QUEUE_ID = /^[0-9a-hjkmnp-tv-z]{13}(?:[0-9a-hjkmnp-tv-z]{4})?$/;

/** How many nodes can be told apart. */
export const NODES = 32 ** NODE_LENGTH;
/** Half of what `count` holds: the other half is room to go up. */
const COUNT_STARTS = 2 ** 29;
const COUNT_END = 2 ** 30;
const LAST_TIME = 32 ** TIME_LENGTH - 1;

/** Of this process. Every store that is opened tells its node and its newest id, see `continueQueueIds`. */
let node = randomInt(NODES);
let lastMillisecond = 0;
let count = 0;

/**
 * From now on ids carry this node and stand after `newest`, also where the clock was set back.
 * @param made `node`: 0 to NODES - 1, null keeps the one that this process drew. `newest`: the newest id that the store holds.
 */
export function continueQueueIds(made: { readonly node: number | null; readonly newest: string | null }): void {
  if (made.node !== null && made.node >= 0 && made.node < NODES) node = Math.floor(made.node);
  if (made.newest === null || !QUEUE_ID.test(made.newest)) return;
  const time = decode(made.newest.slice(0, TIME_LENGTH));
  if (time >= lastMillisecond && time < LAST_TIME) begin(time + 1);
}

/** @param now milliseconds since the epoch. A clock that goes back does not take the ids along. */
export function newQueueId(now: number): string {
  if (now > lastMillisecond) begin(now);
  else if (++count >= COUNT_END) begin(lastMillisecond + 1);
  return encode(lastMillisecond, TIME_LENGTH) + encode(node, NODE_LENGTH) + encode(count, COUNT_LENGTH);
}

/** For a message whose id another one has: far from the ids that come next, which that other maker may have given out too. */
export function anotherQueueId(now: number): string {
  begin(Math.max(now, lastMillisecond + 1));
  return newQueueId(now);
}

function begin(millisecond: number): void {
  lastMillisecond = millisecond;
  count = randomInt(COUNT_STARTS);
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
