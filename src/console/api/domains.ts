/** Domains whose mail is signed, and the records that they need. */
import * as v from 'valibot';
import { readDomain } from '../../control/control.ts';
import { route } from '../route.ts';
import { answeredRecord, finding } from './findings.ts';

const path = '/domains/:name';
const write = { access: 'operator', scope: 'domains:write' } as const;

const key = v.object({
  selector: v.string(),
  algorithm: v.picklist(['rsa-sha256', 'ed25519-sha256']),
  state: v.pipe(
    v.picklist(['pending', 'active', 'retiring']),
    v.description('`pending`: waits for its record. `active`: signs. `retiring`: queued mail still needs its record.'),
  ),
  createdAt: v.string(),
});
const record = v.object({
  name: v.string(),
  type: v.literal('TXT'),
  ttl: v.number(),
  value: v.pipe(v.string(), v.description('Whole and unquoted.')),
});
const records = v.object({ items: v.array(record) });

export const DOMAIN_ROUTES = [
  route({
    method: 'GET',
    path: '/domains',
    ...write,
    about: 'All domains with their keys.',
    answer: v.object({ items: v.array(v.object({ domain: v.string(), keys: v.array(key) })) }),
    handle: async ({ control }) => ({ items: await control.domains.list() }),
  }),
  route({
    method: 'POST',
    path: '/domains',
    ...write,
    status: 201,
    about: 'Makes keys for a domain, or takes over one. They sign at once. Answers the records to publish.',
    body: v.strictObject({
      domain: v.string(),
      selector: v.optional(v.pipe(v.string(), v.description('Its name in the DNS. Default: the date.'))),
      key: v.optional(v.pipe(v.string(), v.description('A private key to take over, as PEM. It needs `selector`.'))),
    }),
    answer: records,
    async handle({ control: { domains }, body: { domain: typed, selector, key: pem } }) {
      const domain = readDomain(typed, { selector, pem });
      return { items: await (pem === undefined ? domains.add(domain, selector) : domains.takeOver(domain, selector!, pem)) };
    },
  }),
  route({
    method: 'GET',
    path,
    ...write,
    about: 'One domain: its keys, whether the DNS has their records, and the credentials that may send as it.',
    answer: v.object({
      domain: v.string(),
      keys: v.array(v.object({ ...key.entries, published: v.picklist(['published', 'absent', 'different', 'unknown']) })),
      credentials: v.array(v.string()),
    }),
    async handle({ control: { domains }, params }) {
      const domain = readDomain(params.name);
      const [shown, credentials] = await Promise.all([domains.show(domain), domains.senders(domain)]);
      return { ...shown, credentials };
    },
  }),
  route({
    method: 'DELETE',
    path,
    ...write,
    about: 'Stops signing. 409 without `force` if queued mail still needs the DNS records of its keys.',
    query: v.strictObject({ force: v.optional(v.picklist(['true', 'false'])) }),
    answer: v.object({ domain: v.string(), removed: v.boolean(), retiring: v.array(key) }),
    status: 200,
    handle: ({ control, params, query }) => control.domains.remove(readDomain(params.name), { force: query.force === 'true' }),
  }),
  route({
    method: 'GET',
    path: `${path}/records`,
    ...write,
    about: 'The records of its keys, the newest first.',
    answer: records,
    handle: async ({ control, params }) => ({ items: await control.domains.records(readDomain(params.name)) }),
  }),
  route({
    method: 'GET',
    path: `${path}/zone`,
    ...write,
    about: 'All records that its mail needs, as lines of a zone file. It asks the DNS what is there.',
    streams: 'text/plain',
    handle: ({ control, params }) => control.domains.zone(readDomain(params.name)),
  }),
  route({
    method: 'POST',
    path: `${path}/check`,
    ...write,
    about: 'Asks the name servers of the domain about each record, without any cache: what is wanted, what is there, what to do.',
    answer: v.object({
      domain: v.string(),
      at: v.string(),
      asked: v.pipe(v.array(v.string()), v.description('The servers that answered, with their names.')),
      records: v.array(answeredRecord),
      findings: v.array(finding),
    }),
    handle: ({ control, params }) => control.domains.check(readDomain(params.name)),
  }),
  route({
    method: 'POST',
    path: `${path}/rotate`,
    ...write,
    status: 201,
    about: 'Makes new keys. The old ones sign until the DNS has the new records, which are the answer.',
    answer: records,
    handle: async ({ control, params }) => ({ items: await control.domains.rotate(readDomain(params.name)) }),
  }),
];
