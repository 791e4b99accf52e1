/** What the pages of the console ask the API to change, read from their sources. */
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';

const ROOT = new URL('../../src/console/page/', import.meta.url);
const METHODS: Readonly<Record<string, string>> = { post: 'POST', patch: 'PATCH', remove: 'DELETE' };
const CALL = /\bapi\.(post|patch|remove)(?:<[^(]*>)?\(\s*(`[^`]*`|'[^']*'|pathTo\([^)]*\)|\w+)/g;
const IMPORT = /(?:\bfrom\s+|\bimport\(\s*)'(\.[^']+)'/g;

/** `path`: below `/api/v1`; a part that depends on something is `*`. */
export type PageCall = {
  readonly method: string;
  readonly path: string;
  readonly file: string;
  readonly pages: readonly string[];
};

/** An entry of the table of pages, up to the module that it loads. */
const PAGE = /\bpath: (?:'([^']+)'|FIRST_RUN),[\s\S]*?\bimport\('\.\/(pages\/[^']+)'\)/g;

/** @returns each call, with the paths of the pages that can make it. */
export function callsOfPages(): readonly PageCall[] {
  const frame = filesFrom('main.ts', new Set(['pages.ts']));
  const found = new Map<string, PageCall>();
  for (const [, page = '/first-run', own] of textOf('pages.ts').matchAll(PAGE)) {
    for (const file of new Set([...filesFrom(own!, new Set(['pages.ts'])), ...frame]))
      for (const { method, path } of callsIn(file)) {
        const key = `${method} ${path} ${file}`;
        found.set(key, { method, path, file, pages: [...(found.get(key)?.pages ?? []), page] });
      }
  }
  return [...found.values()];
}

const textOf = (file: string) => readFileSync(new URL(file, ROOT), 'utf8');

/** What a module needs, also what it loads later. The table of pages would need everything. */
function filesFrom(file: string, seen: Set<string>): readonly string[] {
  if (seen.has(file)) return [];
  seen.add(file);
  const imports = [...textOf(file).matchAll(IMPORT)].map(([, to]) => posix.join(posix.dirname(file), to!));
  return [file, ...imports.filter((to) => !to.startsWith('..')).flatMap((to) => filesFrom(to, seen))];
}

function callsIn(file: string): readonly Pick<PageCall, 'method' | 'path'>[] {
  const text = textOf(file);
  return [...text.matchAll(CALL)].flatMap(([, method, first]) =>
    pathsOf(first!, text).map((path) => ({ method: METHODS[method!]!, path: path.replace(/\?.*$/, '') })),
  );
}

/** A name stands for each value that the file gives it. */
function pathsOf(expression: string, text: string): readonly string[] {
  const named = /^pathTo\('([^']*)'(.*)\)$/s.exec(expression);
  if (named !== null) return [named[1]! + '/*'.repeat(named[2]!.split(',').length - 1)];
  if (expression.startsWith("'")) return [expression.slice(1, -1)];
  if (!expression.startsWith('`')) {
    const values = [...text.matchAll(new RegExp(`\\bconst ${expression} =\\s*(\`[^\`]*\`|'[^']*'|pathTo\\([^)]*\\))`, 'g'))];
    return [...new Set(values.flatMap(([, value]) => pathsOf(value!, text)))];
  }
  const whole = expression.slice(1, -1);
  const part = /\$\{(pathTo\([^)]*\)|path)\}/.exec(whole);
  const begins = part === null ? [''] : pathsOf(part[1]!, text);
  return begins.map((begin) =>
    whole
      .replace(part?.[0] ?? '', begin)
      .replace(/\?.*$/s, '')
      .replaceAll(/\$\{[^}]*\}/g, '*'),
  );
}

/** Whether a call asks for an operation, such as `POST /queue/:action` for `POST /queue/hold`. */
export function asksFor({ method, path }: Pick<PageCall, 'method' | 'path'>, operation: string): boolean {
  const [wanted, ...parts] = operation.split(/[ /]+/);
  const given = path.split('/').filter((part) => part !== '');
  return (
    wanted === method &&
    given.length === parts.length &&
    given.every((part, at) => part === '*' || part === parts[at] || parts[at]!.startsWith(':'))
  );
}
