/** The page of metrics says what the code counts. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { renderMetricsReference } from '../../../src/metrics/metrics.ts';

test('deploy/metrics.md is up to date with metrics.ts (npm run reference)', async () => {
  const page = await renderMetricsReference();
  expect(page).toContain('| `smarthost_accepted_total{user}` | counter |');
  expect(page).toContain('| `smarthost_commit_seconds` | histogram |');
  expect(readFileSync(new URL('../../../deploy/metrics.md', import.meta.url), 'utf8')).toBe(page);
});
