/** `smarthost serve`: the relay in the foreground, until a signal ends it. */
import { dirname } from 'node:path';
import type { Config } from '../config/config.ts';
import { ClosedPort } from '../net/open-port.ts';
import type { Relay } from '../relay/relay.ts';
import { type CommonOptions, define, type Register } from './define.ts';
import { CommandError } from './errors.ts';
import { SYSTEM_DIR } from './init-write.ts';
import type { Io } from './io.ts';

/** Where the environment alone, without a file, has its data by default. */
const SYSTEM_DATA = '/var/lib/smarthost';

type ServeOptions = { readonly asRoot?: boolean };

export const registerServe: Register = (program, io) => {
  define<ServeOptions>(
    program,
    {
      usage: 'serve',
      about: 'Run the relay in the foreground. SIGHUP reads the configuration again; SIGTERM ends it without losing mail.',
      examples: ['serve', 'serve --config /etc/smarthost/smarthost.yaml'],
      options: (command) =>
        command.option(
          '--as-root',
          "stay root where the data directory is root's; refused without it for the system's configuration",
        ),
    },
    async (_, options) => {
      const { config, file } = await readForStart(io, options);
      const { startRelay } = await import('../relay/relay.ts');
      // A signal that comes while ports are being opened waits for them, instead of ending the process.
      const signals = listenToSignals();
      const again = { ...options, ...(file === undefined ? {} : { config: file }) };
      const relay = await startRelay({ config, reload: () => reread(io, again) }).catch(explainPorts);
      await signals.serve(relay);
    },
  );
};

/** All problems before any port opens; the user is taken before files are judged by it. */
async function readForStart(io: Io, options: CommonOptions & ServeOptions): Promise<{ config: Config; file?: string }> {
  const { checkEnvironment, formatProblem, loadConfig } = await import('../config/config.ts');
  const loaded = await loadConfig({ file: options.config, env: io.env, cwd: io.cwd });
  if (loaded.notice !== undefined) io.err(loaded.notice);
  if ('problems' in loaded) throw new CommandError(loaded.problems.map(formatProblem).join('\n'));
  const { filesOf } = await import('../store/store.ts');
  filesOf(loaded.config)?.becomeOwner();
  if (!options.asRoot) refuseRoot(loaded.config.dataDir, loaded.file);
  const problems = [...loaded.warnings, ...(await checkEnvironment(loaded.config, loaded))];
  if (problems.some(({ level }) => level === 'error')) throw new CommandError(problems.map(formatProblem).join('\n'));
  for (const problem of problems) io.err(formatProblem(problem));
  return loaded;
}

/**
 * A relay that every machine can reach needs no power over this one. The system's installation has a user for it; who names a file
 * of their own has chosen, as a checkout does that somebody tries.
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
  const problems = 'problems' in loaded ? loaded.problems : await checkEnvironment(loaded.config, loaded);
  if ('config' in loaded && problems.every(({ level }) => level === 'warning')) return { config: loaded.config };
  return { problems: problems.map(formatProblem) };
}

/** Root is given up for the owner of the data before ports open, so this is met by root too. */
function explainPorts(error: Error): never {
  const ports: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  if (!ports.some((port) => port instanceof ClosedPort && port.code === 'EACCES')) throw error;
  const uid = process.getuid?.();
  throw new CommandError(`${error.message}. Ports below 1024 need the capability CAP_NET_BIND_SERVICE, which uid ${uid} lacks.`, {
    cause: error,
  });
}

/** SIGTERM and SIGINT mean the same, to the process or its whole group, once or often. */
function listenToSignals(): { serve(relay: Relay): Promise<void> } {
  let relay: Relay | undefined;
  let reloadWanted = false;
  const ending = Promise.withResolvers<string>();
  process.on('SIGHUP', () => {
    if (relay === undefined) reloadWanted = true;
    else void relay.reload();
  });
  process.on('SIGTERM', () => ending.resolve('SIGTERM'));
  process.on('SIGINT', () => ending.resolve('SIGINT'));
  // Meant for other programs (log rotation) they would end it at once, or open a debugger to every user of the machine.
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => {});
  return {
    async serve(started) {
      relay = started;
      if (reloadWanted) await started.reload();
      await started.close(await ending.promise);
    },
  };
}
