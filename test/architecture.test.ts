/** The rules of the code's structure: which folder may import which, the size of files, and the README's table of standards. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

const VOCABULARY = ['smtp', 'net', 'system'];
const SERVICES = ['events', 'credentials', 'certificates', 'signing', 'alignment', 'dns', 'tls-policy', 'trace', 'metrics'];
const service = ['store', 'dns', 'events', 'metrics', ...VOCABULARY];
const stage = [...SERVICES, 'store', ...VOCABULARY];

/** Folder → folders that it may import. Downward only; between stages only the ones in this table. Files beside the folders are `root`. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  root: ['commands', 'config', 'console', 'events', 'metrics', ...VOCABULARY],
  smtp: [],
  net: [],
  system: ['smtp', 'net'],
  store: VOCABULARY,
  config: VOCABULARY,
  dns: VOCABULARY,
  feedback: VOCABULARY,
  events: VOCABULARY,
  metrics: ['events', ...VOCABULARY],
  credentials: service,
  certificates: service,
  signing: service,
  alignment: [...service, 'signing'],
  'tls-policy': service,
  trace: service,
  admin: stage,
  console: ['setup', 'control', 'doctor', 'config', 'credentials', 'store', 'events', ...VOCABULARY],
  submission: [...stage, 'policy', 'preparation', 'queue'],
  policy: stage,
  preparation: [...stage, 'signing'],
  queue: ['store', 'events', ...VOCABULARY],
  delivery: stage,
  report: [...stage, 'preparation', 'queue'],
  doctor: [...service, 'certificates', 'signing', 'alignment'],
  setup: ['control', 'config', 'doctor', 'alignment', 'signing', 'dns', 'store', ...VOCABULARY],
  demo: [...stage, 'config', 'commands', 'root'], // the whole program, started as a process
  relay: [
    ...stage,
    'setup',
    'control',
    'admin',
    'console',
    'config',
    'doctor',
    'submission',
    'policy',
    'preparation',
    'queue',
    'delivery',
    'report',
  ],
  control: [
    'events',
    'config',
    'doctor',
    'store',
    'dns',
    'credentials',
    'certificates',
    'signing',
    'tls-policy',
    'policy',
    'preparation',
    'queue',
    'delivery',
    'report',
    'feedback',
    ...VOCABULARY,
  ],
  commands: [
    'setup',
    'console',
    'alignment',
    'control',
    'relay',
    'doctor',
    'config',
    'store',
    'certificates',
    'signing',
    'tls-policy',
    'dns',
    'delivery',
    ...VOCABULARY,
  ],
};

/** Packages and the folders (or files) that may import them. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  'smtp-server': ['submission/', 'demo/'],
  nodemailer: ['report/', 'demo/'],
  mailauth: ['demo/', 'alignment/'],
  '@clack/prompts': ['commands/'],
  argon2: ['credentials/'],
  'lru-cache': ['system/cache.ts'],
  'acme-client': ['certificates/'],
  '@peculiar/x509': ['certificates/'],
  pino: ['system/log.ts'],
  'prom-client': ['metrics/'],
  commander: ['smarthost.ts', 'commands/'],
  yaml: ['config/'],
  'dns-packet': ['demo/'],
  pg: ['store/postgres/'],
  valibot: ['console/'],
  '@valibot/to-json-schema': ['console/openapi.ts'],
  otpauth: ['console/access/second-factor.ts'],
  uqr: ['console/access/second-factor.ts'],
  preact: ['console/page/'],
  htm: ['console/page/'],
};

const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const source = (file: string) => readFileSync(join('src', file), 'utf8');
const folderOf = (file: string) => (file.includes('/') ? file.split('/')[0]! : 'root');
/** Statements, `import('…')`, programs that are started by their URL, and `typeof import('…')`. */
const IMPORT =
  /^(?:import|export)( type)? (?:[^'";]*? from )?'([^']+)'|(?<!typeof )\bimport\('([^']+)'\)|new URL\('(\.[^']+\.ts)'|typeof import\('([^']+)'\)/gm;

type Import = {
  readonly path: string;
  /** True for types, which do not exist when the program runs. */
  readonly isType: boolean;
};

function imports(file: string): Import[] {
  return [...source(file).matchAll(IMPORT)].map(([, onlyTypes, named, dynamic, url, type]) => ({
    path: (named ?? dynamic ?? url ?? type)!,
    isType: onlyTypes !== undefined || type !== undefined,
  }));
}

const local = (file: string) =>
  imports(file)
    .filter(({ path }) => path.startsWith('.'))
    .map(({ path, isType }) => ({ target: join(dirname(file), path), isType }));

describe.each(files)('%s', (file) => {
  const folder = folderOf(file);

  test('imports only folders that the table allows, and only their main files', () => {
    expect(Object.keys(MAY_IMPORT), 'the folder has a row in the table').toContain(folder);
    for (const { target } of local(file)) {
      const other = folderOf(target);
      if (other === folder) continue;
      expect(MAY_IMPORT[folder], `${folder} imports ${other}`).toContain(other);
      if (!VOCABULARY.includes(other) && other !== 'root') expect(target).toBe(`${other}/${other}.ts`);
    }
  });

  test('imports packages only in the folder that owns them', () => {
    for (const { path } of imports(file).filter(({ path }) => !path.startsWith('.') && !path.startsWith('node:'))) {
      const name = path
        .split('/')
        .slice(0, path.startsWith('@') ? 2 : 1)
        .join('/');
      expect(Object.keys(PACKAGES), name).toContain(name);
      expect(
        PACKAGES[name]!.some((owner) => file.startsWith(owner)),
        `${file} imports ${name}`,
      ).toBe(true);
    }
  });

  test('has at most 450 lines and says at its top what it is for', () => {
    expect(source(file).split('\n').length).toBeLessThanOrEqual(451);
    expect(source(file).replace(/^#!.*\n/, '')).toMatch(/^\/\*\*/);
  });
});

test('an engine of the store is reached by one file: embedded/ for SQLite, and only engine.ts chooses', () => {
  const reach = (part: string) =>
    files.filter((file) => !file.startsWith(part) && local(file).some(({ target }) => target.startsWith(part)));
  // The engine on PostgreSQL has the requests, the forms of rows and the ports of the one in files.
  expect(reach('store/sqlite/').filter((file) => !file.startsWith('store/postgres/'))).toEqual(['store/embedded/embedded.ts']);
  expect(reach('store/postgres/')).toEqual(['store/engine.ts']);
  const makers = files.filter((file) =>
    local(file).some(({ target, isType }) => target === 'store/embedded/embedded.ts' && !isType),
  );
  expect(makers).toEqual(['store/engine.ts']);
});

test('the client of PostgreSQL is not loaded with the relay, only when a database is asked', () => {
  const loaded = new Set<string>();
  const load = (file: string) => {
    if (loaded.has(file)) return;
    loaded.add(file);
    for (const [, onlyTypes, named] of source(file).matchAll(IMPORT))
      if (onlyTypes === undefined && named?.startsWith('.')) load(join(dirname(file), named));
  };
  load('relay/relay.ts');
  expect(loaded.size).toBeGreaterThan(100);
  expect([...loaded].filter((file) => imports(file).some(({ path }) => path === 'pg'))).toEqual([]);
});

test('a reply is made final in one place', () => {
  expect(files.filter((file) => source(file).includes('as FinalReply'))).toEqual(['delivery/verdict.ts']);
});

/** Two files may import each other's types, because types do not exist when the program runs. */
test('no cycle of imports between values', () => {
  const graph = new Map(
    files.map((file) => [
      file,
      local(file)
        .filter(({ isType }) => !isType)
        .map(({ target }) => target),
    ]),
  );
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    expect(path, [...path, file].join(' → ')).not.toContain(file);
    if (done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
});

/** The names that a file declares and exports. A name that it re-exports is declared in the other file. */
const exportsOf = (file: string) =>
  [...source(file).matchAll(/^export (?:async )?(?:type|class|const|let|function\*?) (\w+)/gm)].map(([, name]) => name!);

test('an exported name is one thing: a search for it finds one place', () => {
  const places = new Map<string, Set<string>>();
  for (const file of files) {
    for (const name of exportsOf(file)) places.set(name, (places.get(name) ?? new Set()).add(file));
  }
  const shared = [...places].filter(([, where]) => where.size > 1).map(([name, where]) => `${name}: ${[...where].join(', ')}`);
  expect(shared).toEqual([]);
});

/** Names that a file takes from another one, by a statement or by `(await import('…')).name`. */
function taken(path: string): (readonly [target: string, name: string])[] {
  const text = readFileSync(path, 'utf8');
  const at = (to: string) => join(dirname(path), to);
  const named = [...text.matchAll(/^import (?:type )?\{([^}]*)\} from '(\.[^']+)'/gm)].flatMap(([, names, to]) =>
    names!.split(',').map(
      (name) =>
        [
          at(to!),
          name
            .trim()
            .replace(/^type /, '')
            .split(' ')[0]!,
        ] as const,
    ),
  );
  const whole = [
    ...text.matchAll(/^(?:import|export) (?:type )?\* (?:as \w+ )?from '(\.[^']+)'/gm),
    ...text.matchAll(/\bimport\('(\.[^']+)'\)/g),
  ].flatMap(([, to]) => (text.match(/\w+/g) ?? []).map((name) => [at(to!), name] as const));
  return [...named, ...whole];
}

test('what is exported is imported by another file', () => {
  const tests = readdirSync('test', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const paths = [...files.map((file) => join('src', file)), ...tests.map((file) => join('test', file))];
  const used = new Set(paths.flatMap((path) => taken(path).map(([target, name]) => `${target} ${name}`)));
  expect(files.filter((file) => /^export (?:type )?\*/m.test(source(file)))).toEqual([]);
  // A name that a folder's main file re-exports must be used too.
  const doors = files.flatMap((file) =>
    [...source(file).matchAll(/^export (?:type )?\{([^}]*)\} from '(\.[^']+)'/gm)].map(([, names, to]) => ({
      door: join('src', file),
      target: join('src', dirname(file), to!),
      names: names!
        .split(',')
        .map((name) => name.trim().replace(/^type /, ''))
        .filter((name) => name !== ''),
    })),
  );
  const isUsed = (target: string, name: string) =>
    used.has(`${target} ${name}`) ||
    doors.some((one) => one.target === target && one.names.includes(name) && used.has(`${one.door} ${name}`));
  const unused = files.flatMap((file) =>
    exportsOf(file)
      .filter((name) => !isUsed(join('src', file), name))
      .map((name) => `${file}: ${name}`),
  );
  const passedOn = doors.flatMap(({ door, names }) =>
    names.filter((name) => !used.has(`${door} ${name}`)).map((name) => `${door}: ${name}`),
  );
  expect([...unused, ...passedOn]).toEqual([]);
});

/** A call to a TLS object that Node has freed ends the process: `system/server-tls.ts` says when it may be used. */
test('TLS objects are made and asked only where it is known that they live', () => {
  const MADE = ['system/server-tls.ts'];
  const ASKED = [...MADE, 'delivery/connection.ts', 'delivery/transcript.ts', 'doctor/smtp-probe.ts'];
  const withText = (pattern: RegExp) => files.filter((file) => pattern.test(source(file)));
  expect(withText(/new TLSSocket\(/).filter((file) => !MADE.includes(file))).toEqual([]);
  const question = /\.get(?:Protocol|Cipher|Session|PeerCertificate|PeerX509Certificate|Finished|SharedSigalgs)\(/;
  expect(withText(question).filter((file) => !ASKED.includes(file))).toEqual([]);
});

test('the standards table of the README names each RFC that the code cites, and no other', () => {
  const cited = new Set(
    files.flatMap((file) => [...source(file).matchAll(/RFC (\d{3,5})/g)].map(([, number]) => Number(number))),
  );
  const readme = readFileSync('README.md', 'utf8');
  const listed = new Set([...readme.matchAll(/^\| (?:\[)?RFC (\d{3,5})/gm)].map(([, number]) => Number(number)));
  const sorted = (numbers: Set<number>) => [...numbers].sort((a, b) => a - b);
  expect(sorted(listed)).toEqual(sorted(cited));
});
