/** TLS with destinations: what would happen to mail for a domain, the policies that are known, and reports about it. */
import * as v from 'valibot';
import { readDay, readDomain } from '../../control/control.ts';
import { DAY } from '../../system/clock.ts';
import { route } from '../route.ts';
import { phraseShape } from './findings.ts';

const read = { access: 'operator', scope: 'messages:read' } as const;
const write = { access: 'operator', scope: null } as const;
const maybe = v.nullable(v.string());

const policy = v.object({
  ...{ domain: v.string(), state: v.string(), mode: v.string(), mx: v.array(v.string()), id: v.string() },
  ...{ maxAge: v.number(), fetchedAt: v.string(), expiresAt: v.string(), usedAt: maybe, refreshAt: maybe },
  ...{ failures: v.number(), failedAt: maybe, lastError: maybe },
});
const wholePolicy = v.object({ ...policy.entries, text: v.pipe(v.string(), v.description('The file as it was served.')) });
const copy = v.object({
  ...{ day: v.string(), domain: v.string(), rua: maybe, reportId: v.string(), state: v.string(), queueId: maybe },
  ...{ attempts: v.number(), nextAttemptAt: maybe, lastError: maybe, createdAt: v.string() },
});
const day = '/tls/reports/:day/:domain';

export const TLS_ROUTES = [
  route({
    method: 'POST',
    path: '/tls/check',
    ...read,
    about: 'What would happen to mail for a domain, and why. No mail is sent. `connect` talks to its hosts.',
    body: v.strictObject({
      domain: v.string(),
      connect: v.optional(v.boolean()),
      port: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535))),
    }),
    answer: v.looseObject({
      domain: v.string(),
      result: v.picklist(['sent', 'delayed', 'returned']),
      sentence: v.string(),
      phrase: phraseShape,
    }),
    handle: ({ control, body: { domain, connect = false, port } }) =>
      control.tlsCheck.check(readDomain(domain), { connect, port }),
  }),
  route({
    method: 'GET',
    path: '/tls/policies',
    ...read,
    about: 'The policies of MTA-STS that were fetched from domains.',
    query: v.strictObject({ failing: v.optional(v.picklist(['true', 'false'])) }),
    answer: v.object({ items: v.array(policy) }),
    handle: async ({ control, query }) => ({ items: await control.tlsPolicies.list(query.failing === 'true') }),
  }),
  route({
    method: 'GET',
    path: '/tls/policies/:domain',
    ...read,
    about: 'One policy, with its file.',
    answer: wholePolicy,
    handle: ({ control, params }) => control.tlsPolicies.show(readDomain(params.domain)),
  }),
  route({
    method: 'POST',
    path: '/tls/policies/:domain/refresh',
    ...write,
    goesOn: () => false, // it is shown as it was stored: fetched once more, it is the same or newer
    about: 'Fetches a policy now, also one that no mail has asked for.',
    answer: wholePolicy,
    handle: ({ control, params }) => control.tlsPolicies.refresh(readDomain(params.domain)),
  }),
  route({
    method: 'DELETE',
    path: '/tls/policies/:domain',
    ...write,
    about: 'Forgets a policy. The next mail to the domain asks for it again.',
    async handle({ control, params }) {
      await control.tlsPolicies.forget(readDomain(params.domain));
      return undefined;
    },
  }),
  route({
    method: 'GET',
    path: '/tls/reports',
    ...read,
    about: 'Copies of reports about TLS of the last 30 days, the latest first.',
    answer: v.object({ items: v.array(copy) }),
    handle: async ({ control }) => ({ items: await control.tlsReports.list() }),
  }),
  route({
    method: 'GET',
    path: day,
    ...read,
    about: 'The report to one domain about one UTC day, and its copies.',
    answer: v.object({ copies: v.array(copy), report: v.unknown() }),
    handle: ({ control, params }) => control.tlsReports.show(readDay(params.day), readDomain(params.domain)),
  }),
  route({
    method: 'POST',
    path: `${day}/send`,
    ...write,
    status: 202,
    about: 'Sends a report now. Copies that were sent are not sent again.',
    async handle({ control, params }) {
      await control.tlsReports.send(readDay(params.day), readDomain(params.domain));
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: '/tls/reports/suppress',
    ...write,
    about: 'Sends no reports to an address for 30 days, or sends them again.',
    body: v.strictObject({ rua: v.string(), suppressed: v.boolean() }),
    async handle({ control, body: { rua, suppressed } }) {
      await control.tlsReports.suppress(rua, suppressed);
      return undefined;
    },
  }),
  route({
    method: 'GET',
    path: '/tls/failures',
    ...read,
    about: 'Sessions whose TLS did not meet the policy, for domains that ask for reports. The latest day first.',
    query: v.strictObject({ since: v.optional(v.pipe(v.string(), v.isoTimestamp())) }),
    answer: v.object({
      items: v.array(
        v.object({
          ...{ day: v.string(), domain: v.string(), policy: v.string(), policyDomain: v.string(), type: v.string() },
          ...{ reason: maybe, mx: maybe, helo: maybe, receivingIp: maybe, sendingIp: maybe, sessions: v.number() },
        }),
      ),
    }),
    async handle({ control, query: { since }, parts }) {
      return { items: await control.tlsReports.failures(since === undefined ? parts.now() - 7 * DAY : Date.parse(since)) };
    },
  }),
];
