/** `smarthost token …`: how programs use the HTTP API. */
import { type Control, type KnownToken, parseExpiry, TOKEN_SCOPES } from '../control/control.ts';
import { withControl } from './context.ts';
import { collect, define, group, type Register } from './define.ts';
import { typed, UsageError } from './errors.ts';
import { printJson } from './io.ts';
import { table, time } from './text.ts';

type NewTokenOptions = {
  readonly account?: string;
  readonly scope?: readonly string[];
  readonly credential?: string;
  readonly network?: readonly string[];
  readonly expires?: string;
};

export const registerToken: Register = (program, io) => {
  const token = group(program, 'token', 'How programs use the HTTP API.');
  define<NewTokenOptions>(
    token,
    {
      usage: 'add <name>',
      about: 'Make a token. It is printed once.',
      examples: [
        'token add monitoring --scope metrics:read',
        'token add shop --account anna --scope messages:read --credential shop --network 203.0.113.0/24',
      ],
      options: (command) =>
        command
          .option('--scope <scope>', `what it may do: ${TOKEN_SCOPES.join(', ')}; repeatable`, collect)
          .option('--account <name>', 'it ends with this account and may never do more (default: the only admin)')
          .option('--credential <name>', 'the only credential whose mail it sees')
          .option('--network <network>', 'it is taken from there only, such as 203.0.113.0/24; repeatable', collect)
          .option('--expires <date>', 'when it ends (ISO 8601, UTC), or never (default: in 90 days)'),
    },
    ([name], options) => {
      const { scope: scopes = [], credential, network: networks, expires } = options;
      const expiresAt = expires === undefined ? undefined : typed('--expires', () => parseExpiry(expires));
      return withControl(io, options, async ({ control }) => {
        const account = options.account ?? (await onlyAdmin(control));
        const made = await control.tokens.add({ name: name!, account, scopes, credential, networks, expiresAt });
        io.err(`This is the token ${made.name}; it is not shown again:`);
        if (options.json) return printJson(io, made);
        await io.out(`${made.token}\n`);
      });
    },
  );
  define(token, { usage: 'list', about: 'List all tokens.', examples: ['token list', 'token list --json'] }, (_, options) =>
    withControl(io, options, async ({ control }) => {
      const tokens = await control.tokens.list();
      if (options.json) return printJson(io, tokens);
      if (tokens.length === 0) return io.err('There are no tokens. `smarthost token add NAME --scope SCOPE` makes one.');
      await io.out(
        table(['ID', 'NAME', 'ACCOUNT', 'SCOPES', 'CREDENTIAL', 'EXPIRES', 'LAST USED', 'FROM'], tokens.map(tokenRow)),
      );
    }),
  );
  define(
    token,
    { usage: 'remove <id>', about: 'Remove it. It is refused from now on.', examples: ['token remove 4f21ac90'] },
    ([id], options) =>
      withControl(io, options, async ({ control }) => {
        const removed = await control.tokens.remove(id!);
        io.err(`The token ${removed.id} is removed.`);
        if (options.json) await printJson(io, removed);
      }),
  );
};

async function onlyAdmin({ accounts }: Control): Promise<string> {
  const [admin, ...others] = (await accounts.list()).filter(({ role, disabled }) => role === 'admin' && !disabled);
  if (admin === undefined) throw new UsageError('--account: there is no admin; name the account that the token belongs to');
  if (others.length > 0) throw new UsageError('--account: there are several admins; name the account that the token belongs to');
  return admin.name;
}

function tokenRow({ id, name, account, scopes, credential, expiresAt, lastUsedAt, lastUsedIp }: KnownToken): readonly string[] {
  return [
    id,
    name,
    account,
    scopes.join(' '),
    credential ?? 'all',
    time(expiresAt) || 'never',
    time(lastUsedAt),
    lastUsedIp ?? '',
  ];
}
