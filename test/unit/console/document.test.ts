/** The document of the API. */
import { readFileSync } from 'node:fs';
import { Validator } from '@seriousme/openapi-schema-validator';
import { expect, test } from 'vitest';
import { renderApiDocument } from '../../../src/console/console.ts';
import { ROUTES } from '../../../src/console/routes.ts';
import { API_DOCUMENT } from '../../support/api-document.ts';
import { askOnce, startTestConsole } from '../../support/console.ts';

test('deploy/openapi.json is up to date with the table of routes (npm run reference)', async () => {
  expect(readFileSync('deploy/openapi.json', 'utf8')).toBe(await renderApiDocument());
});

test('it is OpenAPI 3.1', async () => {
  const result = await new Validator().validate(JSON.parse(JSON.stringify(API_DOCUMENT)));
  expect(result).toMatchObject({ valid: true });
});

test('each route has a name of its own', () => {
  const names = Object.values(API_DOCUMENT.paths).flatMap((path) => Object.values(path).map((one: any) => one.operationId));
  expect(names).toHaveLength(ROUTES.length);
  expect(new Set(names).size).toBe(names.length);
});

test('the console serves it to everybody, and the page that problems point to', async () => {
  await using console = await startTestConsole();
  const document = await askOnce(`${console.origin}/api/openapi.json`, 'GET', {});
  expect([document.status, document.body]).toEqual([200, JSON.parse(readFileSync('deploy/openapi.json', 'utf8'))]);
  const page = await askOnce(`${console.origin}/api/problems`, 'GET', {});
  expect([page.status, page.type]).toEqual([200, 'text/plain; charset=utf-8']);
  expect(page.body).toContain('#confirm-first\n');
});
