/** `smarthost send`: puts a test message into the queue like any other mail, and follows it to its end. */
import { parseDuration } from '../config/config.ts';
import { type Progress, readTestMessage, type TracedAttempt } from '../control/control.ts';
import { paintFor } from './colours.ts';
import { withControl } from './context.ts';
import { type CommonOptions, define, type Register } from './define.ts';
import { CommandError, typed } from './errors.ts';
import { type Io, printJson } from './io.ts';
import { describeAttempt, describeConversation, describeMessage, messageDocument } from './message-text.ts';
import { time } from './text.ts';

type SendOptions = { readonly to: string; readonly from?: string; readonly timeout: string; readonly verbose?: boolean };

export const registerSend: Register = (program, io) => {
  define<SendOptions>(
    program,
    {
      usage: 'send',
      about: 'Send a test message through the queue of the running relay and follow it. Exit 1 unless it was relayed.',
      examples: [
        'send --to you@example.com',
        'send --to you@example.com --from anna@example.org --verbose',
        'send --to you@example.com --timeout 10m --json',
      ],
      options: (command) =>
        command
          .requiredOption('--to <address>', 'the recipient')
          .option('--from <address>', 'the sender; default: reports.from of the configuration')
          .option('--timeout <duration>', 'how long to follow it', '2m')
          .option('--verbose', 'show the sent header, each change of state, and the conversation with the MX'),
    },
    async (_, options) => {
      const message = readTestMessage(options);
      const timeout = typed('--timeout', () => parseDuration(options.timeout));
      await withControl(io, options, async ({ control: { send } }) => {
        const { id, header } = await send.submit(message);
        io.err(`Queued as ${id}.`);
        if (options.verbose) io.err(`The header as it is sent:\n${header.replace(/^/gm, '  ')}`);
        await finish(io, options, await follow(io, options, send.follow(id, timeout)));
      });
    },
  );
};

/** Prints each attempt as it ends. The running relay does the work. */
async function follow(io: Io, { verbose }: SendOptions, steps: AsyncIterable<Progress>): Promise<Progress> {
  let last: Progress | undefined;
  for await (const step of steps) {
    const { state, attempts } = step.message.recipients[0]!;
    const before = last?.message.recipients[0];
    if (verbose && state !== before?.state) io.err(`${time(Date.now())} ${state}, for ${step.destination}`);
    for (const attempt of attempts.slice(before?.attempts.length ?? 0)) tellAttempt(io, attempt, verbose);
    last = step;
  }
  return last!; // never undefined: `follow` yields at least once or rejects
}

function tellAttempt(io: Io, attempt: TracedAttempt, verbose = false): void {
  io.err(describeAttempt(attempt, paintFor(io)));
  if (verbose) io.err(describeConversation(attempt).trimEnd());
}

async function finish(io: Io, options: CommonOptions & SendOptions, { message, ended }: Progress): Promise<void> {
  await (options.json ? printJson(io, messageDocument(message)) : io.out(describeMessage(message, { paint: paintFor(io) })));
  const { state, nextAttemptAt, attempts } = message.recipients[0]!;
  if (state === 'relayed') return;
  const tried = attempts.length > 0;
  const idle = tried || ended ? '' : ' Is the relay running (`smarthost serve`)?';
  const next = nextAttemptAt === null || !tried ? '' : ` The next attempt is at ${time(nextAttemptAt)}.`;
  const later = ended ? '' : ` It stays in the queue: smarthost trace ${message.id}`;
  const kept = attempts.some(({ conversation }) => conversation !== undefined);
  const words = options.verbose || !kept ? '' : ` What was said: smarthost trace ${message.id} --verbose`;
  throw new CommandError(`Not relayed: ${state}.${idle}${next}${later}${words}`);
}
