/**
 * The document of the API, OpenAPI 3.1, made from the table of routes. Only `npm run reference` and the tests load this file: what turns
 * shapes into JSON Schema is not installed with a relay.
 */
import { toJsonSchema } from '@valibot/to-json-schema';
import type { GenericSchema } from 'valibot';
import { VERSION } from '../system/version.ts';
import { makesSomething } from './idempotency.ts';
import type { ApiRoute } from './route.ts';
import { taggedOf } from './router.ts';
import { ROUTES } from './routes.ts';
import { MOST_STREAMS, MOST_STREAMS_OF_ACCOUNT, MOST_STREAMS_OF_ONE } from './streams.ts';

type Json = { readonly [key: string]: unknown };

const REFUSALS: Readonly<Record<number, string>> = {
  400: 'The request is malformed, or has two callers.',
  401: 'Nobody is logged in, or the login or token is not valid.',
  403: 'The caller may not do this, must do something first, or the request comes from a foreign page.',
  404: 'It does not exist, or the caller may not see it.',
  405: 'The path takes other methods.',
  408: 'The request did not come in time.',
  409: 'It exists already, or the relay is not in a state for it.',
  412: 'It was changed since the ETag in If-Match was given.',
  413: 'The body is too large.',
  415: 'The body has another content type.',
  421: 'The console was asked for by a name that is not its own.',
  422: 'Fields are missing, unknown or not valid.',
  429: 'There are too many requests, or too many logins have failed.',
  431: 'The header is too large.',
  500: 'A fault of the relay.',
  503: 'Too much is being done.',
};

/** A whole document. */
export function openApiDocument(): Json {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of ROUTES) {
    const path = `${route.below ?? '/api/v1'}${route.path}`.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'smarthost',
      version: VERSION,
      description:
        'What the pages of the console do, and a script can do. Times are ISO 8601 in UTC. Fields that are not known are errors in a request. New fields in an answer are no break.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    paths,
    components: { responses: responses(), schemas: { Problem: PROBLEM }, securitySchemes: SECURITY },
  };
}

const SECURITY = {
  session: {
    type: 'apiKey',
    in: 'cookie',
    name: '__Host-smarthost',
    description: 'Of pages. On plain loopback it is smarthost- and the port. Changes also need the field x-smarthost-csrf.',
  },
  token: { type: 'http', scheme: 'bearer', description: 'Of programs: smarthost token add.' },
};

const text = { type: 'string' };
const PROBLEM = {
  type: 'object',
  description: 'RFC 9457.',
  required: ['type', 'title', 'status', 'detail', 'instance'],
  properties: {
    type: { ...text, description: 'about:blank, or a place in /api/problems.' },
    title: text,
    status: { type: 'integer' },
    detail: { ...text, description: 'One sentence for people.' },
    instance: text,
    errors: {
      type: 'array',
      description: 'All faulty fields.',
      items: { type: 'object', required: ['pointer', 'detail'], properties: { pointer: text, detail: text } },
    },
  },
};

function responses(): Json {
  const content = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
  return Object.fromEntries(
    Object.entries(REFUSALS).map(([status, description]) => [`Refusal${status}`, { description, content }]),
  );
}

function operationOf(route: ApiRoute): Json {
  const { about, access, scope, query, body } = route;
  return {
    operationId: nameOf(route),
    tags: [route.path.split('/')[1]],
    summary: about,
    ...descriptionOf(route),
    security: access === 'public' ? [] : [{ session: [] }, ...(scope === null ? [] : [{ token: [] }])],
    parameters: [...pathParameters(route), ...(query === undefined ? [] : queryParameters(query)), ...fieldParameters(route)],
    ...(body === undefined ? {} : { requestBody: { required: true, content: contentOf(route, body) } }),
    responses: {
      [successOf(route)]: answerOf(route),
      ...(route.tag === undefined ? {} : { 304: { description: 'It is as If-None-Match says.' } }),
      ...refusals(),
    },
  };
}

const refusals = () =>
  Object.fromEntries(Object.keys(REFUSALS).map((status) => [status, { $ref: `#/components/responses/Refusal${status}` }]));

function descriptionOf({ access, scope, confirm, when, streams }: ApiRoute): { readonly description?: string } {
  const sentences = [
    ...(access === 'public' ? [] : [access === 'account' ? 'For each account.' : `For the role ${access}.`]),
    ...(scope === null ? [] : [`A token needs the scope ${scope}.`]),
    ...(confirm === undefined ? [] : ['A session needs a password that is at most 10 minutes old.']),
    ...(streams === undefined ? [] : [STREAMS]),
    ...(when === 'firstRun' ? ['Only before there is a configuration.'] : []),
  ];
  return sentences.length === 0 ? {} : { description: sentences.join(' ') };
}

const STREAMS = `A caller has at most ${MOST_STREAMS_OF_ONE} streams at a time, an account with all its tokens ${MOST_STREAMS_OF_ACCOUNT} (429), and all callers together ${MOST_STREAMS} (503).`;

/** `POST /queue/retry` is `postQueueRetry`. */
function nameOf({ method, path, below }: ApiRoute): string {
  const words = `${below === undefined ? '' : 'api/'}${path}`.split(/[^a-zA-Z]+/).filter((word) => word !== '');
  return [method.toLowerCase(), ...words.map((word) => word[0]!.toUpperCase() + word.slice(1))].join('');
}

function pathParameters({ path }: ApiRoute): readonly Json[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: text }));
}

function queryParameters(query: GenericSchema): readonly Json[] {
  const { properties = {}, required = [] } = schemaOf(query, 'input') as { properties?: Json; required?: readonly string[] };
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', required: required.includes(name), schema }));
}

function fieldParameters(route: ApiRoute): readonly Json[] {
  const { method, access, tag, goesOn } = route;
  const field = (name: string, description: string) => ({ name, in: 'header', schema: text, description });
  if (method === 'GET') return tag === undefined ? [] : [field('if-none-match', 'The ETag of what is known.')];
  if (access === 'public') return [];
  const key = 'The request is done once with it, and answered as before for a day.';
  const rest =
    'If the relay was killed before all was done, what is left is done, and the answer has `idempotent-continued: true`.';
  return [
    field('x-smarthost-csrf', 'Of a session: the value that GET /session gives.'),
    ...(makesSomething(route) ? [field('idempotency-key', goesOn === undefined ? key : `${key} ${rest}`)] : []),
    ...(taggedOf(route) === undefined ? [] : [field('if-match', 'The ETag of what is to be changed.')]),
  ];
}

function contentOf({ takes = ['application/json'] }: ApiRoute, body: GenericSchema): Json {
  return Object.fromEntries(takes.map((type) => [type, { schema: schemaOf(body, 'input') }]));
}

function successOf({ status, answer, streams }: ApiRoute): number {
  return status ?? (answer === undefined && streams === undefined ? 204 : 200);
}

function answerOf({ answer, streams }: ApiRoute): Json {
  if (streams !== undefined) return { description: 'The pieces as they come.', content: { [streams]: { schema: text } } };
  if (answer === undefined) return { description: 'Done.' };
  return { description: 'The answer.', content: { 'application/json': { schema: schemaOf(answer, 'output') } } };
}

/** What a schema checks by a function of its own is left out, and the relay says it in its refusal. */
function schemaOf(schema: GenericSchema, typeMode: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = toJsonSchema(schema, { typeMode, target: 'draft-2020-12', errorMode: 'ignore' });
  return rest as Json;
}
