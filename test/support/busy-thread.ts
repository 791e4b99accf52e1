/** Loaded before a thread of sessions: it runs in a circle for ever when it gets this word, as a thread does that stands still. */
import { parentPort } from 'node:worker_threads';

parentPort?.on('message', (message: unknown) => {
  if (message !== 'be busy') return;
  for (;;);
});
