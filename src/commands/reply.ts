/** `smarthost reply …`: what receivers say, and what it means. */
import type { WholeExplanation } from '../control/control.ts';
import { type CommonOptions, define, group, type Register } from './define.ts';
import { CommandError, UsageError } from './errors.ts';
import { type Io, printJson, readLines } from './io.ts';
import { facts } from './text.ts';

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
};

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
  const { readConfig } = await import('./context.ts');
  try {
    return (await readConfig({ ...io, err: () => {} }, options)).config;
  } catch (error) {
    if (error instanceof CommandError && options.config === undefined) return undefined;
    throw error;
  }
}

function shown({ about: _, ...found }: WholeExplanation) {
  return found;
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
