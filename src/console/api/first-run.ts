/** The steps of a first run: they exist only while there is no configuration. Nothing here needs to be known before. */
import * as v from 'valibot';
import type { FirstRun } from '../../setup/setup.ts';
import type { ConsoleParts } from '../console.ts';
import { route } from '../route.ts';
import { phraseShape } from './findings.ts';

const Text = v.pipe(v.string(), v.maxLength(1000));
const Texts = v.pipe(v.array(Text), v.maxLength(200));
const Upstream = v.object({
  host: v.pipe(Text, v.description('`smtp.example.com:587`. Port 465 is TLS from the start, any other STARTTLS; default 587.')),
  user: Text,
  password: Text,
});
const Challenge = v.picklist(['http-01', 'tls-alpn-01']);
const Seen = v.object({
  items: v.array(v.object({ result: v.picklist(['ok', 'warning', 'unknown']), sentence: v.string(), phrase: phraseShape })),
});
const Start = v.pipe(
  v.picklist(['service', 'here']),
  v.description('Who starts the relay at the end: the system, or this process, which becomes the relay.'),
);
const Answers = v.object({
  hostname: v.optional(v.string()),
  addresses: v.optional(v.array(v.string())),
  domains: v.optional(v.array(v.string())),
  acceptTerms: v.optional(v.boolean()),
  challenge: v.optional(Challenge),
  email: v.optional(v.nullable(v.string())),
  upstream: v.pipe(
    v.optional(v.nullable(Upstream)),
    v.description('The password is left out; null: mail goes to its receivers by port 25.'),
  ),
});

const common = { access: 'admin', scope: null, when: 'firstRun' } as const;

/** The routes exist only in a first run. */
const running = ({ firstRun }: ConsoleParts): FirstRun => firstRun!;

export const FIRST_RUN_ROUTES = [
  route({
    ...common,
    method: 'GET',
    path: '/first-run',
    about: 'What was answered so far, and what could be answered.',
    answer: v.object({
      answers: Answers,
      proposed: v.object({ hostname: v.optional(v.string()), addresses: v.array(v.string()) }),
      file: v.pipe(v.string(), v.description('The configuration that will be written.')),
      start: Start,
    }),
    handle: ({ parts }) => running(parts).show(),
  }),
  route({
    ...common,
    method: 'POST',
    path: '/first-run/machine',
    about: 'Sets the host name and the public addresses, and compares both with A, AAAA and PTR records.',
    body: v.strictObject({
      hostname: Text,
      addresses: v.pipe(Texts, v.description('Public addresses of the machine, if it is behind a NAT. Empty: those in the DNS.')),
    }),
    answer: Seen,
    handle: async ({ parts, body }) => ({ items: await running(parts).setMachine(body) }),
  }),
  route({
    ...common,
    method: 'POST',
    path: '/first-run/domains',
    about: 'Sets the domains that send, and makes their DKIM keys.',
    body: v.strictObject({ domains: Texts }),
    answer: Seen,
    handle: async ({ parts, body }) => ({ items: await running(parts).setDomains(body.domains) }),
  }),
  route({
    ...common,
    method: 'GET',
    path: '/first-run/records',
    about: 'The DNS records to set, with what the DNS has now.',
    answer: v.object({
      groups: v.array(
        v.object({
          comment: v.string(),
          records: v.array(
            v.object({
              name: v.string(),
              type: v.string(),
              ttl: v.number(),
              value: v.string(),
              state: v.pipe(
                v.picklist(['ok', 'missing', 'other', 'unknown']),
                v.description('`other`: there is one with another value.'),
              ),
              found: v.array(v.string()),
            }),
          ),
        }),
      ),
      zone: v.pipe(v.string(), v.description('The records as lines of a zone file.')),
    }),
    handle: ({ parts }) => running(parts).records(),
  }),
  route({
    ...common,
    method: 'POST',
    path: '/first-run/certificate',
    about: 'Sets how the relay gets its certificate, and who is told when something needs a person.',
    body: v.strictObject({
      acceptTerms: v.pipe(v.boolean(), v.description("The terms of the certificate authority (Let's Encrypt).")),
      challenge: Challenge,
      email: v.pipe(Text, v.description('Empty: nobody is told.')),
    }),
    handle: async ({ parts, body }) => void (await running(parts).setCertificate(body)),
  }),
  route({
    ...common,
    method: 'GET',
    path: '/first-run/way-out',
    about: 'Whether large receivers can be reached by port 25.',
    answer: v.object({
      items: v.array(
        v.object({
          subject: v.string(),
          result: v.string(),
          found: v.string(),
          advice: v.string(),
          phrases: v.object({ found: phraseShape, advice: phraseShape }),
        }),
      ),
    }),
    handle: async ({ parts }) => ({ items: await running(parts).wayOut() }),
  }),
  route({
    ...common,
    method: 'POST',
    path: '/first-run/way-out',
    about: 'Sets the provider that takes all mail, or none.',
    body: v.strictObject({ upstream: v.nullable(v.strictObject(Upstream.entries)) }),
    handle: async ({ parts, body }) => void (await running(parts).setUpstream(body.upstream)),
  }),
  route({
    ...common,
    method: 'POST',
    path: '/first-run/provider',
    about: 'Logs in at a provider, and sends nothing.',
    body: v.strictObject(Upstream.entries),
    answer: v.object({ ok: v.boolean(), sentence: v.string(), phrase: phraseShape }),
    handle: ({ parts, body }) => running(parts).tryUpstream(body),
  }),
  route({
    ...common,
    method: 'POST',
    path: '/first-run/finish',
    about: 'Writes the configuration, which must not exist, and starts the relay when the answer has left.',
    body: v.strictObject({}),
    answer: v.object({ file: v.string(), start: Start }),
    status: 202,
    async handle({ parts, signal }) {
      const written = await running(parts).finish();
      signal.addEventListener('abort', () => parts.firstRun?.answered(), { once: true });
      return written;
    },
  }),
];
