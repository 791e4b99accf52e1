/** `smarthost send`: a test message, put into the queue as any other and followed until it has ended. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Config, parseDuration, parseMailAddress } from '../config/config.ts';
import { traceShape } from '../control/control.ts';
import { newQueueId } from '../smtp/queue-id.ts';
import { type Content, ENDED_STATES, type Store, type StoredMessage } from '../store/store.ts';
import { SECOND } from '../system/clock.ts';
import { paintFor } from './colours.ts';
import { withStore } from './context.ts';
import { type CommonOptions, define, type Register } from './define.ts';
import { destinationChooser, signatureChooser } from './destination.ts';
import { CommandError, typed } from './errors.ts';
import { type Io, printJson } from './io.ts';
import { describeAttempt, describeConversation, describeMessage } from './message-text.ts';
import { time } from './text.ts';

type SendOptions = { readonly to: string; readonly from?: string; readonly timeout: string; readonly verbose?: boolean };
const POLL = SECOND / 5;

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
          .option(
            '--verbose',
            'show the header as it is sent, each change of state, and what was said to the MX and heard from it',
          ),
    },
    async (_, options) => {
      const to = typed('--to', () => parseMailAddress(options.to));
      const from = options.from === undefined ? undefined : typed('--from', () => parseMailAddress(options.from!));
      const timeout = typed('--timeout', () => parseDuration(options.timeout));
      await withStore(io, options, async ({ config, store }) => {
        const { id, content } = await submit({ config, store, from: from ?? config.reports.from, to });
        io.err(`Queued as ${id}.`);
        if (options.verbose) io.err(describeHeader(content));
        await follow(io, options, { store, id, timeout });
      });
    },
  );
};

type Submission = { readonly config: Config; readonly store: Store; readonly from: string; readonly to: string };

/** Prepared and signed as a report is: our own words, without a client. */
async function submit({ config, store, from, to }: Submission): Promise<{ id: string; content: Content }> {
  const { createPreparation, discard, prepareOwnMail, textContent } = await import('../preparation/preparation.ts');
  const { createSigner } = await import('../signing/signing.ts');
  const now = Date.now();
  const id = newQueueId(now);
  const { hostname, submission, signing, queue } = config;
  const warn = () => {};
  const signer = createSigner({ operation: store.operation, noKey: signing.noKey === 'refuse' ? 'warn' : signing.noKey, warn });
  const createSpool = () => store.messages.createSpool();
  const { maxMessageSize, maxHeaderSize, bareNewlines } = submission;
  const preparation = createPreparation({ hostname, maxMessageSize, maxHeaderSize, bareNewlines, createSpool, signer, warn });
  const content = textContent([
    `This is a test message that the relay ${hostname} was asked to send.`,
    `Its way can be looked up there: smarthost trace ${id}`,
  ]);
  const mail = {
    ...{ id, now, lifetime: queue.lifetime, reversePath: from, from: { address: from }, to, content },
    subject: `Test message from ${hostname}`,
    autoSubmitted: 'auto-generated',
  } as const;
  const [destinationOf, signs] = await Promise.all([destinationChooser(config), signatureChooser(config)]);
  const message = { ...(await prepareOwnMail(mail, { hostname, preparation, destinationOf, signs })), recorded: true };
  const { acceptUnderFreeId } = await import('../queue/queue.ts');
  const request = { message, claim: [], owner: 'send' };
  const { message: stored, result } = await acceptUnderFreeId(request, { store: store.messages, now: Date.now });
  if (result.accepted) return { id: stored.id, content: result.content };
  await discard(message.content);
  throw new CommandError('The message was refused.');
}

type Followed = { readonly store: Store; readonly id: string; readonly timeout: number };

/** Prints each attempt as it ends; the relay that runs beside us does the work. */
async function follow(io: Io, options: CommonOptions & SendOptions, { store, id, timeout }: Followed): Promise<void> {
  const deadline = Date.now() + timeout;
  const paint = paintFor(io);
  const say = options.verbose ? (text: string) => io.err(`${time(Date.now())} ${text}`) : () => {};
  let [seen, before] = [0, ''];
  for (;;) {
    const message = await store.messages.get(id);
    if (message === undefined) throw new CommandError(`${id} is no longer known.`);
    const { state, trace, destination } = message.recipients[0]!;
    if (state !== before) say(`${state}, for ${destination}`);
    before = state;
    for (const attempt of trace.slice(seen)) {
      io.err(describeAttempt(attempt, paint));
      if (options.verbose) io.err(describeConversation(attempt).trimEnd());
    }
    seen = trace.length;
    if (ENDED_STATES.includes(state) || Date.now() >= deadline) return finish(io, options, message);
    await sleep(POLL);
  }
}

function describeHeader(content: Content): string {
  const text = Buffer.from(content.kind === 'inline' ? content.bytes : content.prefix).toString();
  return `The header as it is sent:\n${text.split('\r\n\r\n')[0]!.replaceAll('\r', '').replace(/^/gm, '  ')}`;
}

async function finish(io: Io, options: CommonOptions & SendOptions, message: StoredMessage): Promise<void> {
  await (options.json ? printJson(io, traceShape(message)) : io.out(describeMessage(message, { paint: paintFor(io) })));
  const { state, nextAttemptAt, trace } = message.recipients[0]!;
  if (state === 'relayed') return;
  const attempts = trace.length;
  const idle = attempts === 0 && !ENDED_STATES.includes(state) ? ' Is the relay running (`smarthost serve`)?' : '';
  const next = nextAttemptAt === null || attempts === 0 ? '' : ` The next attempt is at ${time(nextAttemptAt)}.`;
  const later = ENDED_STATES.includes(state) ? '' : ` It stays in the queue: smarthost trace ${message.id}`;
  const kept = trace.some(({ conversation }) => conversation !== undefined);
  const words = options.verbose || !kept ? '' : ` What was said: smarthost trace ${message.id} --verbose`;
  throw new CommandError(`Not relayed: ${state}.${idle}${next}${later}${words}`);
}
