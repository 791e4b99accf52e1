/** Work on the queue that may take longer than a request: it goes on by itself, and is asked for. */
import { randomUUID } from 'node:crypto';
import { type Clock, HOUR, systemClock } from '../system/clock.ts';
import { iso } from './shapes.ts';

/** `total`: what fitted before it began. `error`: why it ended early; what was changed until then stays so. */
type Work<T> = {
  readonly id: string;
  readonly what: string;
  readonly state: 'running' | 'done' | 'failed';
  readonly startedAt: string;
  readonly total: number | null;
  readonly done: number;
  readonly result: T | null;
  readonly error: string | null;
};

export type Works<T> = {
  /** @param owner only it may ask for the work. @param act reports its steps. @returns the work, and its end, which never rejects. */
  start(work: NewWork, act: (progress: Progress) => Promise<T>): { readonly id: string; readonly ended: Promise<void> };
  /** How many of its works have not ended. */
  running(owner: string): number;
  /** Whether the work was begun here, also if it is forgotten. False: by a process that may have ended before it was done. */
  isOurs(id: string): boolean;
  /** undefined: it is unknown, somebody else's, or ended more than an hour ago. */
  find(id: string, owner: string): Work<T> | undefined;
};

type NewWork = { readonly owner: string; readonly what: string };
type Progress = { expect(total: number): void; add(done: number): void };
type Kept<T> = { -readonly [K in keyof Work<T>]: Work<T>[K] } & { readonly owner: string; endedAt: number | null };

const KEPT_FOR = HOUR;
const MOST = 200;

export function createWorks<T>(now: Clock = systemClock): Works<T> {
  const works = new Map<string, Kept<T>>();
  /** Begins each id. */
  const run = randomUUID().slice(0, 8);

  function forget(): void {
    for (const [id, { endedAt }] of works) if (endedAt !== null && now() - endedAt > KEPT_FOR) works.delete(id);
    for (const [id, { endedAt }] of works) if (works.size >= MOST && endedAt !== null) works.delete(id);
  }

  return {
    start({ owner, what }, act) {
      forget();
      const id = `${run}-${randomUUID()}`;
      const begun = { id, owner, what, state: 'running' as const, startedAt: iso(now()), total: null, done: 0 };
      const work: Kept<T> = { ...begun, result: null, error: null, endedAt: null };
      works.set(id, work);
      const progress: Progress = {
        expect(total) {
          work.total = total;
        },
        add(done) {
          work.done += done;
        },
      };
      const ended = act(progress)
        .then((result) => Object.assign(work, { result, state: 'done' }))
        .catch((error: Error) => Object.assign(work, { error: error.message, state: 'failed' }))
        .then(() => {
          work.endedAt = now();
        });
      return { id, ended };
    },
    isOurs: (id) => id.startsWith(`${run}-`),
    running: (owner) => [...works.values()].filter((one) => one.owner === owner && one.endedAt === null).length,
    find(id, owner) {
      const found = works.get(id);
      if (found === undefined || found.owner !== owner) return undefined;
      const { owner: _, endedAt: __, ...work } = found;
      return work;
    },
  };
}
