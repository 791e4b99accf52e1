/** Where each value of the configuration comes from, for people who look for it. */

import type { LoadOptions } from './config.ts';
import { readEnvironment } from './environment-variables.ts';
import { findFile } from './file.ts';
import { listSettings } from './settings.ts';

/** `where`: the line of the file, counted from 1, or the name of the variable. */
export type SettingOrigin =
  | { readonly from: 'file'; readonly where: number }
  | { readonly from: 'environment'; readonly where: string }
  | { readonly from: 'default'; readonly where: null };

/** @returns the origin by the path of the setting. What is in neither the environment nor the file has its default. */
export async function readOrigins({
  file,
  env = process.env,
  cwd = process.cwd(),
}: LoadOptions): Promise<(path: string) => SettingOrigin> {
  const found = await findFile({ file, env, cwd });
  const lines = 'file' in found && found.file !== undefined ? await linesOf(found.file.text) : new Map<string, number>();
  const given = await readEnvironment(env, cwd, []);
  return (path) => {
    const variable = given.get(path);
    if (variable !== undefined) return { from: 'environment', where: variable.source };
    const line = lines.get(path);
    return line === undefined ? { from: 'default', where: null } : { from: 'file', where: line };
  };
}

/** A file that is not YAML has no lines: `config check` says what is wrong with it. */
async function linesOf(text: string): Promise<ReadonlyMap<string, number>> {
  const { LineCounter, parseDocument, isMap, isScalar, isNode } = await import('yaml');
  const counter = new LineCounter();
  const lines = new Map<string, number>();
  try {
    const { contents, errors } = parseDocument(text, { lineCounter: counter, logLevel: 'silent', uniqueKeys: false });
    if (errors.length > 0) return lines;
    for (const { path } of listSettings()) {
      let node: unknown = contents;
      let offset: number | undefined;
      for (const word of path.split('.')) {
        const pair = isMap(node) ? node.items.find(({ key }) => isScalar(key) && key.value === word) : undefined;
        offset = pair !== undefined && isNode(pair.key) ? pair.key.range?.[0] : undefined;
        node = pair?.value;
      }
      const isGiven = offset !== undefined && !(isScalar(node) && node.value === null);
      if (isGiven) lines.set(path, counter.linePos(offset!).line);
    }
  } catch {
    // Nested too deeply, or an alias that names nothing.
  }
  return lines;
}
