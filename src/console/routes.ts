/** The table of all routes of the API. The order is that of the document. */
import { CREDENTIAL_ROUTES } from './api/credentials.ts';
import { DOCUMENT_ROUTES } from './api/document.ts';
import { FIRST_CLIENT_ROUTES } from './api/first-client.ts';
import { FIRST_RUN_ROUTES } from './api/first-run.ts';
import { STATUS_ROUTES } from './api/status.ts';
import type { ApiRoute } from './route.ts';

export const ROUTES: readonly ApiRoute[] = [
  STATUS_ROUTES, // one line each
  CREDENTIAL_ROUTES,
  FIRST_CLIENT_ROUTES,
  FIRST_RUN_ROUTES,
  DOCUMENT_ROUTES,
].flat();
