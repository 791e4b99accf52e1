/** The files that a power cut leaves: what was synced, and of the rest as much as the disk happened to have written. */
import { type FileEvent, heldBy } from './write-log.ts';

/** Whole files by path. */
export type Files = ReadonlyMap<string, Buffer>;

/**
 * `dropped`: nothing that was not synced is there. `torn`: the last write that was not synced is there up to one of its sectors.
 * `mixed`: each of these is there or not.
 */
export type Rest = 'dropped' | 'torn' | 'mixed';
export const RESTS: readonly Rest[] = ['dropped', 'torn', 'mixed'];

const SECTOR = 512;

type Growing = { data: Buffer; length: number };

/** Puts files together again; made once for a recording. */
export function createModel(base: Files, events: readonly FileEvent[]) {
  const safe = events.map((event) => syncedAt(event, events));
  /** @param line the cut comes before this line of the log @param random below 1 */
  return function filesAfterCut(line: number, rest: Rest, random: () => number): Files {
    const files = new Map([...base].map(([path, data]) => [path, { data: Buffer.from(data), length: data.length }] as const));
    const known = new Map([...base].map(([path, data]) => [path, data.length]));
    const count = events.findIndex(({ end }) => end >= line);
    const done = count < 0 ? events : events.slice(0, count);
    const lastLoose = done.findLastIndex(({ kind }, i) => kind === 'write' && safe[i]! >= line);
    for (const [i, event] of done.entries()) {
      const { kind, path } = event;
      const stays = safe[i]! < line || (rest === 'mixed' && random() < 0.5);
      if (kind === 'create') {
        if (known.has(path)) continue; // it was only opened
        known.set(path, 0);
        // a name that is not there hides all that is written under it
        if (stays) files.set(path, { data: Buffer.alloc(0), length: 0 });
      } else if (kind === 'unlink') {
        known.delete(path);
        if (stays) files.delete(path);
      } else if (kind === 'truncate') {
        known.set(path, event.size!);
        if (stays) resize(files.get(path), event.size!);
      } else if (kind === 'write') {
        const offset = event.offset ?? known.get(path) ?? 0;
        const data = event.data!;
        known.set(path, Math.max(known.get(path) ?? 0, offset + data.length));
        if (stays) put(files.get(path), offset, data);
        else if (rest === 'torn' && i === lastLoose) put(files.get(path), offset, data.subarray(0, sectors(data, random)));
      }
    }
    return new Map([...files].map(([path, { data, length }]) => [path, data.subarray(0, length)]));
  };
}

const sectors = (data: Buffer, random: () => number) => SECTOR * Math.floor(random() * Math.ceil(data.length / SECTOR));

/** The line behind which the event stays: the end of the first sync that began after it. */
function syncedAt(event: FileEvent, events: readonly FileEvent[]): number {
  const holder = heldBy(event);
  const syncs = events.filter(({ kind, path, begin }) => kind === 'sync' && path === holder && begin > event.end);
  return Math.min(...syncs.map(({ end }) => end));
}

function put(file: Growing | undefined, offset: number, data: Buffer): void {
  if (file === undefined) return;
  const end = offset + data.length;
  if (end > file.length) resize(file, end);
  data.copy(file.data, offset);
}

function resize(file: Growing | undefined, length: number): void {
  if (file === undefined) return;
  if (length > file.data.length) file.data = Buffer.concat([file.data, Buffer.alloc(2 * length - file.data.length)]);
  else file.data.fill(0, Math.min(length, file.length));
  file.length = length;
}
