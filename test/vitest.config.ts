import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { hasCommand } from './support/peers.ts';
import { hasPostgres } from './support/postgres.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Whole Debian systems are made and booted for these: minutes each, so they have a command of their own, `npm run test:roots`. */
const ROOTS = ['deploy/install', 'browser/newcomers', 'deploy/dockerfile'].map((name) => `test/${name}.test.ts`);
/** They share the worker processes, and their files need not survive a power cut. */
const UNITS = ['test/unit/**/*.test.ts', 'test/architecture.test.ts', 'test/documents.test.ts'];
/** Messages and a report through a whole relay, in little time. */
const ONE_RELAY = ['test/integration/addresses.test.ts'];

/** Floods and long faults. What they hold is held for one client, one guess and one fault by the units and by `integration/`. */
const FLOODS = ['load', 'guessing', 'durability'].map((name) => `test/attacks/${name}.test.ts`);

/** Each takes eight seconds or more beside others: whole processes, kills, downloads, real deadlines. More than half of the time of all that needs no peer. */
const LONG = [
  ...['backup', 'certificates-files', 'certificates-store', 'demo', 'first-run', 'large-messages', 'login-changes', 'privileges'],
  ...[
    'provider-block',
    'provider-fallback',
    'provider-kill',
    'relay-dane',
    'relay-fallback',
    'silent-thread',
    'threads',
    'alignment',
  ],
  ...['backup', 'console', 'doctor', 'domain', 'init', 'process', 'queue', 'setup', 'user'].map((name) => `commands-${name}`),
  ...['delivery-sts-cells', 'stop', 'behaviour', 'queue-store', 'tls-reports', 'tls-report-sessions', 'provider-addresses'],
  ...[
    'outbound-look',
    'routes',
    'store-processes',
    'disk-tiny',
    'kill-nine',
    'threads-memory',
    'upstream-limit',
    'provider-files',
  ],
]
  .map((name) => `integration/${name}`)
  .concat(
    ['access', 'bad-start', 'content', 'dns', 'tls'].map((name) => `attacks/${name}`),
    'deploy/readme',
  )
  .concat(['dkim-existing', 'mta-sts'].map((name) => `peers/${name}`))
  .map((name) => `test/${name}.test.ts`);

/** Files of which nothing is left without a program of Debian. To read them and all that they import, only to skip each test, takes a second each. */
const ABSENT = [
  { program: 'chromium', present: hasCommand('chromium'), files: ['test/browser/!(pictures|newcomers).test.ts'] },
  {
    program: 'postgresql',
    present: hasPostgres,
    files: ['test/integration/postgres-!(link).test.ts', 'test/integration/store-move.test.ts'],
  },
  { program: 'strace', present: hasCommand('strace'), files: ['test/crash/*.test.ts', 'test/integration/crash-points.test.ts'] },
].filter(({ present }) => !present);

/** Units that wait for real deadlines, a third of a quick run. `npm test` and the gate have them. */
const WAITING = [
  ...['submission/handshake-pace', 'submission/deadlines', 'submission/listener', 'queue/runner'],
  ...['tls-policy/mta-sts-fetch', 'doctor/dns-checks', 'store/spool'],
].map((name) => `test/unit/${name}.test.ts`);

/** Minutes of load and kills: `npm run test:cluster`, and fewer rounds in the gate. */
const CLUSTER = 'test/cluster/*.test.ts';
/** Needs Debian's patroni, etcd-server and haproxy, or much time: only by `npm run test:cluster`. */
const CLUSTER_ALONE = ['patroni', 'store-move'].map((name) => `test/cluster/${name}.test.ts`);

const roots = process.env['ROOTS'] === '1';
const cluster = process.env['CLUSTER'] === '1';
const quick = process.env['QUICK'] === '1';
const gate = process.env['CI'] === 'true';
/** `npx vitest … test/integration/demo.test.ts`: who names a file wants it. */
const named = process.argv.some((word) => /^test\/[^/]+\//.test(word));
const absent = gate || named || quick || roots || cluster ? [] : ABSENT;
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

// Each store is a thread and many a relay a process: they need not strip the types of the same files again.
process.env['NODE_COMPILE_CACHE'] ??= `${root}node_modules/.cache/node`;

for (const { program, files } of absent) console.error(`${program} is missing, so these are left out: ${files.join(' ')}`);

export default defineConfig({
  test: {
    root,
    maxWorkers: 3, // on two cores: many a test waits for processes, deadlines and disks
    pool: 'forks',
    testTimeout: 120_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 20_000 } }, // a busy machine decides no test
    projects: [
      {
        extends: true,
        test: {
          name: 'units',
          include: roots ? [] : UNITS,
          exclude: ['node_modules/**', ...(quick ? WAITING : [])],
          isolate: false,
          env: { TMPDIR: memory },
        },
      },
      {
        extends: true,
        test: {
          name: 'whole', // each file in a process of its own
          include: roots ? ROOTS : quick ? ONE_RELAY : ['test/**/*.test.ts'],
          exclude: [
            'test/bench/**',
            'node_modules/**',
            ...UNITS,
            ...(roots ? [] : ROOTS),
            ...(gate || named ? [] : [...FLOODS, ...LONG]),
            ...absent.flatMap(({ files }) => files),
            ...(cluster ? [] : gate ? CLUSTER_ALONE : [CLUSTER]),
          ],
        },
      },
    ],
  },
});
