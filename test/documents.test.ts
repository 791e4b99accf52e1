/** The documents for developers are true: paths, packages, rules, versions. deploy/readme.test.ts checks the documents for operators. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

const read = (file: string) => readFileSync(file, 'utf8');
const DOCUMENTS = [
  'README.md',
  'src/README.md',
  'src/behaviour.md',
  'test/README.md',
  'deploy/README.md',
  '.github/CONTRIBUTING.md',
  '.github/SECURITY.md',
];
const sources = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => join(folder, name));

/** Code in backticks outside of blocks. */
const inline = (text: string) => [...text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!);

describe.each(DOCUMENTS)('%s', (document) => {
  const text = read(document);
  const here = dirname(document);

  test('links to files that exist', () => {
    const links = [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(([, target]) => target!);
    expect(links.filter((target) => !existsSync(join(here, target)))).toEqual([]);
  });

  test('names paths that exist', () => {
    // A path has a folder and an extension, or ends in a slash: `queue/decide.ts`, `signing/`. A name in capitals or with `<` is a placeholder.
    const paths = inline(text).filter(
      (code) => /^\.?[a-z][\w.-]*(?:\/[\w.*-]+)*(?:\/|\.(?:ts|md|json|yaml|sh|service))$/.test(code) && code.includes('/'),
    );
    const isThere = (path: string) => ['', here, 'src', 'test', 'deploy'].some((folder) => existsSync(join(folder, path)));
    expect(paths.filter((path) => !path.includes('*') && !isThere(path))).toEqual([]);
  });
});

test('each failure of the database has a test, which is named as it is', () => {
  const rows = [
    ...read('test/README.md').matchAll(
      /^\| [^|]+ \| `((?:contract|integration|unit\/queue)\/[\w-]+(?:\.test)?\.ts)` \| ([^|]+) \|$/gm,
    ),
  ];
  expect(rows.length).toBeGreaterThan(20);
  expect(rows.filter(([, file, title]) => !read(`test/${file}`).includes(`'${title}'`)).map(([row]) => row)).toEqual([]);
});

test('the table of packages has each package that the program needs, and no other', () => {
  const { dependencies, devDependencies, optionalDependencies = {} } = JSON.parse(read('package.json'));
  const map = read('src/README.md');
  const table = map.slice(map.indexOf('## Packages'));
  const listed = [...table.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(([, cell]) =>
    [...cell!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!),
  );
  expect(listed.sort()).toEqual(Object.keys({ ...dependencies, ...optionalDependencies }).sort());
  for (const name of Object.keys(devDependencies)) expect(table, name).toContain(`\`${name}\``);
});

test('each behaviour rule that the code or a test cites exists', () => {
  const rules = new Set([...read('src/behaviour.md').matchAll(/^(\d+)\. \*\*/gm)].map(([, number]) => Number(number)));
  expect(rules.size).toBe(25);
  for (const file of [...sources('src'), ...sources('test')]) {
    for (const [, numbers] of read(file).matchAll(/behaviour rules? ([\d, ]+(?:(?:and|to) \d+)?)/g))
      for (const number of numbers!.match(/\d+/g)!) expect(rules, `${file} cites rule ${number}`).toContain(Number(number));
  }
});

test('all documents and the program name the same minimum version of Node', () => {
  const [, least] = /needs Node ([\d.]+)/.exec(read('src/smarthost.ts'))!;
  const { engines } = JSON.parse(read('package.json'));
  const said = DOCUMENTS.flatMap((file) =>
    [...read(file).matchAll(/\bNode(?:\.js)? (?:≥ ?)?(\d+(?:\.\d+)?)/g)].map(([, version]) => `${file}: ${version}`),
  );
  const runs = Number.parseInt(least!, 10);
  // Node 20 or later starts npm; npm brings the Node that the program runs on.
  const allowed = [engines.node.replace('>=', ''), '24', least];
  expect(runs).toBeGreaterThanOrEqual(22);
  expect(said.filter((entry) => !allowed.includes(entry.split(': ')[1]!))).toEqual([]);
});
