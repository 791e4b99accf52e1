/** Which code ran: the block counters of V8, read by the inspector of this thread. Start it before the code is loaded. */
import { readFileSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector';

export type Coverage = {
  /** Whether the code that ran since the last call holds a character that had not run before. @param keep it counts as run. */
  take(keep: boolean): boolean;
  /** Lines of which some part has run since the last `forget`. */
  lines(): number;
  forget(): void;
};

const ROOT = new URL('../../', import.meta.url).href;
/** Parsers and the packages under them. */
const counts = (url: string) => url.startsWith(`${ROOT}src/`) || url.startsWith(`${ROOT}node_modules/`);

export function startCoverage(): Coverage {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  const ran = new Map<string, Uint8Array>();
  return {
    take: (keep) => {
      let isNew = false;
      for (const script of takeCounters(session)) {
        const size = Math.max(...script.functions.map(({ ranges }) => ranges[0]!.endOffset));
        const known = ran.get(script.url) ?? new Uint8Array(size);
        const all = known.length >= size ? known : new Uint8Array(size);
        if (all !== known) all.set(known);
        ran.set(script.url, all);
        if (compare(all, paint(script, size), keep)) isNew = true;
      }
      return isNew;
    },
    lines: () => [...ran].reduce((sum, [url, characters]) => sum + linesIn(url, characters), 0),
    forget: () => ran.clear(),
  };
}

/** What ran since the last time; reading the counters clears them. */
function takeCounters(session: Session): readonly Profiler.ScriptCoverage[] {
  let found: readonly Profiler.ScriptCoverage[] = [];
  // the session is one of this thread: the answer is there before `post` returns
  session.post('Profiler.takePreciseCoverage', (error, answer) => {
    if (error !== null) throw error;
    found = answer.result.filter(({ url, functions }) => counts(url) && functions.length > 0);
  });
  return found;
}

/** One for each character that ran. Ranges come outermost first, so the innermost has the last word. */
function paint({ functions }: Profiler.ScriptCoverage, size: number): Uint8Array {
  const painted = new Uint8Array(size);
  for (const { ranges } of functions)
    for (const { startOffset, endOffset, count } of ranges) painted.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  return painted;
}

function compare(all: Uint8Array, more: Uint8Array, keep: boolean): boolean {
  let isNew = false;
  for (let at = more.indexOf(1); at !== -1 && at < more.length; at++) {
    if (more[at] === 0 || all[at] === 1) continue;
    if (!keep) return true;
    all[at] = 1;
    isNew = true;
  }
  return isNew;
}

/** Types are blanks when the code runs, so places are the same in the file. */
function linesIn(url: string, characters: Uint8Array): number {
  let lines = 0;
  let start = 0;
  for (const line of readFileSync(new URL(url), 'utf8').split('\n')) {
    const text = line.search(/\S/);
    if (text !== -1 && characters.subarray(start + text, start + line.length).includes(1)) lines++;
    start += line.length + 1;
  }
  return lines;
}
