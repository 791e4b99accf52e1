/** shellcheck accepts deploy/install.sh, and systemd rates deploy/smarthost.service well. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CHECKOUT } from '../support/checkout.ts';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { run } from '../support/program.ts';

test('install.sh asks no command through a pipe that grep leaves early, which pipefail would make a "no" of, at random', () => {
  expect(readFileSync(join(CHECKOUT, 'deploy/install.sh'), 'utf8').match(/(?<!\|)\| *grep -\w*q.*/g)).toBeNull();
});

describe.skipIf(!requirePeer('shellcheck', hasCommand('shellcheck')))('install.sh', () => {
  test('has no finding of shellcheck', async () => {
    const { stdout, code } = await run('shellcheck', [join(CHECKOUT, 'deploy/install.sh')]);
    expect(stdout).toBe('');
    expect(code).toBe(0);
  });
});

describe.skipIf(!requirePeer('systemd-analyze', hasCommand('systemd-analyze')))('smarthost.service', () => {
  test('is exposed less than 2.0 of 10, by the measure of systemd', async () => {
    const unit = join(CHECKOUT, 'deploy/smarthost.service');
    const { stdout, code } = await run('systemd-analyze', ['security', '--offline=true', '--no-pager', '--threshold=20', unit]);
    expect(stdout).toMatch(/Overall exposure level for smarthost.service: 1\.\d/);
    expect(code).toBe(0);
  });
});
