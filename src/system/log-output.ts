/** Writes log lines to a descriptor, which may be a pipe without an active reader. A log that cannot be written never stops the mail. */
import { writeSync } from 'node:fs';

const LINE_END = 0x0a;
const WAIT = 1;

type OutputOptions = {
  /** Milliseconds to wait for a full pipe. After one wait without success, lines are dropped at once until the pipe accepts data again. */
  readonly patience?: number;
  /** Called when the pipe accepts lines again, with the number of lost lines. */
  readonly onResumed?: (lost: number) => void;
};

/** @returns a function for whole lines. Each line is written completely or not at all. A pause may split it. */
export function createOutput(descriptor: number, { patience = 1000, onResumed = () => {} }: OutputOptions = {}) {
  let begun = Buffer.alloc(0);
  let lost = 0;
  let isStuck = false;

  /** @returns the bytes that could not be written. */
  function write(bytes: Buffer): Buffer {
    let rest = bytes;
    const deadline = performance.now() + (isStuck ? 0 : patience);
    while (rest.length > 0) {
      try {
        rest = rest.subarray(writeSync(descriptor, rest));
        isStuck = false;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return rest; // a closed pipe or a full disk: waiting does not help
        isStuck ||= performance.now() >= deadline;
        if (isStuck) return rest;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT);
      }
    }
    return rest;
  }

  return (lines: string): void => {
    const bytes = Buffer.concat([begun, Buffer.from(lines)]);
    const rest = write(bytes);
    const isWithinLine =
      rest.length > 0 && (rest.length < bytes.length ? bytes.at(-rest.length - 1) !== LINE_END : begun.length > 0);
    const end = isWithinLine ? rest.indexOf(LINE_END) + 1 : 0;
    begun = Buffer.from(rest.subarray(0, end)); // a copy, because a slice would keep the whole buffer in memory
    for (let at = rest.indexOf(LINE_END, end); at >= 0; at = rest.indexOf(LINE_END, at + 1)) lost++;
    if (rest.length > 0 || lost === 0) return;
    onResumed(lost);
    lost = 0;
  };
}
