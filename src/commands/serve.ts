/** `smarthost serve`: runs the relay in the foreground until a signal ends it. */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config } from '../config/config.ts';
import { checkTables } from '../control/control.ts';
import { ClosedPort } from '../net/open-port.ts';
import type { Relay } from '../relay/relay.ts';
import { SYSTEM_DIR } from '../setup/setup.ts';
import { type CommonOptions, define, type Register } from './define.ts';
import { CommandError } from './errors.ts';
import { SYSTEM_DATA } from './init-write.ts';
import type { Io } from './io.ts';
import { untilStopped } from './stop.ts';

type ServeOptions = { readonly asRoot?: boolean; readonly firstRun?: string };

export const registerServe: Register = (program, io) => {
  define<ServeOptions>(
    program,
    {
      usage: 'serve',
      about: 'Run the relay in the foreground. SIGHUP reads the configuration again; SIGTERM ends it without losing mail.',
      examples: ['serve', 'serve --config /etc/smarthost/smarthost.yaml'],
      options: (command) =>
        command
          .option('--as-root', "stay root where the data directory is root's; refused without it for the system's configuration")
          .option(
            '--first-run <address>',
            'without a configuration, ask for one in the browser at this address (init --web), and go on as the relay',
          ),
    },
    async (_, options) => {
      const stopped = untilStopped();
      const begun = await firstRun(io, options, stopped);
      if (begun === undefined) io.err('Stopped before there is a configuration. The next start goes on with the answers so far.');
      else await serveRelay(io, begun, stopped);
    },
  );
};

/** Runs the relay until a signal ends it. @param stopped resolves with the signal. */
export async function serveRelay(io: Io, options: CommonOptions & ServeOptions, stopped: Promise<NodeJS.Signals>): Promise<void> {
  // A signal during the start does not end the process: it is handled when all ports are open.
  const signals = listenToSignals(stopped);
  const { config, file, ended } = await readForStart(io, options, stopped);
  if (ended !== undefined) return endedWith(ended);
  const { startRelay } = await import('../relay/relay.ts');
  const again = { ...options, ...(file === undefined ? {} : { config: file }) };
  const source = { file: again.config, env: io.env, cwd: io.cwd };
  const relay = await startRelay({ config, source, reload: () => reread(io, again) }).catch(explainPorts);
  await signals.serve(relay);
}

/** Asks in the browser if there is neither a file nor a host name. @returns what to serve; undefined: a signal came first. */
async function firstRun(
  io: Io,
  options: CommonOptions & ServeOptions,
  stopped: Promise<unknown>,
): Promise<(CommonOptions & ServeOptions) | undefined> {
  if (options.firstRun === undefined || io.env['SMARTHOST_HOSTNAME']) return options;
  const { findFile } = await import('../config/config.ts');
  const found = await findFile({ file: options.config, env: io.env, cwd: io.cwd });
  const { chooseFile } = await import('./init-write.ts');
  const file = await chooseFile(io, options);
  if (('file' in found && found.file !== undefined) || existsSync(file)) return options;
  const { askInBrowser } = await import('./first-run.ts');
  const answered = await askInBrowser(io, { file, listen: options.firstRun, start: 'here', cwd: io.cwd }, stopped);
  return answered ? { ...options, config: file } : undefined;
}

/** Reports all problems before any port opens. It changes the user first, so that access to files is checked as that user. */
async function readForStart(
  io: Io,
  options: CommonOptions & ServeOptions,
  stopped: Promise<NodeJS.Signals>,
): Promise<{ config: Config; file?: string; ended?: number }> {
  const { checkEnvironment, formatProblem, loadConfig } = await import('../config/config.ts');
  const loaded = await loadConfig({ file: options.config, env: io.env, cwd: io.cwd });
  if (loaded.notice !== undefined) io.err(loaded.notice);
  if ('problems' in loaded) throw new CommandError(loaded.problems.map(formatProblem).join('\n'));
  const { filesOf } = await import('../store/store.ts');
  const files = filesOf(loaded.config);
  const owner = files?.owner();
  if (owner !== undefined) {
    const { needsLowPorts, serveAsOwner } = await import('./serve-as-owner.ts');
    const words = loaded.file === undefined ? [] : ['--config', loaded.file];
    const ended = needsLowPorts(loaded.config) ? await serveAsOwner(owner, words, stopped) : undefined;
    if (ended !== undefined) return { ...loaded, ended };
  }
  files?.becomeOwner();
  if (!options.asRoot) refuseRoot(loaded.config.dataDir, loaded.file);
  const problems = [...loaded.warnings, ...(await checkEnvironment(loaded.config, loaded)), ...(await checkTables(loaded))];
  if (problems.some(({ level }) => level === 'error')) throw new CommandError(problems.map(formatProblem).join('\n'));
  for (const problem of problems) io.err(formatProblem(problem));
  return loaded;
}

/**
 * Refuses to run the installed relay as root, because any machine can connect to it. An operator who names another file, for example
 * to try a checkout, may run it as root.
 */
function refuseRoot(dataDir: string, file: string | undefined): void {
  if (process.getuid?.() !== 0) return;
  const isSystems = file === undefined ? dataDir === SYSTEM_DATA : dirname(file) === SYSTEM_DIR;
  if (!isSystems) return;
  throw new CommandError(
    `The relay would run as root, because ${dataDir} is root's. Give it a user of its own: useradd --system --user-group smarthost; chown -R smarthost: ${dataDir}. To run it as root all the same: serve --as-root`,
  );
}

async function reread(io: Io, options: CommonOptions): Promise<{ config: Config } | { problems: readonly string[] }> {
  const { checkEnvironment, formatProblem, loadConfig } = await import('../config/config.ts');
  const loaded = await loadConfig({ file: options.config, env: io.env, cwd: io.cwd });
  const problems =
    'problems' in loaded ? loaded.problems : [...(await checkEnvironment(loaded.config, loaded)), ...(await checkTables(loaded))];
  if ('config' in loaded && problems.every(({ level }) => level === 'warning')) return { config: loaded.config };
  return { problems: problems.map(formatProblem) };
}

/** The other process has said why. */
function endedWith(exitCode: number): void {
  if (exitCode !== 0) throw new CommandError('', { exitCode });
}

/** Root can get this error too where there is no setpriv, because the process becomes the owner of the data before it opens ports. */
function explainPorts(error: Error): never {
  const ports: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  if (!ports.some((port) => port instanceof ClosedPort && port.code === 'EACCES')) throw error;
  const uid = process.getuid?.();
  throw new CommandError(`${error.message}. Ports below 1024 need the capability CAP_NET_BIND_SERVICE, which uid ${uid} lacks.`, {
    cause: error,
  });
}

/** The row about it names the relay, because a signal does not say who sent it. A store that fails here has told of itself already. */
async function reloadByHand(relay: Relay): Promise<void> {
  const done = await relay.reload();
  if (done.result === 'reloaded') await relay.control.changes.noteReload(done.restartNeeded).catch(() => {});
}

function listenToSignals(stopped: Promise<NodeJS.Signals>): { serve(relay: Relay): Promise<void> } {
  let relay: Relay | undefined;
  let reloadWanted = false;
  process.on('SIGHUP', () => {
    if (relay === undefined) reloadWanted = true;
    else void reloadByHand(relay);
  });
  // By default SIGUSR2 ends the process and SIGUSR1 opens a debugger to every user of the machine. Tools such as log rotation may send them.
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => {});
  return {
    async serve(started) {
      relay = started;
      if (reloadWanted) await reloadByHand(started);
      await started.close(await stopped);
    },
  };
}
