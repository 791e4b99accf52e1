/** Providers: receivers that are known by their hosts, what each may get, and whether it refuses our address. */
import * as v from 'valibot';
import { route } from '../route.ts';

const path = '/providers/:key';
const read = { access: 'operator', scope: 'messages:read' } as const;
const time = v.nullable(v.string());

const address = v.object({
  address: v.pipe(v.nullable(v.string()), v.description('Of ours. null: the system chooses it.')),
  family: v.number(),
  state: v.string(),
  since: v.string(),
  until: v.pipe(time, v.description('No mail before it; for a block, the next probe.')),
  sessions: v.number(),
  perMinute: v.number(),
  perConnection: v.nullable(v.number()),
  class: v.nullable(v.string()),
  reply: v.nullable(v.string()),
  warmUp: v.pipe(
    v.nullable(v.object({ sent: v.number(), cap: v.number() })),
    v.description('What the address has sent today and may send, in messages, because it is new there. null: it is not.'),
  ),
  ipv6Until: time,
});
const provider = v.object({
  provider: v.string(),
  limits: v.nullable(
    v.object({
      ...{ mx: v.array(v.string()), sessions: v.number(), perConnection: v.number(), perMinute: v.number() },
      firstRest: v.pipe(v.number(), v.description('Seconds.')),
      ...{ ipv6: v.string(), removal: v.nullable(v.string()), origin: v.string(), source: v.string(), read: v.string() },
    }),
  ),
  addresses: v.array(address),
  held: v.pipe(v.number(), v.description('Recipients that wait because it refuses our address.')),
  fallback: v.nullable(
    v.object({
      ...{ hosts: v.array(v.string()), used: v.number(), dailyCap: v.number(), after: v.nullable(v.number()) },
      ...{ state: v.string(), until: time, reply: v.nullable(v.string()) },
    }),
  ),
  oldestHeldAt: time,
});

const ABOUT = {
  probe: 'Sends one held message now, to see whether it takes our mail again.',
  open: 'Lets its mail go at full pace.',
  hold: 'Holds its mail.',
} as const;

export const PROVIDER_ROUTES = [
  route({
    method: 'GET',
    path: '/providers',
    ...read,
    about: 'All providers of the table, and those that have refused us.',
    answer: v.object({ items: v.array(provider) }),
    handle: async ({ control }) => ({ items: await control.providers.list() }),
  }),
  route({
    method: 'GET',
    path,
    ...read,
    about: 'One provider.',
    answer: provider,
    handle: ({ control, params }) => control.providers.show(params.key),
  }),
  ...(['probe', 'open', 'hold'] as const).map((command) =>
    route({
      method: 'POST',
      path: `/providers/:key/${command}`,
      access: 'operator',
      scope: 'queue:write',
      status: 202,
      about: ABOUT[command],
      answer: v.object({ provider: v.string(), asked: v.string() }),
      async handle({ control, params }) {
        const { key } = params as { readonly key: string };
        await control.providers.command(key, command);
        return { provider: key, asked: command };
      },
    }),
  ),
];
