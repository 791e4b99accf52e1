/**
 * Joins modules for browsers into one, because a browser pays for each file: a part of a round trip, and a slow machine several milliseconds.
 * The names that they export are unique among all, so each becomes a name of the whole, and nothing needs to be renamed. An import map that
 * leads each of them to the whole lets other modules import them as before. What a module keeps for itself stays in a function of its own.
 */
import { posix } from 'node:path';

/** The first group: its names. The second: from where. */
const IMPORT = /(^|[;}]|\n)import\b\s*(?:([^'"();=]*?)\s*from\s*)?["']([^"']+)["'];?/g;
const EXPORT = /^export (?=(?:const|class|function|async function) ([\w$]+))/gm;
/** As a minifier writes it, at the end. */
const LAST_EXPORT = /\bexport\s*\{([^}]*)\};?\s*$/;
const WHOLE = /\bexport default\b/;
const LAZY = /\bimport\(\s*(['"])(\.[^'"]+)\1/g;

/** @param modules path below the folder of pages, or name of a package → text. Each stands behind those that it imports. @throws if it cannot be done this way. */
export function joinModules(modules: ReadonlyMap<string, string>): string {
  const owners = new Map<string, string>();
  const pieces = [...modules].map(([path, text]) => {
    const { names, body } = moduleParts(path, text);
    for (const name of names.keys()) {
      const other = owners.get(name);
      if (other !== undefined) throw new Error(`${other} and ${path} both export ${name}`);
      owners.set(name, path);
    }
    const results = [...names].map(([name, own]) => (name === own ? name : `${name}:${own}`));
    const target = results.length === 0 ? '' : `const {${[...names.keys()]}}=`;
    return `${target}(()=>{${body}\nreturn{${results}}})();`;
  });
  return `${pieces.join('\n')}\nexport{${[...owners.keys()].map((name) => (name === DEFAULT ? `${name} as default` : name))}};\n`;
}

/** `names`: those that others import → those that the body gives them. */
function moduleParts(path: string, text: string): { readonly names: ReadonlyMap<string, string>; readonly body: string } {
  const names = new Map<string, string>();
  const body = text
    .replace(IMPORT, (_, before: string, clause = '') => before + aliases(clause))
    .replace(LAST_EXPORT, (_, list: string) => {
      for (const [own, name] of pairs(list)) names.set(name, own);
      return '';
    })
    .replace(EXPORT, (_, name: string) => {
      names.set(name, name);
      return '';
    })
    .replace(WHOLE, () => {
      names.set(DEFAULT, DEFAULT);
      return `var ${DEFAULT}=`;
    })
    .replace(LAZY, (_, quote: string, to: string) => `import(${quote}/assets/${posix.join(posix.dirname(path), to)}${quote}`);
  const left = /^\s*(?:export|import)\b(?!\()[^\n]*/m.exec(body);
  if (left !== null) throw new Error(`${path} cannot be joined: ${left[0].trim()}`);
  return { names, body };
}

/** There can be one in all that are joined. */
const DEFAULT = 'default$';

/** Names of the whole are known everywhere in it. Only those that a module calls otherwise need a word. */
function aliases(clause: string): string {
  const [first = '', list = ''] = clause.split(/[{}]/);
  const whole = first.replace(',', '').trim();
  const renamed = pairs(list).filter(([name, own]) => name !== own);
  const all = [...(whole === '' ? [] : [[DEFAULT, whole] as const]), ...renamed];
  return all.map(([name, own]) => `const ${own}=${name};`).join('');
}

/** `a as b, c` → a and b, c and c. */
const pairs = (list: string): (readonly [string, string])[] =>
  list
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')
    .map((one) => one.split(/\s+as\s+/) as [string, string?])
    .map(([from, to = from]) => [from, to] as const);
