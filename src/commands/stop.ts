/** The signals that end a command which runs until somebody ends it. */

/**
 * Resolves with the first SIGTERM or SIGINT, which mean the same. They may come more than once, to the process or to its whole group: from
 * this call on none of them ends the process by itself.
 */
export function untilStopped(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => resolve(signal));
  });
}
