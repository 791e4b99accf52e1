/** What the store has counted in one thread is remembered in all: the newest counts of each user, some times a second. */
import { createQuota, type Quota, type QuotaUser } from '../../policy/policy.ts';

type Use = Parameters<Quota['noteUse']>;

/** The store judges each message exactly. What is remembered only refuses earlier. */
const EVERY = 50;

type SharedQuota = Quota & {
  /** What another thread has noted. */
  noteOthers(...use: Use): void;
};

/** @param tell tells all other threads. */
export function createSharedQuota(options: Parameters<typeof createQuota>[0], tell: (...use: Use) => void): SharedQuota {
  const own = createQuota(options);
  const untold = new Map<string, Use>();
  let soon = false;

  function tellAll(): void {
    soon = false;
    for (const use of untold.values()) tell(...use);
    untold.clear();
  }

  return {
    ...own,
    noteUse(user, use, exceeded) {
      own.noteUse(user, use, exceeded);
      if (use.length === 0) return;
      untold.set(user.name, [only(user), use, exceeded]);
      if (soon) return;
      soon = true;
      setTimeout(tellAll, EVERY);
    },
    noteOthers: own.noteUse,
  };
}

/** A credential has a password's hash, which no other thread needs. */
const only = ({ name, createdAt }: QuotaUser): QuotaUser => ({ name, createdAt });
