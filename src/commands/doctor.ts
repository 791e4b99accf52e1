/** `smarthost doctor`: checks everything that direct sending depends on, and says how to mend what is wrong. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseDomain, parseDuration } from '../config/config.ts';
import { lookAtRelay } from '../control/control.ts';
import type { Finding } from '../doctor/doctor.ts';
import { paintFor } from './colours.ts';
import { withStore } from './context.ts';
import { type CommonOptions, define, type Register } from './define.ts';
import { changesOf, describeFindings, summaryOf } from './doctor-text.ts';
import { CommandError, typed } from './errors.ts';
import { type Io, printJson } from './io.ts';

type Options = { readonly watch?: boolean; readonly interval: string; readonly timeout: string };
type Look = () => Promise<readonly Finding[]>;

export const registerDoctor: Register = (program, io) => {
  define<Options>(
    program,
    {
      usage: 'doctor [domain]',
      about:
        'Check DNS records, port 25, certificate, clock, resolver, block lists, disk and store, and say what to do. Exit 1 on an error.',
      examples: ['doctor', 'doctor example.org', 'doctor --json', 'doctor --watch --interval 1m --timeout 2h'],
      options: (command) =>
        command
          .option('--watch', 'repeat the checks until nothing is wrong or unknown')
          .option('--interval <duration>', 'with --watch: the pause between two rounds of checks', '30s')
          .option('--timeout <duration>', 'with --watch: when to give up', '1d'),
    },
    async ([name], options) => {
      const domain = name === undefined ? undefined : typed('the domain', () => parseDomain(name));
      const interval = typed('--interval', () => parseDuration(options.interval));
      const timeout = typed('--timeout', () => parseDuration(options.timeout));
      await withStore(io, options, async ({ config, store }) => {
        const look = () => lookAtRelay({ config, store, domain });
        const findings = options.watch ? await watch(io, options, { look, interval, timeout }) : await once(io, options, look);
        const errors = findings.filter(({ result }) => result === 'error').length;
        if (errors > 0) throw new CommandError(summaryOf(findings));
        io.err(summaryOf(findings));
      });
    },
  );
};

async function once(io: Io, { json }: CommonOptions, look: Look): Promise<readonly Finding[]> {
  if (io.interactive) io.err('Checking; this takes some seconds.');
  const findings = await look();
  await (json ? printJson(io, findings) : io.out(describeFindings(findings, paintFor(io))));
  return findings;
}

type Watch = { readonly look: Look; readonly interval: number; readonly timeout: number };

/** Prints all findings of the first round, then the changes. With --json it prints only the last round. */
async function watch(io: Io, { json }: CommonOptions, { look, interval, timeout }: Watch): Promise<readonly Finding[]> {
  const deadline = Date.now() + timeout;
  let before: readonly Finding[] = [];
  for (;;) {
    const findings = await look();
    const changed = changesOf(before, findings);
    if (!json && changed.length > 0) await io.out(describeFindings(changed, paintFor(io)));
    before = findings;
    const done = findings.every(({ result }) => result === 'ok' || result === 'warning');
    if (done || Date.now() + interval > deadline) {
      if (json) await printJson(io, findings);
      if (!done) io.err('The time of --watch is over.');
      return findings;
    }
    io.err(`${summaryOf(findings)} Looking again in ${Math.ceil(interval / 1000)} s.`);
    await sleep(interval);
  }
}
