/** The table of all routes of the API. The order is that of the document. */

import { ACCOUNT_ROUTES } from './api/accounts.ts';
import { CERTIFICATE_ROUTES } from './api/certificates.ts';
import { CHANGE_ROUTES } from './api/changes.ts';
import { CONFIG_ROUTES } from './api/config.ts';
import { CREDENTIAL_ROUTES } from './api/credentials.ts';
import { CSP_REPORT_ROUTES } from './api/csp-reports.ts';
import { DESTINATION_ROUTES } from './api/destinations.ts';
import { DOCTOR_ROUTES } from './api/doctor.ts';
import { DOCUMENT_ROUTES } from './api/document.ts';
import { DOMAIN_ROUTES } from './api/domains.ts';
import { FIRST_CLIENT_ROUTES } from './api/first-client.ts';
import { FIRST_RUN_ROUTES } from './api/first-run.ts';
import { HISTORY_ROUTES } from './api/history.ts';
import { LOG_ROUTES } from './api/log.ts';
import { MESSAGE_ROUTES } from './api/messages.ts';
import { MUTE_ROUTES } from './api/mutes.ts';
import { PROVIDER_ROUTES } from './api/providers.ts';
import { QUEUE_ACTION_ROUTES } from './api/queue-actions.ts';
import { QUEUE_LIST_ROUTES } from './api/queue-list.ts';
import { REFUSAL_ROUTES } from './api/refusals.ts';
import { SESSION_ROUTES } from './api/session.ts';
import { STATUS_ROUTES } from './api/status.ts';
import { TEST_MESSAGE_ROUTES } from './api/test-messages.ts';
import { TLS_ROUTES } from './api/tls.ts';
import { TOKEN_ROUTES } from './api/tokens.ts';
import type { ApiRoute } from './route.ts';

export const ROUTES: readonly ApiRoute[] = [
  alwaysThere(SESSION_ROUTES), // one line each
  STATUS_ROUTES,
  HISTORY_ROUTES,
  MESSAGE_ROUTES,
  REFUSAL_ROUTES,
  LOG_ROUTES,
  QUEUE_LIST_ROUTES,
  DESTINATION_ROUTES,
  QUEUE_ACTION_ROUTES,
  PROVIDER_ROUTES,
  TEST_MESSAGE_ROUTES,
  TLS_ROUTES,
  CREDENTIAL_ROUTES,
  DOMAIN_ROUTES,
  DOCTOR_ROUTES,
  MUTE_ROUTES,
  CERTIFICATE_ROUTES,
  CONFIG_ROUTES,
  FIRST_CLIENT_ROUTES,
  FIRST_RUN_ROUTES,
  ACCOUNT_ROUTES,
  TOKEN_ROUTES,
  CHANGE_ROUTES,
  DOCUMENT_ROUTES,
  alwaysThere(CSP_REPORT_ROUTES),
].flat();

/** Also in a first run. */
function alwaysThere(routes: readonly ApiRoute[]): readonly ApiRoute[] {
  return routes.map((route) => ({ ...route, when: 'always' }));
}
