/** Writes the page deploy/configuration.md from the list of settings. */
import { environmentName, isSetting, listSettings, SETTINGS, type Setting } from './settings.ts';
import type { Field, ValueType } from './types.ts';

const INTRODUCTION = `# Configuration

<!-- Generated from src/config/settings.ts by npm run reference. Change it there. -->

The file is the first found of \`--config FILE\`, \`SMARTHOST_CONFIG\`, \`./smarthost.yaml\` and \`/etc/smarthost/smarthost.yaml\`; root takes
\`./smarthost.yaml\` only if root alone may write the file and the folders above it. A named file must
exist. No file is needed if \`SMARTHOST_HOSTNAME\` is set. \`smarthost config check\` lists all problems at once, \`smarthost config show\` prints the
effective values.

- The environment wins over the file, the file over the defaults. A variable is \`SMARTHOST_\` and the setting's path in upper case with \`_\` before each
  word; with \`_FILE\` at its end it names a file with the value. Lists are comma-separated. Mappings can only be set in the file,
  but that of \`store\`: \`SMARTHOST_STORE='{ postgres: [db1.example, db2.example], passwordFile: /run/secrets/db }'\`.
- Sizes take \`B\`, \`KiB\`, \`MiB\`, \`GiB\`; durations \`s\`, \`m\`, \`h\`, \`d\`; limits are \`N/minute\`, \`N/hour\`, \`N/day\`.
- Addresses to listen on are \`[::]:465\` or \`127.0.0.1:8025\`. \`[::]\` is every address, IPv4 included; \`[]\` opens nothing.
- Relative paths count from the file they stand in, those in the environment from the working directory.
- SIGHUP reads the file again. Settings marked ↻ change then, without a session lost; the others need a restart, and the log names them.
- Unknown keys and variables are errors.
`;

export function renderReference(): string {
  const groups = Object.entries(SETTINGS).filter(([, node]) => !isSetting(node));
  const top = listSettings().filter(({ path }) => !path.includes('.'));
  const sections = groups.map(([name]) =>
    section(
      name,
      listSettings().filter(({ path }) => path.startsWith(`${name}.`)),
    ),
  );
  return `${[INTRODUCTION, section('The relay', top), ...sections].join('\n')}`;
}

function section(title: string, settings: readonly { path: string; setting: Setting<unknown> }[]): string {
  const rows = settings.map(({ path, setting }) => row(path, setting));
  const records = settings.filter(({ setting }) => setting.type.fields !== undefined);
  const fields = records.map(({ path, setting }) => fieldsTable(path, setting.type));
  return [`## ${title}\n`, '| setting | value | default | what it does |', '|---|---|---|---|', ...rows, '', ...fields].join(
    '\n',
  );
}

function row(path: string, { type, fallback, about, live }: Setting<unknown>): string {
  const variable = type.form === 'records' ? '' : `<br>\`${environmentName(path)}\``;
  return `| \`${path}\`${live ? ' ↻' : ''}${variable} | ${type.name} | ${formatFallback(fallback)} | ${about} |`;
}

function formatFallback(fallback: unknown): string {
  if (fallback === undefined) return '';
  return `\`${Array.isArray(fallback) ? `[${fallback.join(', ')}]` : String(fallback)}\``;
}

function fieldsTable(path: string, { fields = {}, form }: Pick<ValueType<unknown>, 'fields' | 'form'>): string {
  const rows = Object.entries<Field>(fields).map(
    ([name, { type, required, about }]) => `| \`${name}\` | ${type.name} | ${required ? 'required. ' : ''}${about} |`,
  );
  const title = form === 'records' ? `Each of \`${path}\` is a mapping:` : `The mapping of \`${path}\`:`;
  return [`${title}\n`, '| field | value | what it does |', '|---|---|---|', ...rows, ''].join('\n');
}
