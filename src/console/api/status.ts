/** The state of the relay in a few figures. */
import * as v from 'valibot';
import { route } from '../route.ts';

export const STATUS_ROUTES = [
  route({
    method: 'GET',
    path: '/status',
    access: 'account',
    scope: 'metrics:read',
    about: 'What the relay is, and since when it runs.',
    answer: v.object({ hostname: v.string(), version: v.string(), startedAt: v.string() }),
    handle: async ({ parts }) => ({
      hostname: parts.hostname(),
      version: parts.version,
      startedAt: new Date(parts.startedAt).toISOString(),
    }),
  }),
];
