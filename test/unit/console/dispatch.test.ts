/** A request to the console, from its path to its answer. */
import { expect, test } from 'vitest';
import { startTestConsole } from '../../support/console.ts';

test('a route answers with the fields of its schema', async () => {
  await using console = await startTestConsole();
  const { status, body } = await console.ask('GET', '/status');
  expect(status).toBe(200);
  expect(Object.keys(body).slice(0, 3)).toEqual(['hostname', 'version', 'startedAt']);
});

test('what does not exist and what may not be done is a problem with a sentence', async () => {
  await using console = await startTestConsole();
  const missing = await console.ask('GET', '/nothing');
  expect(missing.status).toBe(404);
  expect(missing.type).toBe('application/problem+json');
  expect(missing.body).toEqual({
    type: 'about:blank',
    title: 'Not found',
    status: 404,
    detail: 'There is no /api/v1/nothing.',
    instance: '/api/v1/nothing',
  });
  const wrong = await console.ask('POST', '/status', {});
  expect(wrong.status).toBe(405);
  expect(wrong.headers.get('allow')).toBe('GET, HEAD');
});
