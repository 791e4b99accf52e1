/** What code costs, whatever else the machine does meanwhile. */

/** Milliseconds of processor that this process took for `work`, its threads among them. */
export function cpuTime(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
