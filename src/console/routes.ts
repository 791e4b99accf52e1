/** The table of all routes of the API. The order is that of the document. */
import { STATUS_ROUTES } from './api/status.ts';
import type { ApiRoute } from './route.ts';

export const ROUTES: readonly ApiRoute[] = [...STATUS_ROUTES];
