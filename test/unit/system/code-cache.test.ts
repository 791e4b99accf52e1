import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { VERSION } from '../../../src/system/version.ts';

const ROOT = join(import.meta.dirname, '../../..');

function version(cache: string | undefined): string {
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  const args = [join(ROOT, 'src/smarthost.ts'), 'version'];
  const options = { env: cache === undefined ? env : { ...env, NODE_COMPILE_CACHE: cache }, timeout: 30_000 };
  return execFileSync(process.execPath, args, { ...options, encoding: 'utf8' });
}

test('compiled code is kept beside the packages', () => {
  expect(version(undefined)).toContain(VERSION);
  expect(readdirSync(join(ROOT, 'node_modules/.cache/smarthost')).length).toBeGreaterThan(0);
});

test('compiled code is kept where the environment says', () => {
  const folder = mkdtempSync(join(tmpdir(), 'code-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  version(folder);
  const [kept] = readdirSync(folder);
  expect(readdirSync(join(folder, kept!)).length).toBeGreaterThan(10);
});

test('a folder that cannot be made changes nothing', () => {
  expect(version('/dev/null/code')).toContain(VERSION);
  expect(existsSync('/dev/null/code')).toBe(false);
});
