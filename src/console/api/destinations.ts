/** Destinations: how much mail goes there at a time, which way, what rests, and what they have said. */
import * as v from 'valibot';
import { type ConfiguredWay, type Control, type QueuedGroup, readDomain } from '../../control/control.ts';
import { isRouted } from '../../smtp/route.ts';
import { proofPhrase } from '../../system/certificate-proof.ts';
import type { ConsoleParts } from '../console.ts';
import type { Heard24h, LiveDestination } from '../live-facts.ts';
import { ApiProblem } from '../problem.ts';
import { route } from '../route.ts';
import { phraseShape } from './findings.ts';
import { isoTime, maybeTime, stateCounts } from './message-shapes.ts';
import { nextPage, pageLimit } from './paging.ts';
import { checkSeesAll } from './sight.ts';

/** Groups of the queue that are read for one answer. */
const MOST_GROUPS = 1000;

const maybe = v.nullable(v.string());
const hosts = v.array(v.string());
const tlsLevel = v.pipe(v.string(), v.description('What is demanded of them, as in `delivery.tls`.'));

const session = v.object({
  ...{ at: isoTime, mx: maybe, tls: maybe },
  assurance: v.pipe(
    v.string(),
    v.description('What it was worth: `clear`, `tls`, `encrypt`, `verify`, `sts`, `dane` and others.'),
  ),
  proof: v.pipe(maybe, v.description('What its certificate was accepted by.')),
  phrase: v.pipe(v.nullable(phraseShape), v.description('`proof`, for other languages.')),
  policyId: v.pipe(maybe, v.description('Of the policy of MTA-STS that it met.')),
  fallback: v.pipe(v.boolean(), v.description('With the relay for mail that the provider refuses.')),
});

const destinationShape = v.object({
  key: v.pipe(v.string(), v.description('The domain, or `route:` and the first host of a route.')),
  hosts: v.pipe(v.nullable(v.string()), v.description('Its mail hosts. null: not looked up since the start.')),
  provider: v.nullable(v.string()),
  sessions: v.pipe(v.number(), v.description('Under way to these hosts now, for all destinations that have them.')),
  allowed: v.pipe(v.nullable(v.number()), v.description('So many may be at a time now. null: not known yet.')),
  inLine: v.pipe(v.number(), v.description('Attempts that wait for a session.')),
  rest: v.pipe(
    v.nullable(v.object({ until: isoTime, failures: v.number(), reason: v.string() })),
    v.description('The hosts get no mail until then, for the so-many-th time in a row. null: they do.'),
  ),
  waiting: v.pipe(v.number(), v.description('Recipients that have not ended.')),
  states: stateCounts,
  oldestAcceptedAt: maybeTime,
  nextAttemptAt: maybeTime,
  heard: v.pipe(
    v.nullable(
      v.object({
        since: isoTime,
        replies: v.array(v.object({ code: v.number(), status: v.string(), count: v.number() })),
        tls: v.array(v.object({ version: v.nullable(v.string()), count: v.number() })),
        last: v.object({ at: isoTime, outcome: v.string(), reply: v.string(), mx: maybe }),
        session: v.pipe(v.nullable(session), v.description('The last one that was opened.')),
      }),
    ),
    v.description('What it has said in the last 24 hours, or since the start. null: nothing.'),
  ),
  routes: v.pipe(
    v.array(
      v.object({
        ...{ hosts, tls: tlsLevel },
        ...{ recipientDomain: maybe, senderDomain: maybe, user: maybe, mx: maybe },
        login: v.pipe(v.boolean(), v.description('The relay logs in there.')),
      }),
    ),
    v.description(
      'Configured routes that take its mail, or some of it, in the order in which they are asked. Others go by its MX.',
    ),
  ),
  fallback: v.pipe(
    v.nullable(v.object({ hosts, tls: tlsLevel })),
    v.description('The relay that takes its mail while its provider refuses our address.'),
  ),
});

const demanded = v.object({
  ...{ host: v.string(), port: v.number(), ip: v.string() },
  proven: v.pipe(v.boolean(), v.description('DNSSEC proves its address.')),
  dane: v.pipe(v.string(), v.description('`records`, `unusable`, `failed`, or why there is none: `absent`, `insecure`, `off`.')),
  tlsa: v.array(v.object({ record: v.string(), fate: v.string(), phrase: phraseShape })),
  demand: v.pipe(v.string(), v.description('What a session must be worth, or why the host gets no mail.')),
  by: v.pipe(maybe, v.description('`dane`, `mta-sts`, `operator`. null: nobody demands TLS.')),
  sentence: v.string(),
  phrase: phraseShape,
});

