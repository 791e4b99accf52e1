/** Measures the processor time of code, independent of other load on the machine. */

/** Milliseconds of processor that this process has taken so far, its threads among them. The difference of two calls depends on no other process. */
export function cpuClock(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Milliseconds of processor that this process took for `work`, its threads among them. */
export function cpuTime(work: () => unknown): number {
  const began = cpuClock();
  work();
  return cpuClock() - began;
}
