/** Whether mail flows, and what needs a person, the worst first. Pure. */
import type { StoredStatus } from '../../control/control.ts';
import { DAY, HOUR } from '../../system/clock.ts';
import type { LastHour, LiveCondition, LiveDestination } from '../live-facts.ts';

/** The order is that of how bad they are. Each has one place where it is mended. */
export const NEED_KINDS = [
  ...(['store', 'disk', 'port25', 'standstill', 'certificate', 'provider', 'login'] as const),
  ...(['destination', 'held', 'limit', 'oldest', 'clock'] as const),
] as const;

type NeedKind = (typeof NEED_KINDS)[number];

type Need = {
  readonly kind: NeedKind;
  readonly level: 'error' | 'warning';
  readonly subject: string | null;
  readonly count: number | null;
  readonly until: string | null;
  readonly since: string | null;
  readonly reply: string | null;
  readonly text: string;
};

type Facts = {
  readonly condition: LiveCondition;
  readonly destinations: readonly LiveDestination[];
  readonly hour: LastHour;
  readonly stored: Pick<StoredStatus, 'queue' | 'credentials'>;
  readonly now: number;
};

/** Certificates are renewed 30 days before their end, so that one with less than this was not. */
const CERTIFICATE_ENDS = 14 * DAY;
const OLD = 12 * HOUR;
const NEARLY_USED = 80;
/** Recipients that were only delayed in an hour in which nothing was relayed. */
const STANDSTILL = 3;
/** Seconds. */
const SKEW = 5;

/** `reason`: why mail does not flow. */
export function flowVerdict(facts: Facts): { flowing: boolean; reason: NeedKind | null; needs: readonly Need[] } {
  const needs = [...ofMachine(facts), ...ofReceivers(facts), ...ofQueue(facts)].sort(
    (a, b) =>
      Number(a.level === 'warning') - Number(b.level === 'warning') || NEED_KINDS.indexOf(a.kind) - NEED_KINDS.indexOf(b.kind),
  );
  const { relayed } = facts.hour.counts;
  const stops = needs.find(
    ({ kind }) => kind === 'store' || kind === 'disk' || kind === 'standstill' || (kind === 'port25' && relayed === 0),
  );
  return { flowing: stops === undefined, reason: stops?.kind ?? null, needs };
}

function ofMachine({ condition, now }: Facts): readonly Need[] {
  const { unusable, disk, certificates, certificateTroubles, port25, skew } = condition;
  const needs: Need[] = [];
  if (unusable === 'storeUnreachable')
    needs.push(need('store', 'error', 'The database cannot be reached: no new mail is taken.'));
  if (unusable === 'diskTooFull')
    needs.push(need('disk', 'error', 'The disk is too full: no new mail is taken.', { count: disk?.free ?? null }));
  if (port25 === 'closed') needs.push(need('port25', 'error', 'No mail server can be reached on port 25.'));
  for (const { keyType, notAfter } of certificates) {
    const days = Math.floor((notAfter - now) / DAY);
    if (notAfter - now >= CERTIFICATE_ENDS) continue;
    const text = days < 0 ? `The ${keyType} certificate has ended.` : `The ${keyType} certificate ends in ${days} days.`;
    needs.push(
      need('certificate', days < 3 ? 'error' : 'warning', text, { subject: keyType, count: days, until: iso(notAfter) }),
    );
  }
  if (certificateTroubles.length > 0 && !needs.some(({ kind }) => kind === 'certificate'))
    needs.push(need('certificate', 'warning', certificateTroubles[0]!));
  if (skew !== null && Math.abs(skew) >= SKEW)
    needs.push(
      need('clock', 'warning', `The clock differs from the database by ${Math.round(Math.abs(skew))} s.`, { count: skew }),
    );
  return needs;
}

function ofReceivers({ condition: { blocked, stopped }, destinations }: Facts): readonly Need[] {
  const rests = Map.groupBy(
    destinations.filter(({ rest }) => rest !== null),
    ({ hosts, destination }) => hosts ?? destination,
  );
  return [
    ...blocked.map(({ provider, since, reply }) =>
      need('provider', 'error', `${provider} refuses mail from our address.`, { subject: provider, since: iso(since), reply }),
    ),
    ...stopped.map(({ user, sender, since }) =>
      need('login', 'error', `Mail of ${user}${sender === '' ? '' : ` from ${sender}`} is held because of its behaviour.`, {
        subject: user,
        since: iso(since),
      }),
    ),
    ...[...rests.values()].map(([first, ...more]) => {
      const { destination, rest } = first!;
      const others = more.length === 0 ? '' : ` and ${more.length} more`;
      const text = `${destination}${others} rests until ${iso(rest!.until)}.`;
      return need('destination', 'warning', text, { subject: destination, until: iso(rest!.until), reply: rest!.reason });
    }),
  ];
}

function ofQueue({ stored: { queue, credentials }, hour: { counts }, condition, now }: Facts): readonly Need[] {
  const needs: Need[] = [];
  const { relayed, delayed } = counts;
  if (queue.waiting >= STANDSTILL && delayed >= STANDSTILL && relayed === 0 && condition.port25 !== 'closed')
    needs.push(need('standstill', 'error', 'Nothing was relayed in the last hour, and mail waits.', { count: queue.waiting }));
  const since = queue.oldestAcceptedAt;
  if (since !== null && now - Date.parse(since) >= OLD)
    needs.push(need('oldest', 'warning', `The oldest mail waits since ${since}.`, { since, count: queue.waiting }));
  if (queue.held > 0) needs.push(need('held', 'warning', `${queue.held} recipients are held.`, { count: queue.held }));
  for (const { name, limit } of credentials) {
    if (limit === null || limit.percent < NEARLY_USED) continue;
    const text = `${name} has used ${limit.percent} % of ${limit.count} ${limit.kind} per ${limit.per}.`;
    needs.push(need('limit', 'warning', text, { subject: name, count: limit.percent, until: limit.resetsAt }));
  }
  return needs;
}

type More = Partial<Omit<Need, 'kind' | 'level' | 'text'>>;

function need(kind: NeedKind, level: Need['level'], text: string, more: More = {}): Need {
  return { kind, level, subject: null, count: null, until: null, since: null, reply: null, ...more, text };
}

const iso = (at: number) => new Date(at).toISOString();
