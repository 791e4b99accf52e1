/** What is said of many measured times. */

export type Sample = readonly number[];

const sum = (list: Sample) => list.reduce((total, one) => total + one, 0);
const mean = (list: Sample) => sum(list) / list.length;
const variance = (list: Sample) => sum(list.map((one) => (one - mean(list)) ** 2)) / (list.length - 1);

/** @param part 0.5: the median. */
export const quantile = (list: Sample, part: number) => list.toSorted((a, b) => a - b)[Math.floor(part * (list.length - 1))]!;

/** Welch's t: how sure it is that the means of two samples differ. */
export function welch(a: Sample, b: Sample): number {
  return (mean(a) - mean(b)) / Math.sqrt(variance(a) / a.length + variance(b) / b.length);
}
