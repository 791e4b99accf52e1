/**
 * A clock that can be set forward, for the relay of the demo and its commands: the time of this machine, and the milliseconds that a file
 * says. It is loaded before the program, because the relay takes its time from `Date`.
 */
import { readFileSync } from 'node:fs';

/** The environment variable that names the file. */
const FILE = process.env['DEMO_CLOCK'];
/** The file is read again after so many milliseconds. */
const FRESH = 50;

if (FILE !== undefined) {
  const machine = Date.now;
  let ahead = 0;
  let readAt = Number.NEGATIVE_INFINITY;
  const now = () => {
    if (performance.now() - readAt > FRESH) {
      readAt = performance.now();
      ahead = Number(readFileSync(FILE, 'utf8')) || 0;
    }
    return machine() + ahead;
  };
  globalThis.Date = new Proxy(Date, {
    construct: (target, given, made) => Reflect.construct(target, given.length === 0 ? [now()] : given, made),
    get: (target, name, receiver) => (name === 'now' ? now : Reflect.get(target, name, receiver)),
  });
}
