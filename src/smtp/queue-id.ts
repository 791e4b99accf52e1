/** Names of messages in the queue: 13 characters that sort by time and fit in a reply, a log and a file name. */
import { randomInt } from 'node:crypto';

/** Crockford's base 32 in lower case: no letters that look like digits. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
let lastMillisecond = 0;
let counter = 0;

/** 9 characters of milliseconds (good until the year 3084), 4 of a counter that begins at random each millisecond. */
export function newQueueId(now: number): string {
  if (now > lastMillisecond) {
    lastMillisecond = now;
    counter = randomInt(2 ** 16) << 3;
  } else if (++counter >= 2 ** 20) {
    lastMillisecond++;
    counter = 0;
  }
  return encode(lastMillisecond, 9) + encode(counter, 4);
}

/** True for what `newQueueId` makes, so that a name from outside never becomes a path or a query by accident. */
export function isQueueId(text: string): boolean {
  return /^[0-9a-hjkmnp-tv-z]{13}$/.test(text);
}

function encode(value: number, length: number): string {
  let text = '';
  for (let rest = value, i = 0; i < length; i++) {
    text = ALPHABET[rest % 32] + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}
