/** `smarthost store …`: the engine that keeps the data, and the relays that share it. */
import type { Config } from '../config/config.ts';
import { nodeShape } from '../control/control.ts';
import type { Finding } from '../doctor/doctor.ts';
import type { StoreCluster } from '../store/store.ts';
import { paintFor } from './colours.ts';
import { readConfig } from './context.ts';
import { define, group, type Register } from './define.ts';
import { describeFindings, summaryOf } from './doctor-text.ts';
import { CommandError } from './errors.ts';
import { printJson } from './io.ts';
import { registerStoreMove } from './store-move.ts';
import { several, table, time } from './text.ts';

/** No server that answers is a primary. */
const NO_PRIMARY = 3;

export const registerStore: Register = (program, io) => {
  const store = group(program, 'store', 'The engine that keeps the data, and the relays that share it.');
  registerStoreMove(store, io);
  define(
    store,
    {
      usage: 'nodes',
      about:
        'The relays that share the database: alive or dead since when, version, whether their settings are alike, and what each works on.',
      examples: ['store nodes', 'store nodes --json'],
    },
    async (_, options) => {
      const { config } = await readConfig(io, options);
      const nodes = (await (await needCluster(config)).nodes()).map(nodeShape);
      if (options.json) return printJson(io, nodes);
      const rows = nodes.map(({ node, machine, pid, version, kind, state, settings, startedAt, seenAt, claims, leases }) => [
        ...[String(node), machine, String(pid), version, kind, state === 'dead' ? `dead since ${time(seenAt)}` : state],
        ...[settings ?? '', time(startedAt), String(claims), leases.join(' ')],
      ]);
      if (rows.length === 0) return io.err('No relay has the database open.');
      await io.out(
        table(['NODE', 'MACHINE', 'PID', 'VERSION', 'KIND', 'STATE', 'SETTINGS', 'STARTED', 'CLAIMS', 'LEASES'], rows),
      );
    },
  );
  define(
    store,
    {
      usage: 'check',
      about: `Check whether the database keeps mail as it must: servers, standbys, durability, tables. Exit 1 on an error, ${NO_PRIMARY} if no primary answers.`,
      examples: ['store check', 'store check --json'],
    },
    async (_, options) => {
      const { config } = await readConfig(io, options);
      const look = await (await needCluster(config)).look();
      const { checkDatabase } = await import('../doctor/doctor.ts');
      const findings: readonly Finding[] = checkDatabase(look);
      await (options.json
        ? printJson(io, { engine: 'postgres', ...look, findings })
        : io.out(describeFindings(findings, paintFor(io))));
      if (look.primary === undefined) throw new CommandError(summaryOf(findings), { exitCode: NO_PRIMARY });
      if (findings.some(({ result }) => result === 'error')) throw new CommandError(summaryOf(findings));
      const { connections, size } = look.primary;
      io.err(`${summaryOf(findings)} ${Math.ceil(size / 1024 ** 2)} MiB, ${several(connections, 'connection')}.`);
    },
  );
};

/** @throws CommandError if the data are in files of this machine. */
async function needCluster(config: Config): Promise<StoreCluster> {
  const { clusterOf } = await import('../store/store.ts');
  const cluster = clusterOf(config);
  if (cluster !== undefined) return cluster;
  throw new CommandError(
    `The data are in files in ${config.dataDir}, which one relay has for itself: \`smarthost doctor\` checks them. This command is for a shared database.`,
  );
}
