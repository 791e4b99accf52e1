/** `smarthost trace`: what became of a message. */
import { withStore } from './context.ts';
import { define, type Register } from './define.ts';
import { CommandError } from './errors.ts';
import { printJson } from './io.ts';
import { describeMessage } from './message-text.ts';
import { traceShape } from './shapes.ts';

const MOST = 100;

export const registerTrace: Register = (program, io) => {
  define(
    program,
    {
      usage: 'trace <what>',
      about: 'What became of a message: by queue ID, Message-ID, or the address of a recipient or sender; the newest first.',
      examples: ['trace 1h8m2k9x70abc', "trace '<1234@example.org>'", 'trace bob@example.com --json'],
    },
    ([what], options) =>
      withStore(io, options, async ({ store }) => {
        const found = await store.messages.find(what!.trim(), MOST);
        if (options.json) await printJson(io, found.map(traceShape));
        else await io.out(found.map(describeMessage).join('\n'));
        if (found.length === 0)
          throw new CommandError(
            `Nothing is known of ${JSON.stringify(what)}: no such message, or its trace was forgotten (trace.keep).`,
          );
        if (found.length === MOST) io.err(`The newest ${MOST} are shown.`);
      }),
  );
};
