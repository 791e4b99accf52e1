/** Where log lines go: a descriptor that may be a pipe nobody reads. A log that cannot be written never stops the mail. */
import { writeSync } from 'node:fs';

const LINE_END = 0x0a;
const WAIT = 1;

type OutputOptions = {
  /** Milliseconds that a full pipe is waited for; once it was in vain, no line waits until the pipe takes some again. */
  readonly patience?: number;
  /** The pipe takes lines again; so many were lost. */
  readonly onResumed?: (lost: number) => void;
};

/** @returns takes whole lines. Each is written whole or not at all, though it may be begun before a pause and ended behind it. */
export function createOutput(descriptor: number, { patience = 1000, onResumed = () => {} }: OutputOptions = {}) {
  let begun = Buffer.alloc(0);
  let lost = 0;
  let isStuck = false;

  /** What could not be written. */
  function write(bytes: Buffer): Buffer {
    let rest = bytes;
    const deadline = performance.now() + (isStuck ? 0 : patience);
    while (rest.length > 0) {
      try {
        rest = rest.subarray(writeSync(descriptor, rest));
        isStuck = false;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return rest; // a closed pipe, a full disk: nothing to wait for
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
    begun = Buffer.from(rest.subarray(0, end)); // a copy: a slice would keep all of it
    for (let at = rest.indexOf(LINE_END, end); at >= 0; at = rest.indexOf(LINE_END, at + 1)) lost++;
    if (rest.length > 0 || lost === 0) return;
    onResumed(lost);
    lost = 0;
  };
}
