/** `smarthost tls policies …`: what domains demand of TLS by MTA-STS, as the relay has fetched it. */
import type { Command } from 'commander';
import type { Control, KnownPolicy } from '../control/control.ts';
import { withControl } from './context.ts';
import { type CommonOptions, define, group } from './define.ts';
import { domainTyped } from './errors.ts';
import { type Io, printJson } from './io.ts';
import { facts, several, table, time } from './text.ts';

export function registerPolicies(tls: Command, io: Io): void {
  const policies = group(tls, 'policies', 'Policies of MTA-STS that domains publish (RFC 8461).');
  define<{ readonly failing?: boolean }>(
    policies,
    {
      usage: 'list',
      about: 'Every policy that the relay knows, by domain. Those that have expired are shown for 7 days and not applied.',
      examples: ['tls policies list', 'tls policies list --failing'],
      options: (command) => command.option('--failing', 'only policies whose last fetch failed'),
    },
    (_, options) =>
      withControl(io, options, async ({ control }) => {
        const found = await control.tlsPolicies.list(options.failing === true);
        if (options.json) return printJson(io, found);
        if (found.length === 0) return io.err(options.failing ? 'No fetch of a policy fails.' : 'The relay knows no policies.');
        await io.out(table(['DOMAIN', 'MODE', 'STATE', 'ENDS', 'MX', 'FAILURES', 'REASON'], found.map(policyRow)));
      }),
  );
  define(
    policies,
    {
      usage: 'show <domain>',
      about: 'The policy of one domain, when it ends, and what became of the last fetch.',
      examples: ['tls policies show example.org'],
    },
    ([domain], options) => withPolicy(io, options, (control) => control.tlsPolicies.show(domainTyped(domain!))),
  );
  define(
    policies,
    {
      usage: 'refresh <domain>',
      about: 'Fetch the policy of a domain now. A policy that holds stays where that fails.',
      examples: ['tls policies refresh example.org'],
    },
    ([domain], options) => withPolicy(io, options, (control) => control.tlsPolicies.refresh(domainTyped(domain!))),
  );
  define(
    policies,
    {
      usage: 'forget <domain>',
      about: 'Forget the policy of a domain. The next mail to the domain asks for it again.',
      examples: ['tls policies forget example.org'],
    },
    ([name], options) =>
      withControl(io, options, async ({ control }) => {
        const domain = domainTyped(name!);
        await control.tlsPolicies.forget(domain);
        io.err(
          `The policy of ${domain} is forgotten. Mail that waits for it goes with: smarthost queue retry --domain ${domain}`,
        );
        if (options.json) await printJson(io, { domain });
      }),
  );
}

type Shown = Awaited<ReturnType<Control['tlsPolicies']['show']>>;

function withPolicy(io: Io, options: CommonOptions, find: (control: Control) => Promise<Shown>): Promise<void> {
  return withControl(io, options, async ({ control }) => {
    const policy = await find(control);
    if (options.json) return printJson(io, policy);
    await io.out(facts(factsOf(policy)));
  });
}

function factsOf(policy: Shown): readonly (readonly [string, string])[] {
  const { domain, state, mode, mx, id, fetchedAt, expiresAt, usedAt, refreshAt, failures, failedAt, lastError } = policy;
  return [
    ...([
      ['domain', domain],
      ['state', state],
      ['mode', mode],
      ['mx', mx.join(', ')],
      ['id', id],
    ] as const),
    ...([
      ['fetched', time(fetchedAt)],
      ['ends', time(expiresAt)],
      ['used', time(usedAt)],
      ['next fetch', time(refreshAt)],
    ] as const),
    ['last failure', failures === 0 ? '' : `${time(failedAt)} (${several(failures, 'failure')} in a row): ${lastError}`],
  ];
}

function policyRow({ domain, mode, state, expiresAt, mx, failures, lastError }: KnownPolicy): readonly string[] {
  const hosts = mx.length > 2 ? `${mx[0]} and ${mx.length - 1} more` : mx.join(', ');
  return [domain, mode, state, time(expiresAt), hosts, failures === 0 ? '' : String(failures), lastError ?? ''];
}
