/** Errors of the API as RFC 9457 asks: one sentence, and all faulty fields at once. */

import { type ControlError, type ControlErrorKind, faultSentence } from '../control/control.ts';
import type { SetupProblem } from '../setup/setup.ts';

/** The words after `#` in `type`. The page that it points to is made from them. */
const KINDS = {
  'wrong-login': 'Name, password or code is wrong.',
  'code-needed': 'The password is right, and the code of the second factor is missing.',
  'factor-needed': 'The relay asks each account for a second factor, and this one has none yet. Set it up by /session/factor.',
  'confirm-first': 'The last password is more than 10 minutes old. Give it again to /session/confirm, then repeat the request.',
  'foreign-page': 'The request does not come from a page of this console, or has no right value of x-smarthost-csrf.',
  'two-callers': 'The request has a cookie and a token, and only one of them can say who asks.',
  'not-yours': 'The role of the account, or the scopes of the token, do not suffice.',
  'bad-field': 'Fields are missing, unknown or not valid. `errors` names all of them.',
  'changed-meanwhile': 'Somebody else has changed it since the ETag in If-Match was given.',
  'key-reused': 'The Idempotency-Key was used for another request.',
  'still-running': 'An earlier request with this Idempotency-Key is not done yet.',
  'answer-lost': 'The request was done, and its answer is lost, because the relay stopped meanwhile. Look at what is there.',
} as const;

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

/** What a program can do about it, where the status alone does not tell. */
type ProblemKind = keyof typeof KINDS;

type ProblemOptions = {
  readonly errors?: readonly FaultyField[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly kind?: ProblemKind;
};

/** Thrown by a handler or a check. The sentence is the one that the command line says. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem';
  readonly status: number;
  readonly errors: readonly FaultyField[];
  readonly headers: Readonly<Record<string, string>>;
  readonly kind: ProblemKind | undefined;

  constructor(status: number, detail: string, { errors = [], headers = {}, kind }: ProblemOptions = {}) {
    super(detail);
    this.kind = kind ?? (errors.length > 0 ? 'bad-field' : undefined);
    this.status = status;
    this.errors = errors;
    this.headers = headers;
  }
}

const STATUSES: Readonly<Record<ControlErrorKind, number>> = { 'not found': 404, exists: 409, invalid: 422, conflict: 409 };

export function apiProblemOf(error: ControlError): ApiProblem {
  const { kind, subject, message, faults } = error;
  const all = faults.map((fault) => ({ pointer: `/${fault.at}`, detail: faultSentence(fault) }));
  const errors = kind === 'invalid' && all.length === 0 ? [{ pointer: `/${subject}`, detail: message }] : all;
  return new ApiProblem(STATUSES[error.kind], error.message, { errors });
}

export function setupProblemOf({ message, wrong }: SetupProblem): ApiProblem {
  return new ApiProblem(422, message, {
    errors: wrong.map(({ field, sentence }) => ({ pointer: `/${field}`, detail: sentence })),
  });
}

/** @param instance the path that was asked. */
export function apiProblemBody({ status, message, errors, kind }: ApiProblem, instance: string) {
  const title = TITLES[status] ?? 'Error';
  return {
    type: kind === undefined ? 'about:blank' : `/api/problems#${kind}`,
    title,
    status,
    detail: message,
    instance,
    ...(errors.length === 0 ? {} : { errors }),
  };
}

/** The page that `type` points to. */
export function problemsPage(): string {
  const kinds = Object.entries(KINDS).map(([kind, about]) => `#${kind}\n    ${about}\n`);
  return `The kinds of problems that the API tells in \`type\`. \`about:blank\`: the status says it all.\n\n${kinds.join('\n')}`;
}
