/** All commands of `smarthost`. Each loads its modules only when it runs. */
import { Command, CommanderError } from 'commander';
import { ControlError } from '../control/control.ts';
import { VERSION } from '../system/version.ts';
import type { Register } from './define.ts';
import { CommandError, inWords, UsageError } from './errors.ts';
import type { Io } from './io.ts';

export { type Io, processIo } from './io.ts';

const DONE = 0;
const FAILED = 1;
const USAGE = 2;

/** In the order of `--help`. Only the requested command is loaded. */
const COMMANDS: Readonly<Record<string, () => Promise<Register>>> = {
  init: async () => (await import('./init.ts')).registerInit,
  serve: async () => (await import('./serve.ts')).registerServe,
  config: async () => (await import('./config.ts')).registerConfig,
  user: async () => (await import('./user.ts')).registerUser,
  domain: async () => (await import('./domain.ts')).registerDomain,
  queue: async () => (await import('./queue.ts')).registerQueue,
  provider: async () => (await import('./provider.ts')).registerProvider,
  reply: async () => (await import('./reply.ts')).registerReply,
  report: async () => (await import('./report.ts')).registerReport,
  status: async () => (await import('./status.ts')).registerStatus,
  destinations: async () => (await import('./status.ts')).registerDestinations,
  trace: async () => (await import('./trace.ts')).registerTrace,
  refused: async () => (await import('./activity.ts')).registerRefused,
  history: async () => (await import('./activity.ts')).registerHistory,
  send: async () => (await import('./send.ts')).registerSend,
  client: async () => (await import('./client.ts')).registerClient,
  exchange: async () => (await import('./exchange.ts')).registerExchange,
  tls: async () => (await import('./tls.ts')).registerTls,
  cert: async () => (await import('./cert.ts')).registerCert,
  console: async () => (await import('./console.ts')).registerConsole,
  token: async () => (await import('./token.ts')).registerToken,
  changes: async () => (await import('./changes.ts')).registerChanges,
  doctor: async () => (await import('./doctor.ts')).registerDoctor,
  store: async () => (await import('./store.ts')).registerStore,
  backup: async () => (await import('./backup.ts')).registerBackup,
  restore: async () => (await import('./restore.ts')).registerRestore,
  version: async () => (await import('./version.ts')).registerVersion,
};

/** Runs one command line. @param args without node and script. @returns the exit code: 0 done, 1 failed, 2 usage; others are a command's own. */
export async function runCommand(args: readonly string[], io: Io): Promise<number> {
  try {
    await (await createProgram(args[0], io)).parseAsync(args, { from: 'user' });
    return DONE;
  } catch (error) {
    return explain(error instanceof ControlError ? inWords(error) : error, io);
  }
}

/** @param first the first word. If it is no command (an option, a typing error, nothing), all commands are loaded. */
async function createProgram(first: string | undefined, io: Io): Promise<Command> {
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
  const wanted = first !== undefined && Object.hasOwn(COMMANDS, first) ? [COMMANDS[first]!] : Object.values(COMMANDS);
  for (const load of wanted) (await load())(program, io);
  return program;
}

function explain(error: unknown, io: Io): number {
  // Commander has printed the error already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : USAGE;
  if (error instanceof UsageError) {
    io.err(`error: ${error.message}`);
    return USAGE;
  }
  const said = error instanceof CommandError || (error instanceof Error && error.name === 'StoreError');
  io.err(said ? (error as Error).message : `smarthost: ${error instanceof Error ? error.message : String(error)}`);
  return error instanceof CommandError ? error.exitCode : FAILED;
}
