/** What a program can read about the API. */
import { problemsPage } from '../problem.ts';
import { route } from '../route.ts';

export const DOCUMENT_ROUTES = [
  route({
    method: 'GET',
    path: '/problems',
    below: '/api',
    access: 'public',
    scope: null,
    about: 'The kinds of problems that `type` of a problem points to.',
    streams: 'text/plain',
    handle: async () => problemsPage(),
  }),
];
