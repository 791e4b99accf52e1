/** The page of settings says what the code does. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { renderReference } from '../../../src/config/reference.ts';
import { environmentName, listSettings } from '../../../src/config/settings.ts';

test('deploy/configuration.md is up to date with settings.ts (npm run reference)', () => {
  expect(readFileSync(new URL('../../../deploy/configuration.md', import.meta.url), 'utf8')).toBe(renderReference());
});

test('every setting has an explanation, and a unique name in the environment that is not the _FILE of another one', () => {
  const names = listSettings().map(({ path }) => environmentName(path));
  expect(new Set(names).size).toBe(names.length);
  for (const { setting } of listSettings()) expect(setting.about).toMatch(/\.$/);
  for (const name of names) expect(names).not.toContain(`${name}_FILE`);
});

test('names in the environment', () => {
  expect(environmentName('submission.maxMessageSize')).toBe('SMARTHOST_SUBMISSION_MAX_MESSAGE_SIZE');
  expect(environmentName('dataDir')).toBe('SMARTHOST_DATA_DIR');
  expect(environmentName('listen.submissions')).toBe('SMARTHOST_LISTEN_SUBMISSIONS');
  expect(environmentName('submission.maxSessionsPerAddress')).toBe('SMARTHOST_SUBMISSION_MAX_SESSIONS_PER_ADDRESS');
});
