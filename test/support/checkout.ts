/** The files of a checkout that an operator has after a clone, put into a folder or a Debian root. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export const CHECKOUT = new URL('../..', import.meta.url).pathname;
const TRACKED = ['src', 'deploy', 'package.json', 'package-lock.json', '.npmrc', 'README.md', 'CHANGELOG.md', 'LICENSE'];

export function putCheckout(put: (from: string, to: string) => void, to: string): void {
  for (const name of TRACKED) if (existsSync(join(CHECKOUT, name))) put(join(CHECKOUT, name), join(to, name));
}
