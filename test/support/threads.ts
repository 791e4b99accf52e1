/** `TEST_THREADS=2` runs the tests, the sweeps and the benchmarks with sessions in two threads. */
export const testThreads = (): number => Number(process.env['TEST_THREADS'] ?? 1);
