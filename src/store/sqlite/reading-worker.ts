/** A thread with a connection that only reads, so that a long read of people never stands before the commit that a client waits for. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { createCollector } from '../../system/garbage.ts';
import { openReadOnly } from './database.ts';
import { DueDestinations } from './due.ts';
import { Feed } from './feed.ts';
import { runRead } from './group-commit.ts';
import { SignsOfLife } from './owners.ts';
import { describe, type FromWorker, type Request, type ToWorker, type WorkerOptions } from './protocol.ts';

/** Bytes of garbage, and after how many requests it is looked for. */
const GARBAGE = 4 * 2 ** 20;
const LOOK_EVERY = 100;

const port = parentPort as MessagePort;
const { path, spoolDir, busyTimeout } = workerData as WorkerOptions;

try {
  const db = openReadOnly(path, busyTimeout);
  const services = { due: new DueDestinations(), signs: new SignsOfLife(), feed: new Feed(), spoolDir };
  const waiting: Request[] = [];
  const collect = createCollector(GARBAGE);
  let count = 0;
  let closing = false;
  const work = () => {
    const request = waiting.shift();
    if (request !== undefined) {
      const { answers, transfer } = runRead(db, services, request);
      port.postMessage(answers, transfer);
      if (++count % LOOK_EVERY === 0) collect();
      setImmediate(work);
    } else if (closing) {
      closing = false; // what a read has planned after itself finds nothing to do
      db.close();
      port.postMessage('closed' satisfies FromWorker);
      port.close();
    }
  };
  port.on('message', (message: ToWorker) => {
    if (message === 'close') closing = true;
    else if (Array.isArray(message)) waiting.push(...message);
    setImmediate(work);
  });
  port.postMessage('opened' satisfies FromWorker);
} catch (error) {
  port.postMessage({ refused: describe(error) } satisfies FromWorker);
  port.close();
}
