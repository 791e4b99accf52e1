/** The overview: does mail flow, what needs a person, and the figures behind it. */
import * as v from 'valibot';
import type { ConsoleParts } from '../console.ts';
import { route } from '../route.ts';
import { isoTime, maybeTime } from './message-shapes.ts';
import { flowVerdict, NEED_KINDS } from './needs.ts';
import { sees, sightOf } from './sight.ts';
import { keepStatus } from './status-cache.ts';

const seconds = v.pipe(v.nullable(v.number()), v.description('Seconds.'));

const needShape = v.object({
  kind: v.picklist(NEED_KINDS),
  level: v.picklist(['error', 'warning']),
  subject: v.pipe(
    v.nullable(v.string()),
    v.description('What it is about: the key of a destination, a provider, a credential, a kind of key.'),
  ),
  count: v.pipe(v.nullable(v.number()), v.description('Recipients, per cent, days or bytes, as the kind tells.')),
  until: maybeTime,
  since: maybeTime,
  reply: v.nullable(v.string()),
  text: v.pipe(v.string(), v.description('The same in one English sentence.')),
});

const counts = { accepted: v.number(), relayed: v.number(), delayed: v.number(), failed: v.number(), expired: v.number() };

const statusAnswer = v.object({
  hostname: v.string(),
  version: v.string(),
  startedAt: isoTime,
  at: v.pipe(isoTime, v.description('When this was looked at.')),
  verdict: v.object({
    flowing: v.boolean(),
    reason: v.pipe(v.nullable(v.picklist(NEED_KINDS)), v.description('Why mail does not flow.')),
    needs: v.pipe(v.array(needShape), v.description('The worst first, at most 5.')),
    more: v.number(),
  }),
  lastHour: v.object({ since: isoTime, ...counts, refused: v.number(), loginsFailed: v.number() }),
  latency: v.pipe(
    v.object({ since: isoTime, count: v.number(), half: seconds, most: seconds }),
    v.description('From acceptance to the reply of the destination: half took less, 95 % took less. null: nothing was relayed.'),
  ),
  last24Hours: v.object({ ...counts, refused: v.number() }),
  queue: v.object({ waiting: v.number(), held: v.number(), oldestAcceptedAt: maybeTime }),
  destinations: v.pipe(
    v.object({ resting: v.number(), known: v.number() }),
    v.description('Sets of mail hosts that get no mail for a while, of those that are known.'),
  ),
  credentials: v.array(
    v.object({
      name: v.string(),
      accepted24Hours: v.number(),
      disabled: v.boolean(),
      limit: v.nullable(
        v.object({
          kind: v.string(),
          count: v.number(),
          per: v.string(),
          used: v.number(),
          percent: v.number(),
          resetsAt: maybeTime,
        }),
      ),
    }),
  ),
  disk: v.nullable(v.object({ free: v.number(), wanted: v.number() })),
  certificates: v.array(v.object({ keyType: v.string(), notAfter: isoTime, days: v.number() })),
  port25: v.picklist(['open', 'closed', 'unknown']),
  clockSkew: seconds,
  sessions: v.number(),
  failures: v.array(
    v.object({
      at: isoTime,
      id: v.string(),
      recipient: v.string(),
      user: v.nullable(v.string()),
      reply: v.nullable(v.string()),
    }),
  ),
});

/** `GET /status` */
export type ApiStatus = v.InferOutput<typeof statusAnswer>;

export const STATUS_ROUTES = [
  route({
    method: 'GET',
    path: '/status',
    access: 'account',
    scope: 'metrics:read',
    about: 'Does mail flow, what needs a person, and the figures behind it. One answer is given for a second.',
    answer: statusAnswer,
    async handle({ by, control, parts }) {
      const users = sightOf(by);
      const stored = await keepStatus(parts, users, () => control.status.show(users));
      return { ...facts(parts, users), ...stored, ...verdict(parts, stored, (user) => sees(by, user), users === null) };
    },
  }),
];

type Stored = Awaited<ReturnType<typeof keepStatus>>;

function verdict(parts: ConsoleParts, stored: Stored, mayTell: (user: string) => boolean, whole: boolean) {
  const { live } = parts;
  const hour = live.lastHour(null);
  const needs = flowVerdict({ condition: live.condition(), destinations: live.destinations(), hour, stored, now: Date.now() });
  const told = needs.needs.filter(({ kind, subject }) => whole || (kind === 'limit' && mayTell(subject ?? '')));
  return {
    verdict: { flowing: needs.flowing, reason: needs.reason, needs: told.slice(0, 5), more: Math.max(0, told.length - 5) },
  };
}

function facts({ live, hostname, version, startedAt }: ConsoleParts, users: readonly string[] | null) {
  const now = Date.now();
  const { disk, certificates, port25, skew, sessions, resting } = live.condition();
  const { since, counts, latency, failures } = live.lastHour(users);
  return {
    hostname: hostname(),
    version,
    startedAt: iso(startedAt),
    at: iso(now),
    lastHour: { since: iso(since), ...counts },
    latency: { since: iso(since), ...latency },
    destinations: { resting: resting.now, known: resting.known },
    disk,
    certificates: certificates.map(({ keyType, notAfter }) => ({
      ...{ keyType, notAfter: iso(notAfter) },
      days: Math.floor((notAfter - now) / 86_400_000),
    })),
    port25,
    clockSkew: skew,
    sessions,
    failures: failures.map(({ at, ...failure }) => ({ at: iso(at), ...failure })),
  };
}

const iso = (at: number) => new Date(at).toISOString();
