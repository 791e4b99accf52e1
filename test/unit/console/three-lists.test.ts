/** What a command changes, the API changes too and a page has it, and the reverse. */
import { expect, test } from 'vitest';
import { ROUTES } from '../../../src/console/routes.ts';
import { createCommandBench } from '../../support/command.ts';
import { asksFor, callsOfPages } from '../../support/page-calls.ts';

/** Each command that changes something, and the operation that does the same. */
const SAME: Readonly<Record<string, string>> = {
  'user add': 'POST /credentials',
  'user set': 'PATCH /credentials/:name',
  'user passwd': 'POST /credentials/:name/password',
  'user disable': 'PATCH /credentials/:name',
  'user enable': 'PATCH /credentials/:name',
  'user release': 'POST /credentials/:name/release',
  'user hold': 'POST /credentials/:name/hold',
  'user remove': 'DELETE /credentials/:name',
  'domain add': 'POST /domains',
  'domain rotate': 'POST /domains/:name/rotate',
  'domain remove': 'DELETE /domains/:name',
  'queue retry': 'POST /queue/retry',
  'queue hold': 'POST /queue/hold',
  'queue release': 'POST /queue/release',
  'queue remove': 'POST /queue/remove',
  'queue reroute': 'POST /queue/reroute',
  'provider probe': 'POST /providers/:key/probe',
  'provider open': 'POST /providers/:key/open',
  'provider hold': 'POST /providers/:key/hold',
  'tls reports send': 'POST /tls/reports/:day/:domain/send',
  'tls reports suppress': 'POST /tls/reports/suppress',
  'tls policies refresh': 'POST /tls/policies/:domain/refresh',
  'tls policies forget': 'DELETE /tls/policies/:domain',
  'cert renew': 'POST /certificates/renew',
  send: 'POST /test-messages',
  'console setup': 'POST /setup',
  'console add': 'POST /accounts',
  'console reset': 'POST /accounts/:name/reset',
  'console role': 'PATCH /accounts/:name',
  'console disable': 'PATCH /accounts/:name',
  'console enable': 'PATCH /accounts/:name',
  'console remove': 'DELETE /accounts/:name',
  'console logout': 'DELETE /sessions',
  'token add': 'POST /tokens',
  'token remove': 'DELETE /tokens/:id',
};

/** Commands that change nothing in a running relay. */
const READING = [
  ...['user list', 'user show', 'domain list', 'domain show', 'domain records', 'queue list', 'queue show', 'queue summary'],
  ...['provider list', 'provider show', 'reply explain', 'reply unknown', 'reply replay', 'report domains', 'tls check'],
  ...['tls failures', 'tls reports list', 'tls reports show', 'tls policies list', 'tls policies show', 'cert show', 'trace'],
  ...[
    'refused',
    'history',
    'status',
    'destinations',
    'client',
    'exchange',
    'doctor',
    'config check',
    'config show',
    'version',
    'changes',
  ],
  ...['console list', 'console sessions', 'token list', 'store check', 'store nodes'],
];

/** Commands about files and processes of the machine, which no request may touch. */
const OF_THE_MACHINE = ['init', 'serve', 'backup', 'restore', 'store move', 'report read'];

/** Operations without a command of their own, and what stands for it. */
const OTHER_WAYS: Readonly<Record<string, string>> = {
  'POST /destinations/:key/resume': 'queue retry --destination',
  'POST /queue/preview': 'queue … --dry-run',
  'POST /config/reload': 'SIGHUP',
  'POST /config/check': 'config check',
  'POST /doctor': 'doctor',
  'POST /domains/:name/check': 'doctor DOMAIN',
  'POST /credentials/:name/check-sender': 'a message',
  'POST /tls/check': 'tls check',
  'POST /doctor/mutes': 'only the page shows findings for a while',
  'DELETE /doctor/mutes': 'only the page shows findings for a while',
};

/** Logins of people, reports of browsers and the first run have no command. */
const OF_A_BROWSER = /^\S+ \/(session|setup|first-run|csp-reports|sessions\/:id)/;

async function commandsBelow(run: (args: readonly string[]) => Promise<{ out: string }>, path: readonly string[]) {
  const { out } = await run([...path, '--help']);
  const [, list] = out.split(/^Commands:$/m);
  if (list === undefined) return [path.join(' ')];
  const names = [...list.matchAll(/^ {2}([a-z]+)\b/gm)].map(([, name]) => name!).filter((name) => name !== 'help');
  const found: string[] = [];
  for (const name of new Set(names)) found.push(...(await commandsBelow(run, [...path, name])));
  return found;
}

test('each command that changes something has an operation, and each operation a command', async () => {
  const bench = await createCommandBench();
  const commands = await commandsBelow(bench.run, []);
  await bench.close();
  expect(commands.length).toBeGreaterThan(40);
  const sorted = (names: readonly string[]) => [...names].sort();
  expect(sorted(commands)).toEqual(sorted([...Object.keys(SAME), ...READING, ...OF_THE_MACHINE]));
  const operations = ROUTES.filter(({ method }) => method !== 'GET').map(({ method, path }) => `${method} ${path}`);
  const known = new Set([...Object.values(SAME), ...Object.keys(OTHER_WAYS)]);
  expect([...known].filter((operation) => !operations.includes(operation))).toEqual([]);
  expect(operations.filter((operation) => !known.has(operation) && !OF_A_BROWSER.test(operation))).toEqual([]);
});

/** Operations that no page has, and why. */
const WITHOUT_PAGE: Readonly<Record<string, string>> = {
  'POST /csp-reports': 'browsers send it by themselves',
};

test('each operation that changes something has a page, and no page asks for what there is not', () => {
  const calls = callsOfPages();
  expect(calls.length).toBeGreaterThan(50);
  const operations = ROUTES.filter(({ method }) => method !== 'GET').map(({ method, path }) => `${method} ${path}`);
  const pagesOf = (operation: string) => calls.filter((call) => asksFor(call, operation)).flatMap(({ pages }) => pages);
  const without = operations.filter((operation) => pagesOf(operation).length === 0);
  expect(without).toEqual(Object.keys(WITHOUT_PAGE));
  const lost = calls.filter((call) => !operations.some((operation) => asksFor(call, operation)));
  expect(lost.map(({ method, path, file }) => `${file}: ${method} ${path}`)).toEqual([]);
});
