/** The last lines of the log, in memory, for people who look at it without a shell. */

/** `seq` grows by one with each line since the start. */
type RingLine = { readonly seq: number; readonly line: string };

export type LogRing = {
  /** Takes whole lines of JSON. */
  add(lines: string): void;
  /** The oldest first. */
  recent(): readonly RingLine[];
  /** @returns ends it. */
  watch(listener: (seq: number, line: string) => void): () => void;
};

const MOST_LINES = 2000;
/** Characters of all lines together. A line that names a thousand recipients counts as what it is. */
const MOST_TEXT = 1024 * 1024;
/** A longer line is not kept: the log has it. */
const LONGEST = 64 * 1024;

export function createLogRing(): LogRing {
  const ring: (string | undefined)[] = new Array(MOST_LINES);
  const listeners = new Set<(seq: number, line: string) => void>();
  /** Of the next line, and of the oldest that is kept. */
  let next = 1;
  let first = 1;
  let text = 0;

  function keep(line: string): void {
    if (line.length > LONGEST) return;
    if (next - first === MOST_LINES) forget();
    const seq = next++;
    ring[seq % MOST_LINES] = line;
    text += line.length;
    while (text > MOST_TEXT) forget();
    for (const listener of listeners) listener(seq, line);
  }

  function forget(): void {
    text -= ring[first % MOST_LINES]!.length;
    ring[first % MOST_LINES] = undefined;
    first++;
  }

  return {
    add(lines) {
      for (let from = 0, end = lines.indexOf('\n'); end >= 0; from = end + 1, end = lines.indexOf('\n', from))
        keep(lines.slice(from, end));
    },
    recent() {
      const kept: RingLine[] = [];
      for (let seq = first; seq < next; seq++) kept.push({ seq, line: ring[seq % MOST_LINES]! });
      return kept;
    },
    watch(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
