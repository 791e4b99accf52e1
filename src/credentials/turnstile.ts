/** At most so many at once, so many waiting, so long: argon2 must not take the threads that fsync needs. */

export type Turnstile = {
  /** Runs the work when there is room; undefined where too many wait, or the wait was too long. */
  run<T>(work: () => Promise<T>): Promise<T | undefined>;
};

/** @param patience milliseconds that one waits for its turn. */
export function createTurnstile(parallel: number, waiting: number, patience: number): Turnstile {
  let running = 0;
  const queue: ((turn: boolean) => void)[] = [];

  function turn(): Promise<boolean> | true {
    if (running < parallel) {
      running++;
      return true;
    }
    return queue.length >= waiting ? Promise.resolve(false) : wait();
  }

  function wait(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        queue.splice(queue.indexOf(enter), 1);
        resolve(false);
      }, patience);
      const enter = (granted: boolean) => {
        clearTimeout(timer);
        resolve(granted);
      };
      queue.push(enter);
    });
  }

  /** Whoever leaves hands its place on, so that nobody overtakes. */
  function leave(): void {
    const next = queue.shift();
    if (next === undefined) running--;
    else next(true);
  }

  return {
    async run(work) {
      if (!(await turn())) return undefined;
      try {
        return await work();
      } finally {
        leave();
      }
    },
  };
}
