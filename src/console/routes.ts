/** The table of all routes of the API. The order is that of the document. */
import { CREDENTIAL_ROUTES } from './api/credentials.ts';
import { CSP_REPORT_ROUTES } from './api/csp-reports.ts';
import { DOCUMENT_ROUTES } from './api/document.ts';
import { FIRST_CLIENT_ROUTES } from './api/first-client.ts';
import { FIRST_RUN_ROUTES } from './api/first-run.ts';
import { SESSION_ROUTES } from './api/session.ts';
import { STATUS_ROUTES } from './api/status.ts';
import type { ApiRoute } from './route.ts';

export const ROUTES: readonly ApiRoute[] = [
  SESSION_ROUTES, // one line each
  STATUS_ROUTES,
  CREDENTIAL_ROUTES,
  FIRST_CLIENT_ROUTES,
  FIRST_RUN_ROUTES,
  DOCUMENT_ROUTES,
  CSP_REPORT_ROUTES,
].flat();
