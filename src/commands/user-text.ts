/** Credentials as text, and the limits that are in effect for them. */
import { type Config, defaultLimits, formatLimit } from '../config/config.ts';
import type { Credential, Limit, Store } from '../store/store.ts';
import type { CredentialView } from './shapes.ts';
import { facts, table, time } from './text.ts';

/** A credential with its own limits or the defaults, and what it used of them. */
export async function viewOf(credential: Credential, config: Config, store: Store): Promise<CredentialView> {
  const limits = credential.limits ?? (credential.mailServer ? [] : defaultLimits(config));
  const used = limits.length === 0 ? [] : await store.messages.limitUse(credential.name, limits, Date.now());
  return { credential, limits, used };
}

export function userTable(views: readonly CredentialView[]): string {
  const rows = views.map((view) => {
    const { name, senders, mailServer } = view.credential;
    return [name, stateOf(view.credential), mailServer ? 'mail server' : 'user', senders.join(' '), useOf(view)];
  });
  return table(['NAME', 'STATE', 'KIND', 'SENDERS', 'USED'], rows);
}

export function printUser(view: CredentialView): string {
  const { credential, limits, used } = view;
  const { name, senders, mailServer, expiresAt, rewrite, createdAt } = credential;
  return facts([
    ['name', name],
    ['state', stateOf(credential)],
    ['may send as', senders.join(', ')],
    ['mail server', mailServer ? 'yes' : 'no'],
    [
      'limits',
      `${limits.length === 0 ? 'none' : limits.map(nameOf).join(', ')}${credential.limits === null && !mailServer ? ' (default)' : ''}`,
    ],
    ['used', used.map(({ limit, used, resetsAt }) => `${used} of ${nameOf(limit)} until ${time(resetsAt)}`).join(', ')],
    ['expires', expiresAt === null ? 'never' : time(expiresAt)],
    ['sender becomes', rewrite ?? ''],
    ['added', time(createdAt)],
  ]);
}

function nameOf(limit: Limit): string {
  return `${limit.kind}=${formatLimit(limit)}`;
}

function stateOf({ disabled, expiresAt }: Credential): string {
  if (disabled) return 'disabled';
  return expiresAt !== null && expiresAt <= Date.now() ? 'expired' : 'enabled';
}

function useOf({ limits, used }: CredentialView): string {
  if (limits.length === 0) return 'no limit';
  return used
    .map(({ limit, used }) => `${limit.kind} ${used}/${limit.count} ${limit.per === 'hour' ? 'an' : 'a'} ${limit.per}`)
    .join(', ');
}
