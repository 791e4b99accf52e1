/** `smarthost trace`: shows what happened to a message. */
import { paintFor } from './colours.ts';
import { withControl } from './context.ts';
import { define, type Register } from './define.ts';
import { CommandError } from './errors.ts';
import { printJson } from './io.ts';
import { describeMessage, messageDocument } from './message-text.ts';

/** Most messages that are printed in full: an address may have thousands. */
const MOST = 100;
const SHOWN = 5;

export const registerTrace: Register = (program, io) => {
  define<{ readonly all?: boolean; readonly verbose?: boolean }>(
    program,
    {
      usage: 'trace <what>',
      about:
        'Where is my mail? Find it by queue ID, Message-ID, or the address of a recipient or sender. Shows every attempt, the newest message first.',
      examples: ['trace 1h8m2k9x70abc', "trace '<1234@example.org>'", 'trace bob@example.com --json'],
      options: (command) =>
        command
          .option('--all', `more than the newest ${SHOWN}, up to ${MOST}; --json always has them`)
          .option(
            '--verbose',
            'show the SMTP conversation of each attempt, kept for test messages (`smarthost send`); --json always has it',
          ),
    },
    ([what], options) =>
      withControl(io, options, async ({ control }) => {
        const found = await control.trace.find(what!.trim(), MOST);
        const shown = options.all || options.json ? found : found.slice(0, SHOWN);
        if (options.json) await printJson(io, found.map(messageDocument));
        else {
          const manner = { paint: paintFor(io), conversations: options.verbose === true };
          await io.out(shown.map((message) => describeMessage(message, manner)).join('\n'));
        }
        if (found.length === 0)
          throw new CommandError(
            `Nothing is known of ${JSON.stringify(what)}: no such message, or its trace was forgotten (trace.keep).`,
          );
        if (shown.length < found.length)
          io.err(`The newest ${SHOWN} of ${found.length === MOST ? 'many' : found.length}; --all shows more.`);
        else if (found.length === MOST) io.err(`The newest ${MOST} are shown.`);
      }),
  );
};
