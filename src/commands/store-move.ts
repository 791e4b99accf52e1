/** `smarthost store move`: carries all data to another engine. */
import type { Config } from '../config/config.ts';
import type { moveStore } from '../store/store.ts';
import { readConfig } from './context.ts';
import { type CommonOptions, define, type Register } from './define.ts';
import { UsageError } from './errors.ts';
import { type Io, printJson } from './io.ts';
import { several } from './text.ts';

type Target = Pick<Config, 'store' | 'dataDir'>;
type Options = CommonOptions & { readonly to: string };

export const registerStoreMove: Register = (store, io) => {
  define<Options>(
    store,
    {
      usage: 'move',
      about:
        'Carry queue, trace, keys, credentials and certificates into a PostgreSQL database, or back into files, while no relay runs on either. Afterwards the old store cannot be opened. After a crash, run it again.',
      examples: [
        'store move --to postgres://db1.example.net,db2.example.net,db3.example.net/smarthost?passwordFile=/etc/smarthost/database-password',
        'store move --to sqlite:/var/lib/smarthost',
      ],
      options: (command) => command.requiredOption('--to <place>', 'postgres://HOST,HOST/DATABASE, or sqlite:DIRECTORY'),
    },
    async (_, options) => {
      const { config } = await readConfig(io, options);
      const to = parseTarget(options.to);
      const { filesOf, moveStore } = await import('../store/store.ts');
      for (const side of [config, to]) filesOf(side)?.becomeOwner();
      const moved = await moveStore({ from: config, to, told: teller(io) });
      const { store, dataDir } = to;
      if (options.json) return printJson(io, { ...moved, store, ...(store === 'sqlite' ? { dataDir } : {}) });
      const { messages = 0, credentials = 0, dkim_keys: keys = 0 } = moved.rows;
      io.err(
        Object.keys(moved.rows).length === 0
          ? `The data are in ${moved.to}: ${moved.resumed ? 'the last step of an earlier move is done.' : 'an earlier move has done it.'}`
          : `${moved.to}: ${several(messages, 'message')}, ${several(credentials, 'user')}, ${several(keys, 'DKIM key')}; all rows and bodies were compared.`,
      );
      io.err('The old store cannot be opened any more. Put this into the configuration, then start the relay:');
      await io.out(configurationOf(to));
    },
  );
};

/** Says each table once, and a large one from time to time. */
function teller(io: Io): Parameters<typeof moveStore>[0]['told'] {
  const EVERY = 10_000;
  let last = '';
  let next = 0;
  return ({ table, rows }) => {
    if (table === last && rows < next) return;
    if (table !== last || rows >= next) io.err(`${table}: ${rows}`);
    if (table !== last) next = 0;
    last = table;
    next = (Math.floor(rows / EVERY) + 1) * EVERY;
  };
}

const QUERY = ['passwordFile', 'tls', 'ca', 'durability', 'node'] as const;
const WORDS: Readonly<Record<string, readonly string[]>> = { tls: ['none', 'encrypt', 'verify'], durability: ['two', 'one'] };
const POSTGRES = /^postgres(?:ql)?:\/\/(?:([^@/?]*)@)?([^/?@]+)(?:\/([^?]*))?(?:\?(.*))?$/;

/** @throws UsageError */
export function parseTarget(text: string): Target {
  const dataDir = /^sqlite:(\/.+)$/.exec(text)?.[1];
  if (dataDir !== undefined) return { store: 'sqlite', dataDir };
  const [, user = '', hosts, database = '', query = ''] = POSTGRES.exec(text) ?? [];
  if (hosts === undefined)
    throw new UsageError('--to must be postgres://HOST,HOST/DATABASE or sqlite:DIRECTORY, with the whole path of the directory');
  if (user.includes(':'))
    throw new UsageError('--to must have no password, because other users can see it: write ?passwordFile=/path/of/a/file');
  const given = Object.fromEntries(new URLSearchParams(query));
  for (const [name, value] of Object.entries(given)) {
    if (!QUERY.includes(name as (typeof QUERY)[number])) throw new UsageError(`--to knows ${QUERY.join(', ')}, and not ${name}`);
    if (WORDS[name]?.includes(value) === false)
      throw new UsageError(`--to: ${name} is ${WORDS[name].join(' or ')}, not ${value}`);
  }
  const names = { ...(database === '' ? {} : { database }), ...(user === '' ? {} : { user: decodeURIComponent(user) }) };
  return { dataDir: '', store: { postgres: hosts.split(','), ...names, ...given } };
}

function configurationOf({ store, dataDir }: Target): string {
  if (store === 'sqlite') return `store: sqlite\ndataDir: ${JSON.stringify(dataDir)}\n`;
  const { postgres, ...others } = store;
  const lines = Object.entries(others).map(([name, value]) => `  ${name}: ${JSON.stringify(value)}\n`);
  return `store:\n  postgres: ${JSON.stringify(postgres)}\n${lines.join('')}`;
}
