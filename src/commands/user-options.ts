/** Parses the options of `user add` and `user set`. */

import type { Command } from 'commander';
import { parseLimit, parseMailAddress, parseSenderRule } from '../config/config.ts';
import { checkPassword, type UserChange } from '../control/control.ts';
import type { Limit } from '../smtp/limit.ts';
import { collect } from './define.ts';
import { typed, UsageError } from './errors.ts';
import { type Io, readLine } from './io.ts';

export type UserOptions = {
  readonly sender?: readonly string[];
  readonly mailServer?: boolean;
  readonly limit?: readonly string[];
  readonly expires?: string;
  readonly rewrite?: string;
  readonly passwordStdin?: boolean;
};

export function userOptions(command: Command): Command {
  return command
    .option('--sender <rule>', 'may send as: an address, @domain, @.domain (with subdomains) or *; repeatable', collect)
    .option('--mail-server', 'is a mail server: its reports may be from the postmaster of its domains; has no default limits')
    .option('--no-mail-server', 'is none')
    .option(
      '--limit <limit>',
      '[messages=|recipients=|newRecipients=]N/minute|hour|day, or none, or default; repeatable',
      collect,
    )
    .option('--expires <date>', 'the user cannot log in from this time on (ISO 8601, UTC), or never')
    .option('--rewrite <address>', 'replaces the sender of its mail, for devices with a fixed one; or none')
    .option('--password-stdin', 'read the password from the first line of stdin');
}

/** @returns the given options only. @throws UsageError */
export function parseUserOptions(options: UserOptions): Omit<UserChange, 'disabled'> {
  return {
    ...(options.sender === undefined ? {} : { senders: [...new Set(options.sender.map(parseSender))] }),
    ...(options.mailServer === undefined ? {} : { mailServer: options.mailServer }),
    ...(options.limit === undefined ? {} : { limits: parseLimits(options.limit) }),
    ...(options.expires === undefined ? {} : { expiresAt: parseExpiry(options.expires) }),
    ...(options.rewrite === undefined ? {} : { rewrite: parseRewrite(options.rewrite) }),
  };
}

function parseSender(rule: string): string {
  return typed('--sender', () => parseSenderRule(rule));
}

const KINDS: readonly Limit['kind'][] = ['messages', 'recipients', 'newRecipients'];

/** @returns null if the defaults of the configuration should apply. */
function parseLimits(limits: readonly string[]): readonly Limit[] | null {
  const word = limits.find((text) => text === 'none' || text === 'default');
  if (word !== undefined) {
    if (limits.length > 1) throw new UsageError(`--limit ${word} stands alone`);
    return word === 'none' ? [] : null;
  }
  return limits.map((text) => {
    const at = text.indexOf('=');
    const kind = at < 0 ? 'messages' : KINDS.find((known) => known === text.slice(0, at));
    if (kind === undefined) throw new UsageError(`--limit counts ${KINDS.join(', ')}, not "${text.slice(0, at)}"`);
    return typed('--limit', () => parseLimit(text.slice(at + 1), kind));
  });
}

/** A date means the start of that day. A time without a zone is UTC. @returns milliseconds since the epoch, or null for never. */
export function parseExpiry(text: string): number | null {
  if (text === 'never' || text === 'none') return null;
  const [, day, clock, zone] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)(Z|[+-]\d\d:\d\d)?)?$/.exec(text) ?? [];
  const at = Date.parse(`${day}T${clock ?? '00:00'}${zone ?? 'Z'}`);
  // Compares the parsed day with the typed one, because 2027-02-31 would become the 3rd of March without an error.
  const real = !Number.isNaN(at) && new Date(Date.parse(`${day}T00:00Z`)).toISOString().startsWith(String(day));
  if (!real) throw new UsageError(`--expires must be a date such as 2027-12-31 or 2027-12-31T18:00Z, not "${text}"`);
  return at;
}

function parseRewrite(text: string): string | null {
  return text === 'none' ? null : typed('--rewrite', () => parseMailAddress(text));
}

/** @returns the password from stdin, or undefined if one should be generated. */
export async function givenPassword(io: Io, { passwordStdin }: UserOptions): Promise<string | undefined> {
  if (!passwordStdin) return undefined;
  const password = await readLine(io);
  if (password === '') throw new UsageError('--password-stdin: the first line of stdin is empty');
  checkPassword(password);
  return password;
}