const policyShape = v.object({
  result: v.pipe(v.picklist(['sent', 'delayed', 'returned']), v.description('What would become of mail now.')),
  sentence: v.string(),
  phrase: phraseShape,
  validates: v.pipe(v.boolean(), v.description('The resolver validates DNSSEC.')),
  route: v.nullable(hosts),
  hosts: v.array(demanded),
  mtaSts: v.pipe(
    v.nullable(v.object({ mode: v.string(), id: v.string(), mx: hosts, fetchedAt: isoTime, expiresAt: isoTime })),
    v.description('The policy of MTA-STS that holds.'),
  ),
  mtaStsProblem: v.pipe(maybe, v.description('Why an announced policy could not be had.')),
  mtaStsPhrase: v.pipe(v.nullable(phraseShape), v.description('`mtaStsProblem`, for other languages.')),
  exceptions: v.array(v.object({ subject: v.string(), what: v.string(), phrase: phraseShape, until: maybeTime })),
});

type Shape = ReturnType<typeof shapeOf>;
type WholeShape = Shape & ConfiguredWay;

export const DESTINATION_ROUTES = [
  route({
    method: 'GET',
    path: '/destinations',
    access: 'account',
    scope: 'messages:read',
    about: 'Destinations with mail that waits, and those that have had mail since the start. Those that rest come first.',
    query: v.strictObject({ limit: pageLimit }),
    answer: v.object({ items: v.array(destinationShape), next: nextPage, total: v.number() }),
    async handle({ query: { limit }, by, control, parts }) {
      checkSeesAll(by);
      const all = await known({ control, parts });
      const items = await Promise.all(all.slice(0, limit).map((one) => withWay(one, control)));
      return { items, next: null, total: all.length };
    },
  }),
  route({
    method: 'GET',
    path: '/destinations/:key',
    access: 'account',
    scope: 'messages:read',
    about: 'One destination.',
    answer: destinationShape,
    handle: async ({ params: { key }, by, control, parts }) => withWay(await oneOf(key, { by, control, parts }), control),
  }),
  route({
    method: 'GET',
    path: '/destinations/:key/policy',
    access: 'account',
    scope: 'messages:read',
    about: 'What is demanded of the TLS of its hosts now, by whom, and why. It asks the DNS, and talks to no host.',
    answer: policyShape,
    async handle({ params: { key }, by, control, parts }) {
      const one = await oneOf(key, { by, control, parts });
      if (isRouted(one.key))
        throw new ApiProblem(404, `${one.key} is a route: only its own setting \`tls\` says what is demanded of its hosts.`);
      return control.tlsCheck.check(readDomain(one.key), { connect: false });
    },
  }),
];

type Asked = { readonly control: Control; readonly parts: Pick<ConsoleParts, 'live'> };

/** @throws ApiProblem if nothing waits for it, and nothing has gone there. */
async function oneOf(key: string, { by, ...asked }: Asked & { readonly by: Parameters<typeof checkSeesAll>[0] }): Promise<Shape> {
  checkSeesAll(by);
  const found = (await known(asked)).find((one) => one.key === key.toLowerCase());
  if (found === undefined) throw new ApiProblem(404, `No mail waits for ${key}, and none has gone there since the start.`);
  return found;
}

async function known({ control, parts }: Asked): Promise<readonly Shape[]> {
  return joined(parts.live.destinations(), await control.queue.groups({ by: 'destination', limit: MOST_GROUPS }));
}

const withWay = async (one: Shape, { ways }: Pick<Control, 'ways'>): Promise<WholeShape> => ({
  ...one,
  ...(await ways.of(one.key, one.provider)),
});

/** Resting ones first, then those with most that waits. */
function joined(live: readonly LiveDestination[], groups: readonly QueuedGroup[]): readonly Shape[] {
  const waiting = new Map(groups.map((group) => [group.name ?? '', group]));
  const known = live.map((one) => shapeOf(one.destination, one, waiting.get(one.destination)));
  const names = new Set(live.map(({ destination }) => destination));
  const others = groups.filter(({ name }) => name !== null && !names.has(name)).map((one) => shapeOf(one.name!, undefined, one));
  return [...known, ...others].sort(
    (a, b) => Number(b.rest !== null) - Number(a.rest !== null) || b.waiting - a.waiting || (a.key < b.key ? -1 : 1),
  );
}

function shapeOf(key: string, live: LiveDestination | undefined, group: QueuedGroup | undefined) {
  const rest = live?.rest ?? null;
  return {
    key,
    hosts: live?.hosts ?? null,
    provider: live?.provider ?? null,
    sessions: live?.sessions ?? 0,
    allowed: live === undefined || live.hosts === null ? null : live.allowed,
    inLine: live?.inLine ?? 0,
    rest: rest && { ...rest, until: iso(rest.until) },
    waiting: group?.recipients ?? 0,
    states: group?.states ?? {},
    oldestAcceptedAt: group?.oldestAcceptedAt ?? null,
    nextAttemptAt: group?.nextAttemptAt ?? null,
    heard: heardShape(live?.heard ?? null),
  };
}

function heardShape(heard: Heard24h | null) {
  if (heard === null) return null;
  const { since, last, session, ...counted } = heard;
  const phrase = session?.proof == null ? null : proofPhrase(session.proof);
  const spoken = session && { ...session, at: iso(session.at), phrase };
  return { ...counted, since: iso(since), last: { ...last, at: iso(last.at) }, session: spoken };
}

const iso = (at: number) => new Date(at).toISOString();
