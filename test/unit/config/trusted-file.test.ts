/** Which smarthost.yaml root takes. */
import { chmodSync, chownSync, lchownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { findFile } from '../../../src/config/file.ts';
import { isRoot } from '../../support/peers.ts';

const USER = 60_123;

describe.skipIf(!isRoot)('as root', () => {
  let top: string;
  let cwd: string;
  let near: string;
  let system: string;
  beforeEach(() => {
    top = mkdtempSync(join(tmpdir(), 'trusted-'));
    onTestFinished(() => rmSync(top, { recursive: true, force: true }));
    cwd = join(top, 'a', 'b');
    mkdirSync(cwd, { recursive: true });
    near = join(cwd, 'smarthost.yaml');
    writeFileSync(near, 'hostname: near.example\n');
    system = join(top, 'system.yaml');
    writeFileSync(system, 'hostname: system.example\n');
  });
  const found = (options: { file?: string; isRoot?: boolean } = {}) => findFile({ env: {}, cwd, system, ...options });

  test('the file in the current folder is used and named if root alone may write it', async () => {
    expect(await found()).toEqual({
      file: { path: near, text: 'hostname: near.example\n' },
      notice: `The configuration is ${near}.`,
    });
  });

  const lay: Readonly<Record<string, () => void>> = {
    'the file is another user’s': () => chownSync(near, USER, USER),
    'another user may write the file': () => chmodSync(near, 0o666),
    'a group may write the file': () => chmodSync(near, 0o664),
    'the folder is another user’s': () => chownSync(cwd, USER, USER),
    'all may write in the folder': () => chmodSync(cwd, 0o777),
    'all may put files into the folder, each their own': () => chmodSync(cwd, 0o1777),
    'a folder above is another user’s': () => chownSync(join(top, 'a'), USER, USER),
    'all may write in a folder above': () => chmodSync(join(top, 'a'), 0o777),
    'it is a link': () => {
      rmSync(near);
      symlinkSync(system, near);
      lchownSync(near, USER, USER);
    },
  };
  test.each(Object.keys(lay))('the system’s file is used, and root is told, if %s', async (name) => {
    lay[name]!();
    expect(await found()).toEqual({
      file: { path: system, text: 'hostname: system.example\n' },
      notice: expect.stringContaining(`${near} is not used`),
    });
  });

  test('a named file is always used', async () => {
    chownSync(near, USER, USER);
    expect(await found({ file: near })).toMatchObject({ file: { path: near } });
  });

  test('without a file in the current folder the system’s is used without a notice', async () => {
    rmSync(near);
    expect(await found()).toEqual({ file: { path: system, text: 'hostname: system.example\n' } });
  });

  test('for other users the file in the current folder is used', async () => {
    chownSync(cwd, USER, USER);
    expect(await found({ isRoot: false })).toEqual({ file: { path: near, text: 'hostname: near.example\n' } });
  });
});
