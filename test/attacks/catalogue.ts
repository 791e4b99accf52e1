/** Reads the rows out of the tests and writes them as the table in README.md. Run it by `node test/attacks/catalogue.ts`. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Row = {
  readonly id: string;
  readonly what: string;
  readonly answer: string;
  readonly file: string;
  /** What comes before the answer where there is no test here. */
  readonly mark: '' | '*elsewhere:* ';
};

const FOLDER = new URL('.', import.meta.url).pathname;
export const README = join(FOLDER, 'README.md');

/** Each group of the catalogue with its last number. */
const GROUPS = { A: 16, T: 10, P: 23, L: 8, C: 11, D: 11, R: 13 } as const;
const TITLES: Readonly<Record<string, string>> = {
  A: 'Access: who gets in',
  T: 'TLS',
  P: 'Protocol and content',
  L: 'Load and resources',
  C: 'Durability and time',
  D: 'DNS faults',
  R: 'Remote MX faults',
};

export const IDS = Object.entries(GROUPS).flatMap(([group, last]) =>
  Array.from({ length: last }, (_, i) => `${group}${String(i + 1).padStart(2, '0')}`),
);

/** `attack(`, `attacks(`, `elsewhere(` and the helpers of single files, with three literals. */
const CALL =
  /\b(attacks?|elsewhere|cases)\(\s*'([A-Z]\d\d)',\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"),\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")/g;

export function rows(): readonly Row[] {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.test.ts'));
  const all = files.flatMap((file) =>
    [...readFileSync(join(FOLDER, file), 'utf8').matchAll(CALL)].map(([, call, id, what, answer]): Row => {
      return {
        id: id!,
        what: unquoted(what!),
        answer: unquoted(answer!),
        file,
        mark: call === 'elsewhere' ? '*elsewhere:* ' : '',
      };
    }),
  );
  return all.sort((a, b) => IDS.indexOf(a.id) - IDS.indexOf(b.id));
}

function unquoted(literal: string): string {
  return literal.slice(1, -1).replace(/\\(.)/g, '$1');
}

export function page(): string {
  const all = rows();
  const sections = Object.keys(GROUPS).map((group) => {
    const lines = all
      .filter(({ id }) => id.startsWith(group))
      .map(({ id, what, answer, file, mark }) => `| ${id} | ${cell(what)} | ${mark}${cell(answer)} | \`${file}\` |`);
    return `## ${TITLES[group]}\n\n| id | attack or fault | right answer | test |\n|---|---|---|---|\n${lines.join('\n')}\n`;
  });
  return `${INTRODUCTION}\n${sections.join('\n')}`;
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

const INTRODUCTION = `# Attacks and faults

What an internet-facing submission server and a client of MX hosts meet, and the right answer. Each row is a test that sends the real
bytes to a whole relay, or makes the real fault, and looks whether anything was let in or lost. This page is made from the tests by
\`node test/attacks/catalogue.ts\`; a test sees to it that it is current.

- \`bad-start.test.ts\` starts the relay on broken configurations, stores, keys and certificates.
- \`timing.ts\` asks whether the time of an answer tells known users from unknown ones. It takes minutes, and is run by itself:
  \`npm run test:timing\`.
- The sweeps of C01, C02, L04 and L05, kill -9, power cut and failure at every call, are in \`../crash\`; the targets of random input are in \`../fuzz\`.
`;

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(README, page());
