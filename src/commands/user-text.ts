/** Credentials as text, with their effective limits. */

import type { User, WholeUser } from '../control/control.ts';
import { formatLimit } from '../smtp/limit.ts';
import { facts, several, table, time } from './text.ts';

export function userTable(users: readonly User[]): string {
  const rows = users.map((user) => {
    const { name, senders, mailServer } = user;
    return [name, stateOf(user), mailServer ? 'mail server' : 'user', senders.join(' '), useOf(user)];
  });
  return table(['NAME', 'STATE', 'KIND', 'SENDERS', 'USED'], rows);
}

export function printUser(user: WholeUser): string {
  const { name, senders, mailServer, limits, used, defaultLimits, expiresAt, rewrite, createdAt } = user;
  const { profile, bulk, contact, stops, trustedUntil } = user;
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
    ['profile', `${profile}${bulk ? ', sends newsletters' : ''}`],
    ['contact', contact ?? ''],
    ...(trustedUntil === null ? [] : [['trusted until', time(trustedUntil)] as const]),
    ...stops.flatMap((stop) => stopFacts(stop)),
    ['added', time(createdAt)],
  ]);
}

function stopFacts({ sender, state, since, signals, heldRecipients, by }: User['stops'][number]) {
  const why = by === 'operator' ? 'an operator has asked for it' : signals.join('; ');
  const text = `since ${time(since)}, ${several(heldRecipients, 'recipient')} held: ${why}`;
  return [[sender === null ? state : `${sender} ${state}`, text] as const];
}

function nameOf(limit: User['limits'][number]): string {
  return `${limit.kind}=${formatLimit(limit)}`;
}

function stateOf({ disabled, expiresAt, stops }: User): string {
  if (disabled) return 'disabled';
  if (stops.some(({ sender }) => sender === null)) return stops.find(({ sender }) => sender === null)!.state;
  if (stops.length > 0) return `${stops.length} ${stops.length === 1 ? 'sender' : 'senders'} held`;
  return expiresAt !== null && Date.parse(expiresAt) <= Date.now() ? 'expired' : 'enabled';
}

function useOf({ limits, used }: User): string {
  if (limits.length === 0) return 'no limit';
  return used.map(({ kind, used, count, per }) => `${kind} ${used}/${count} ${per === 'hour' ? 'an' : 'a'} ${per}`).join(', ');
}
