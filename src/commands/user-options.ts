/** The options of `user add` and `user set`. */

import type { Command } from 'commander';
import { checkPassword, type WrittenUser } from '../control/control.ts';
import { collect } from './define.ts';
import { UsageError } from './errors.ts';
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

/** @returns the given options only, for control to read. */
export function writtenUser(options: UserOptions): WrittenUser {
  const { sender, mailServer, limit, expires, rewrite } = options;
  return { senders: sender, mailServer, limits: limit, expiresAt: expires, rewrite };
}

/** @returns the password from stdin, or undefined if one should be generated. */
export async function givenPassword(io: Io, { passwordStdin }: UserOptions): Promise<string | undefined> {
  if (!passwordStdin) return undefined;
  const password = await readLine(io);
  if (password === '') throw new UsageError('--password-stdin: the first line of stdin is empty');
  checkPassword(password);
  return password;
}
