/** `smarthost user release` and `user hold`: mail that is kept back because of the behaviour of a login. */
import type { Command } from 'commander';
import { parseDuration } from '../config/config.ts';
import type { ReleasedLogin, WrittenUser } from '../control/control.ts';
import { withControl } from './context.ts';
import { define } from './define.ts';
import { typed, UsageError } from './errors.ts';
import { type Io, printJson } from './io.ts';
import { several, time } from './text.ts';

type ReleaseOptions = {
  readonly sender?: string;
  readonly discard?: boolean;
  readonly send?: boolean;
  readonly trust?: string;
};
type HoldOptions = { readonly sender?: string; readonly refuse?: boolean };

const SENDER = 'only of this envelope sender of a mail server; <> is the null one';

export function registerUserBehaviour(user: Command, io: Io): void {
  define<ReleaseOptions>(
    user,
    {
      usage: 'release <name>',
      about:
        'Let mail leave that is held because of unusual behaviour: 50 recipients in the first hour, and twice as many in each further one. Thresholds are then higher by half for 30 days.',
      examples: [
        'user release anna@example.org',
        'user release exchange --sender news@example.org --discard',
        'user release shop --trust 7d',
      ],
      options: (command) =>
        command
          .option('--sender <address>', SENDER)
          .option('--send', 'send what is held (the default)')
          .option('--discard', 'remove what is held; no report is sent')
          .option('--trust <duration>', 'how long the thresholds are higher, such as 30d; also where nothing is held; 0s: not'),
    },
    ([name], { sender, discard, send, trust, ...options }) => {
      if (send && discard) throw new UsageError('--send and --discard exclude each other');
      const lasts = trust === undefined ? undefined : typed('--trust', () => parseDuration(trust));
      return withControl(io, options, async ({ control }) => {
        const released = await control.behaviour.release(name!, { sender, discard, trust: lasts });
        io.err(describeRelease(released));
        if (options.json) await printJson(io, released);
      });
    },
  );
  define<HoldOptions>(
    user,
    {
      usage: 'hold <name>',
      about: 'Keep its mail back until `user release`. It is still accepted.',
      examples: ['user hold anna@example.org', 'user hold exchange --sender news@example.org', 'user hold shop --refuse'],
      options: (command) =>
        command
          .option('--sender <address>', SENDER)
          .option('--refuse', 'take no more of it: 550 5.7.1, or 450 4.7.1 for a mail server, which would return mail of others'),
    },
    ([name], { sender, refuse, ...options }) =>
      withControl(io, options, async ({ control }) => {
        const held = await control.behaviour.hold(name!, { sender, refuse });
        io.err(`Mail of ${sender ?? name} is ${refuse ? 'refused from now on, and what is there stays' : 'held from now on'}.`);
        if (options.json) await printJson(io, held);
      }),
  );
}

function describeRelease({ name, sender, state, discarded, trustedUntil }: ReleasedLogin): string {
  const who = sender ?? name;
  const trusted = trustedUntil === null ? '' : ` Its thresholds are higher until ${time(trustedUntil)}.`;
  if (state === 'trusted') return `${who} is trusted.${trusted}`;
  if (state === 'releasing') return `Mail of ${who} leaves again, what was held slowly at first.${trusted}`;
  return `${several(discarded, 'message')} of ${who} ${discarded === 1 ? 'is' : 'are'} removed. New mail leaves again.${trusted}`;
}

export type TraitOptions = { readonly profile?: string; readonly bulk?: string; readonly contact?: string };

export function traitOptions(command: Command): Command {
  return command
    .option('--profile <profile>', 'what uses it: app, person or server; or default (it says what is unusual)')
    .option('--bulk <on|off>', 'sends newsletters: many messages to new recipients are usual')
    .option('--contact <address>', 'is told too if its mail is held; or none');
}

/** @returns the given options only, for control to read. @throws UsageError */
export function writtenTraits({ profile, bulk, contact }: TraitOptions): WrittenUser {
  if (bulk !== undefined && bulk !== 'on' && bulk !== 'off') throw new UsageError(`--bulk is on or off, not "${bulk}"`);
  return { profile, ...(bulk === undefined ? {} : { bulk: bulk === 'on' }), contact };
}
