/** Errors of the API as RFC 9457 asks: one sentence, and all faulty fields at once. */
import type { ControlError, ControlErrorKind } from '../control/control.ts';

/** One faulty field. `pointer` as in RFC 6901; a query parameter has its name. */
type FaultyField = { readonly pointer: string; readonly detail: string };

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Not logged in',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  412: 'Changed meanwhile',
  413: 'Too large',
  415: 'Wrong content type',
  421: 'Wrong name',
  422: 'Not valid',
  429: 'Too many requests',
  500: 'Internal error',
  503: 'Not available now',
};

type ProblemOptions = { readonly errors?: readonly FaultyField[]; readonly headers?: Readonly<Record<string, string>> };

/** Thrown by a handler or a check. The sentence is the one that the command line says. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem';
  readonly status: number;
  readonly errors: readonly FaultyField[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, detail: string, { errors = [], headers = {} }: ProblemOptions = {}) {
    super(detail);
    this.status = status;
    this.errors = errors;
    this.headers = headers;
  }
}

const STATUSES: Readonly<Record<ControlErrorKind, number>> = { 'not found': 404, exists: 409, invalid: 422, conflict: 409 };

export function apiProblemOf(error: ControlError): ApiProblem {
  const errors = error.kind === 'invalid' ? [{ pointer: `/${error.subject}`, detail: error.message }] : [];
  return new ApiProblem(STATUSES[error.kind], error.message, { errors });
}

/** @param instance the path that was asked. */
export function apiProblemBody({ status, message, errors }: ApiProblem, instance: string) {
  const title = TITLES[status] ?? 'Error';
  return {
    type: 'about:blank',
    title,
    status,
    detail: message,
    instance,
    ...(errors.length === 0 ? {} : { errors }),
  };
}
