/** Findings of the doctor that operators do not want to be told of for a while. */
import * as v from 'valibot';
import { route } from '../route.ts';

const path = '/doctor/mutes';
const access = { access: 'operator', scope: null } as const;

const which = { check: v.string(), subject: v.string() };
const mute = v.object({
  ...which,
  reason: v.string(),
  by: v.string(),
  at: v.string(),
  until: v.pipe(v.nullable(v.string()), v.description('null: until it is taken back.')),
});
const end = v.pipe(
  v.string(),
  v.check((text) => !Number.isNaN(Date.parse(text)), 'until is a time such as 2026-12-31T18:00:00Z.'),
  v.transform((text) => Date.parse(text)),
);

export const MUTE_ROUTES = [
  route({
    method: 'GET',
    path,
    ...access,
    about: 'The muted findings. They are still looked for.',
    answer: v.object({ items: v.array(mute) }),
    handle: async ({ control }) => ({ items: await control.mutes.list() }),
  }),
  route({
    method: 'POST',
    path,
    ...access,
    status: 201,
    about: 'Mutes a finding, with a reason that others read too.',
    body: v.strictObject({ ...which, reason: v.string(), until: v.nullable(end) }),
    answer: mute,
    handle: ({ control, body }) => control.mutes.add(body),
  }),
  route({
    method: 'DELETE',
    path,
    ...access,
    about: 'Tells of a finding again.',
    query: v.strictObject(which),
    async handle({ control, query }) {
      await control.mutes.remove(query.check, query.subject);
      return undefined;
    },
  }),
];
