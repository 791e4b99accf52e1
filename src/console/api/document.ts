/** What a program can read about the API. */
import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { problemsPage } from '../problem.ts';
import { route } from '../route.ts';

/** Made from the table of routes: `npm run reference`. */
const FILE = new URL('../../../deploy/openapi.json', import.meta.url);

export const DOCUMENT_ROUTES = [
  route({
    method: 'GET',
    path: '/openapi.json',
    below: '/api',
    access: 'public',
    scope: null,
    when: 'always',
    about: 'This document.',
    answer: v.looseObject({ openapi: v.string() }),
    handle: async () => JSON.parse(await readFile(FILE, 'utf8')) as { openapi: string },
  }),
  route({
    method: 'GET',
    path: '/problems',
    below: '/api',
    access: 'public',
    scope: null,
    when: 'always',
    about: 'The kinds of problems that `type` of a problem points to.',
    streams: 'text/plain',
    handle: async () => problemsPage(),
  }),
];
