/** The commands of `smarthost`, put together; each loads what it needs only when it runs. */
import { Command, CommanderError } from 'commander';
import { VERSION } from '../system/version.ts';
import { registerCert } from './cert.ts';
import { registerClient } from './client.ts';
import { registerConfig } from './config.ts';
import type { Register } from './define.ts';
import { registerDomain } from './domain.ts';
import { CommandError, UsageError } from './errors.ts';
import { registerInit } from './init.ts';
import type { Io } from './io.ts';
import { registerQueue } from './queue.ts';
import { registerSend } from './send.ts';
import { registerServe } from './serve.ts';
import { registerTrace } from './trace.ts';
import { registerUser } from './user.ts';
import { registerVersion } from './version.ts';

export { type Io, processIo } from './io.ts';

const DONE = 0;
const FAILED = 1;
const USAGE = 2;

const COMMANDS: readonly Register[] = [
  registerInit,
  registerServe,
  registerConfig,
  registerUser,
  registerDomain,
  registerQueue,
  registerTrace,
  registerSend,
  registerClient,
  registerCert,
  registerVersion,
];

/** Runs one command line. @param args without node and script. @returns the exit code: 0 done, 1 failed, 2 usage. */
export async function runCommand(args: readonly string[], io: Io): Promise<number> {
  try {
    await createProgram(io).parseAsync(args, { from: 'user' });
    return DONE;
  } catch (error) {
    return explain(error, io);
  }
}

function createProgram(io: Io): Command {
  const program = new Command('smarthost')
    .description('A submission-only SMTP relay.')
    .usage('<command> [options]')
    .version(VERSION, '-V, --version')
    .option('--config <file>', 'the configuration file')
    .exitOverride()
    .showHelpAfterError('(--help explains the command)')
    .configureOutput({
      writeOut: (text) => void io.out(text),
      writeErr: (text) => io.err(text.trimEnd()),
    });
  for (const register of COMMANDS) register(program, io);
  return program;
}

function explain(error: unknown, io: Io): number {
  // Commander has said it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : USAGE;
  if (error instanceof UsageError) {
    io.err(`error: ${error.message}`);
    return USAGE;
  }
  const said = error instanceof CommandError || (error instanceof Error && error.name === 'StoreError');
  io.err(said ? (error as Error).message : `smarthost: ${error instanceof Error ? error.message : String(error)}`);
  return FAILED;
}
