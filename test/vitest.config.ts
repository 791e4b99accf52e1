import { defineConfig } from 'vitest/config';

/** Whole Debian systems are made and booted for these: minutes each, so they have a command of their own, `npm run test:roots`. */
const ROOTS = ['test/deploy/install.test.ts', 'test/deploy/dockerfile.test.ts'];
const roots = process.env['ROOTS'] === '1';

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: roots ? ROOTS : ['test/**/*.test.ts'],
    exclude: ['test/bench/**', 'node_modules/**', ...(roots ? [] : ROOTS)],
    testTimeout: 120_000,
    hookTimeout: 180_000,
    maxWorkers: 2,
    pool: 'forks',
  },
});
