/** Measures the processor time of code, independent of other load on the machine. */

/** Milliseconds of processor that this process took for `work`, its threads among them. */
export function cpuTime(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
