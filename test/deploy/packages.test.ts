/** An installation downloads each package with its hash, and no script downloads a program. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CHECKOUT } from '../support/checkout.ts';

type Entry = { version?: string; integrity?: string; dev?: boolean; optional?: boolean; hasInstallScript?: boolean };
const { packages } = JSON.parse(readFileSync(join(CHECKOUT, 'package-lock.json'), 'utf8')) as { packages: Record<string, Entry> };

test('each package has a hash in the lock file, also the Node that runs the relay', () => {
  const { '': _, ...installed } = packages;
  expect(Object.keys(installed).filter((name) => !/^sha512-/.test(installed[name]!.integrity ?? ''))).toEqual([]);
  for (const machine of ['x64', 'arm64'])
    expect(installed[`node_modules/node-linux-${machine}`]).toMatchObject({ version: process.versions.node, optional: true });
});

test('no script of a package runs where root installs', () => {
  for (const file of ['Dockerfile', 'deploy/install.sh'])
    expect(readFileSync(join(CHECKOUT, file), 'utf8').match(/npm ci .*/g)).toEqual([
      expect.stringContaining(' --ignore-scripts '),
    ]);
});

test('only argon2 has a script that runs in a checkout, to find its own binary', () => {
  const scripts = Object.keys(packages).filter((name) => name !== '' && packages[name]!.hasInstallScript && !packages[name]!.dev);
  expect(scripts).toEqual(['node_modules/argon2']);
});
