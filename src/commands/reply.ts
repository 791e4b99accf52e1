/** `smarthost reply …`: what receivers say, and what it means. */
import type { ChangedReply, WholeExplanation } from '../control/control.ts';
import { readConfig, withControl } from './context.ts';
import { type CommonOptions, define, group, type Register } from './define.ts';
import { CommandError, UsageError } from './errors.ts';
import { type Io, printJson, readLines } from './io.ts';
import { facts, several, table } from './text.ts';

export const registerReply: Register = (program, io) => {
  const reply = group(program, 'reply', 'Replies: what receivers say, and what it means.');
  define<ExplainOptions>(
    reply,
    {
      usage: 'explain <text>',
      about:
        'What a refusal is about, and what the relay does: its class, its action, and the line or rule that tells. <text> is the reply with its code, or - to read lines "provider TAB reply" from stdin. No relay has to run.',
      examples: [
        "reply explain '550 5.7.1 Service unavailable; client [192.0.2.1] blocked using zen.spamhaus.org'",
        "reply explain '421 RP-001' --provider outlook --phase mail",
        'reply explain - --json < replies.tsv',
      ],
      options: (command) =>
        command
          .option('--provider <provider>', 'who said it, as in `smarthost provider list`')
          .option('--phase <phase>', 'when: greeting, ehlo, tls, auth, mail, rcpt or data', 'rcpt'),
    },
    ([text], options) => explain(io, text!, options),
  );
  define(
    reply,
    {
      usage: 'unknown',
      about:
        'The replies that the relay does not understand, the most frequent first, without addresses and numbers. Nothing leaves this machine: send them to the project if you like, or write lines of your own (delivery.replies).',
      examples: ['reply unknown', 'reply unknown --json'],
    },
    (_, options) =>
      withControl(io, options, async ({ control }) => {
        const found = await control.replies.unknown(SHOWN);
        if (options.json) return printJson(io, found);
        if (found.length === 0) return io.err('Every refusal of the trace is understood.');
        await io.out(
          table(
            ['COUNT', 'REPLY'],
            found.map(({ count, fingerprint }) => [String(count), fingerprint]),
          ),
        );
      }),
  );
  define<{ readonly days: string }>(
    reply,
    {
      usage: 'replay',
      about:
        'Judges the refusals of the last days again, and shows those that would be taken for something else now: after an upgrade, or a change of delivery.replies. It changes nothing.',
      examples: ['reply replay --days 7'],
      options: (command) => command.option('--days <n>', 'how far back', '7'),
    },
    (_, options) =>
      withControl(io, options, async ({ control }) => {
        const days = /^\d{1,3}$/.test(options.days) ? Number(options.days) : 0;
        if (days === 0) throw new UsageError(`--days is a number of days from 1 to 999, not ${JSON.stringify(options.days)}.`);
        const found = await control.replies.replay(days);
        if (options.json) return printJson(io, found);
        if (found.changed.length > 0)
          await io.out(table(['COUNT', 'PROVIDER', 'BEFORE', 'NOW', 'REPLY'], found.changed.map(changedRow)));
        io.err(
          `${found.changed.reduce((sum, { count }) => sum + count, 0)} of ${several(found.refusals, 'refusal')} would be taken for something else.`,
        );
      }),
  );
};

/** Lines of `reply unknown`. */
const SHOWN = 20;

function changedRow({ count, provider, before, now, reply }: ChangedReply): readonly string[] {
  return [String(count), provider ?? '', `${before.class}: ${before.action}`, `${now.class}: ${now.action}`, reply.slice(0, 100)];
}

type ExplainOptions = { readonly provider?: string; readonly phase: string };

async function explain(io: Io, text: string, options: ExplainOptions & CommonOptions): Promise<void> {
  const { createReplyControl } = await import('../control/control.ts');
  const settings = await settingsOf(io, options);
  const judge = await createReplyControl({ settings: () => settings }).explainer();
  const { provider, phase } = options;
  if (text !== '-') {
    const found = judge({ provider, phase, text });
    return options.json ? printJson(io, shown(found)) : io.out(facts(factsOf(found)));
  }
  for await (const line of readLines(io)) {
    if (line.trim() === '') continue;
    const tab = line.indexOf('\t');
    if (tab < 0) throw new UsageError(`A line is "provider TAB reply", and this one has no tab: ${line.slice(0, 80)}`);
    const found = judge({ provider: line.slice(0, tab).trim() || provider, phase, text: line.slice(tab + 1) });
    await io.out(options.json ? `${JSON.stringify(shown(found))}\n` : `${found.class}\t${found.action}\t${line}\n`);
  }
}

/** A relay may be configured, or not: the known replies are in the program. */
async function settingsOf(io: Io, options: CommonOptions) {
  try {
    return (await readConfig({ ...io, err: () => {} }, options)).config;
  } catch (error) {
    if (error instanceof CommandError && options.config === undefined) return undefined;
    throw error;
  }
}

function shown({ provider, class: found, action, sure, origin }: WholeExplanation) {
  return { provider, class: found, action, sure, origin };
}

const ABOUT: { readonly [about in WholeExplanation['about']]: string } = {
  recipient: 'the recipient',
  message: 'this message',
  domain: 'the domain of the sender',
  us: 'us: our address, our name, or how much we send',
  credential: 'who sent the message',
  upstream: 'our account at the upstream',
  receiver: "the receiver's own trouble",
};

function factsOf({ class: found, action, sure, origin, about }: WholeExplanation): readonly (readonly [string, string])[] {
  return [
    ['class', found],
    ['about', found === 'unknown' ? 'not known: the first digit decides' : ABOUT[about]],
    ['action', action],
    ['sure', sure ? 'yes' : 'no'],
    ['told by', origin],
  ];
}
