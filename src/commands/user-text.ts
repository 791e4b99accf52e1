/** Credentials as text, with their effective limits. */

import type { User, WholeUser } from '../control/control.ts';
import { formatLimit } from '../smtp/limit.ts';
import { facts, table, time } from './text.ts';

export function userTable(users: readonly User[]): string {
  const rows = users.map((user) => {
    const { name, senders, mailServer } = user;
    return [name, stateOf(user), mailServer ? 'mail server' : 'user', senders.join(' '), useOf(user)];
  });
  return table(['NAME', 'STATE', 'KIND', 'SENDERS', 'USED'], rows);
}

export function printUser(user: WholeUser): string {
  const { name, senders, mailServer, limits, used, defaultLimits, expiresAt, rewrite, createdAt } = user;
  return facts([
    ['name', name],
    ['state', stateOf(user)],
    ['may send as', senders.join(', ')],
    ['mail server', mailServer ? 'yes' : 'no'],
    [
      'limits',
      `${limits.length === 0 ? 'none' : limits.map(nameOf).join(', ')}${defaultLimits && !mailServer ? ' (default)' : ''}`,
    ],
    ['used', used.map((use) => `${use.used} of ${nameOf(use)} until ${time(use.resetsAt)}`).join(', ')],
    ['expires', expiresAt === null ? 'never' : time(expiresAt)],
    ['sender becomes', rewrite ?? ''],
    ['added', time(createdAt)],
  ]);
}

function nameOf(limit: User['limits'][number]): string {
  return `${limit.kind}=${formatLimit(limit)}`;
}

function stateOf({ disabled, expiresAt }: User): string {
  if (disabled) return 'disabled';
  return expiresAt !== null && Date.parse(expiresAt) <= Date.now() ? 'expired' : 'enabled';
}

function useOf({ limits, used }: User): string {
  if (limits.length === 0) return 'no limit';
  return used.map(({ kind, used, count, per }) => `${kind} ${used}/${count} ${per === 'hour' ? 'an' : 'a'} ${per}`).join(', ');
}
