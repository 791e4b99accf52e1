/**
 * The part of the first run that talks to the browser, where root has begun it: a process with the rights of the owner of the data. It can
 * write no configuration. The process that has started it does that, and never replaces one.
 */
import { ControlError } from '../control/control.ts';
import { answerBrowser, ENDED_BY_SIGNAL, type FirstRunOrder, sentenceFor } from './first-run-console.ts';
import { processIo } from './io.ts';
import { untilStopped } from './stop.ts';

/** The other process asks `write`, and answers with a problem or with nothing. */
function writeThere(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.once('message', ({ problem }: { readonly problem?: string }) => {
      if (problem === undefined) resolve();
      else reject(new ControlError('conflict', 'configuration', problem));
    });
    process.send!({ write: text });
  });
}

const stopped = untilStopped();
process.once('disconnect', () => process.exit(1));
process.once('message', (order: FirstRunOrder) => {
  const io = processIo();
  answerBrowser(io, order, writeThere, stopped).then(
    (answered) => process.exit(answered ? 0 : ENDED_BY_SIGNAL),
    (error: unknown) => {
      io.err(sentenceFor(error));
      process.exit(1);
    },
  );
});
