/** The answer to bytes that are no request of HTTP, or come too slowly: there is no request that a handler could see. */
import { STATUS_CODES } from 'node:http';
import { consoleHeaders } from './headers.ts';
import { ApiProblem, apiProblemBody } from './problem.ts';

const PROBLEMS: Readonly<Record<string, readonly [status: number, detail: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'The header of a request has at most 8192 octets.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request did not come in time.'],
};

/** @param code of the error of Node's parser. @returns a whole response. */
export function malformedAnswer(code = ''): string {
  const [status, detail] = PROBLEMS[code] ?? [400, 'This is no request of HTTP.'];
  const body = JSON.stringify(apiProblemBody(new ApiProblem(status, detail), '/'));
  const fields = {
    ...consoleHeaders(),
    'content-type': 'application/problem+json',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`;
}
