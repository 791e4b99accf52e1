/** The files of a checkout that an operator has after a clone, put into a folder or a Debian root. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

export const CHECKOUT = new URL('../..', import.meta.url).pathname;
const TRACKED = ['src', 'deploy', 'package.json', 'package-lock.json', '.npmrc', 'README.md', 'CHANGELOG.md', 'LICENSE'];

export function putCheckout(put: (from: string, to: string) => void, to: string): void {
  for (const name of TRACKED) if (existsSync(join(CHECKOUT, name))) put(join(CHECKOUT, name), join(to, name));
}

/** False in a clone without its history. */
export function hasCommit(commit: string): boolean {
  try {
    execFileSync('git', ['-C', CHECKOUT, 'cat-file', '-e', commit], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The files of an earlier version. @param to a folder of this machine. */
export function putCommit(commit: string, to: string): void {
  mkdirSync(to, { recursive: true });
  const files = execFileSync('git', ['-C', CHECKOUT, 'archive', commit], { maxBuffer: 2 ** 28 });
  execFileSync('tar', ['-x', '-C', to], { input: files });
}
