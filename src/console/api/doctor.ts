/** The doctor: what it found last, and a new look. */
import * as v from 'valibot';
import { route } from '../route.ts';
import { finding } from './findings.ts';

const time = v.nullable(v.string());
const look = v.object({
  state: v.picklist(['never', 'looking', 'looked']),
  startedAt: time,
  lookedAt: time,
  error: v.pipe(v.nullable(v.string()), v.description('Why the last look failed.')),
  findings: v.pipe(
    v.array(v.object({ ...finding.entries, since: v.pipe(v.string(), v.description('The first look that found it so.')) })),
    v.description('In the order in which they should be mended.'),
  ),
  changes: v.pipe(
    v.array(
      v.object({
        ...{ at: v.string(), check: v.string(), subject: v.string() },
        ...{ before: finding.entries.result, result: finding.entries.result },
      }),
    ),
    v.description('Results that differ from those of the look before, the newest first.'),
  ),
});

export const DOCTOR_ROUTES = [
  route({
    method: 'GET',
    path: '/doctor',
    access: 'operator',
    scope: 'metrics:read',
    about: 'What the last look found.',
    answer: look,
    handle: async ({ parts }) => parts.doctor.last(),
  }),
  route({
    method: 'POST',
    path: '/doctor',
    access: 'operator',
    scope: null,
    status: 202,
    about: 'Begins a look, unless one is under way or began less than 30 seconds ago. GET shows what it finds.',
    answer: v.object({ begun: v.boolean(), startedAt: time }),
    location: () => '/api/v1/doctor',
    async handle({ parts: { doctor } }) {
      const begun = doctor.look();
      return { begun, startedAt: doctor.last().startedAt };
    },
  }),
];
