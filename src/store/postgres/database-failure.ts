/** What a failure of the database means for the requests that it ended. */
import { LeaseLost } from '../lease.ts';
import type { Failure } from '../sqlite/protocol.ts';
import { IdTaken } from '../sqlite/rows.ts';
import { sqlStateOf } from './database-session.ts';

/** The data of one request, and not the server, its locks or the way to it. */
export function isOfOneRequest(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === undefined ? error instanceof TypeError : /^2[23]|^54/.test(state);
}

/** For whoever asked; without the statement, which may hold somebody's data. */
export function databaseFailure(error: unknown): Failure {
  const { message } = error as Error;
  if (error instanceof IdTaken) return { code: 'EEXIST', message };
  if (error instanceof LeaseLost) return { code: 'ELEASE', message };
  const state = sqlStateOf(error);
  if (state === '53100') return { code: 'ENOSPC', message: `The disk of the database is full: ${message}` };
  return { code: 'ESTORE', message: state === undefined ? message : `The database failed: ${message} (SQLSTATE ${state})` };
}
