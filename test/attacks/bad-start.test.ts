/** A start with broken data: it is refused with a named cause, or the broken part is set aside and the relay runs. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createSelfSigned } from '../../src/certificates/certificates.ts';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import type { Store } from '../../src/store/store.ts';
import { codeOf, plain, startAttacked, submit, TEXT, USER } from '../support/attack-rig.ts';
import { credentialWith } from '../support/credential.ts';
import { run } from '../support/program.ts';

const CHECKOUT = new URL('../..', import.meta.url).pathname;
const NODE = join(CHECKOUT, 'node_modules/.bin/node');
const HEAD = 'hostname: relay.test\ndataDir: data\ntls: { mode: self-signed }';
const LISTEN = "listen: { submissions: ['127.0.0.1:0'], submission: ['127.0.0.1:0'], admin: [], console: [] }";

type Refused = readonly [name: string, yaml: string, says: RegExp, prepare?: (folder: string) => unknown];

const data = (folder: string) => join(folder, 'data');
const makeData = (folder: string, mode = 0o700) => {
  mkdirSync(data(folder));
  chmodSync(data(folder), mode);
};
/** A store in the state after a stopped relay. */
const makeStore = async (folder: string) => (await storeFiles(data(folder)).open()).close();
const inDatabase = (folder: string, sql: string) => {
  const database = new DatabaseSync(join(data(folder), 'smarthost.db'));
  database.exec(sql);
  database.close();
};
const pair = async (folder: string, { name = 'relay.test' } = {}) => {
  const { certificate, key } = await createSelfSigned('ecdsa', [name], Date.now());
  writeFileSync(join(folder, 'c.pem'), certificate);
  writeFileSync(join(folder, 'k.pem'), key);
};
const FILES = 'hostname: relay.test\ndataDir: data\ntls: { mode: files, files: [{ certificate: c.pem, key: k.pem }] }';

let taken: Server;
let takenPort = 0;

const REFUSED: readonly Refused[] = [
  ['no configuration file', '', /smarthost\.yaml|does not exist/, (folder) => rmSync(join(folder, 'smarthost.yaml'))],
  ['an empty file', '', /hostname.*required/s],
  ['a file that is no YAML', 'hostname: [relay.test', /smarthost\.yaml/],
  ['a file that is a list', '- hostname', /mapping/],
  ['a file of binary', '\0\x01\x02\xff', /smarthost\.yaml/],
  ['a setting given twice', `${HEAD}\nhostname: other.test`, /hostname|unique|duplicate/i],
  ['a setting that is none', `${HEAD}\nhostnme: x`, /hostnme is not a setting; did you mean hostname/],
  ['a nested setting that is none', `${HEAD}\nsubmission: { maxmessagesize: 1MiB }`, /submission\.maxmessagesize.*did you mean/],
  ['a prototype as key', `${HEAD}\n__proto__: { x: 1 }`, /__proto__ is not a setting/],
  ['no host name', 'hostname: localhost', /hostname/],
  ['an address as host name', 'hostname: 192.0.2.1', /hostname/],
  ['a duration without unit', `${HEAD}\nsubmission: { idleTimeout: 5 }`, /idleTimeout must be a duration/],
  ['a size that is none', `${HEAD}\nsubmission: { maxMessageSize: big }`, /maxMessageSize must be a size/],
  ['no time at all', `${HEAD}\nsubmission: { commandTimeout: 0s }`, /commandTimeout must be longer/],
  ['a network that is none', `${HEAD}\nauth: { allow: [300.0.0.0/8] }`, /auth\.allow/],
  ['a proxy that is none', `${HEAD}\nsubmission: { proxyTrust: [everyone] }`, /proxyTrust/],
  ['a limit that is none', `${HEAD}\nlimits: { messages: [many/day] }`, /limits\.messages/],
  ['no retry', `${HEAD}\nqueue: { retry: [] }`, /queue\.retry/],
  ['pauses that shrink', `${HEAD}\nqueue: { retry: [1h, 5m] }`, /queue\.retry must not become shorter/],
  ['a route to nowhere', `${HEAD}\nroutes: [{ recipientDomain: x.test, hosts: [] }]`, /routes\[0\]\.hosts/],
  ['a store that is not there', `${HEAD}\nstore: oracle`, /store must be/],
  ['port 25', `${HEAD}\nlisten: { submission: ['127.0.0.1:25'] }`, /port 25/],
  [
    'one port twice',
    `${HEAD}\nlisten: { submission: ['127.0.0.1:2525'], submissions: ['127.0.0.1:2525'], admin: [], console: [] }`,
    /2525/,
  ],
  [
    'a port that is taken',
    `${HEAD}\nlisten: { submissions: ['127.0.0.1:TAKEN'], submission: [], admin: [], console: [] }`,
    /127\.0\.0\.1:\d+ cannot be opened \(another program uses it\)/,
  ],
  [
    'an address of another machine',
    `${HEAD}\nlisten: { submissions: ['192.0.2.1:2465'], submission: [], admin: [], console: [] }`,
    /192\.0\.2\.1:2465/,
  ],
  [
    'an admin port that is taken',
    `${HEAD}\nlisten: { submissions: ['127.0.0.1:0'], submission: [], admin: ['127.0.0.1:TAKEN'], console: [] }`,
    /listen\.admin.*127\.0\.0\.1/,
  ],
  ['no certificate named', 'hostname: relay.test\ntls: { mode: files }', /tls\.files/],
  ['a certificate that is not there', FILES, /c\.pem does not exist/],
  [
    'a certificate that is none',
    FILES,
    /c\.pem holds no PEM certificate/,
    async (folder) => {
      await pair(folder);
      writeFileSync(join(folder, 'c.pem'), 'garbage');
    },
  ],
  [
    'a private key that is none',
    FILES,
    /k\.pem holds no PEM private key/,
    async (folder) => {
      await pair(folder);
      writeFileSync(join(folder, 'k.pem'), 'garbage');
    },
  ],
  [
    'a key that does not fit',
    FILES,
    /k\.pem does not belong to the certificate/,
    async (folder) => {
      await pair(folder);
      const { key } = await createSelfSigned('ecdsa', ['relay.test'], Date.now());
      writeFileSync(join(folder, 'k.pem'), key);
    },
  ],
  [
    'a key behind a passphrase',
    FILES,
    /k\.pem holds no PEM private key without a passphrase/,
    async (folder) => {
      await pair(folder);
      execFileSync('openssl', [
        'pkey',
        '-in',
        join(folder, 'k.pem'),
        '-aes256',
        '-passout',
        'pass:x',
        '-out',
        join(folder, 'k2.pem'),
      ]);
      execFileSync('mv', [join(folder, 'k2.pem'), join(folder, 'k.pem')]);
    },
  ],
  [
    'an authority that is not there',
    'hostname: relay.test\ndataDir: data\ntls: { mode: acme, acme: { ca: ca.pem } }',
    /ca\.pem does not exist/,
  ],
  ['data in a file', HEAD, /data is not a directory/, (folder) => writeFileSync(data(folder), '')],
  [
    'data that all can read',
    HEAD,
    /data is open to every user.*chmod 700/,
    (folder) => {
      makeData(folder, 0o755);
      writeFileSync(join(data(folder), 'x'), '');
    },
  ],
  [
    'a database that all can read',
    HEAD,
    /smarthost\.db is open to every user.*chmod 600/,
    async (folder) => {
      await makeStore(folder);
      chmodSync(join(data(folder), 'smarthost.db'), 0o644);
    },
  ],
  [
    'a spool that all can read',
    HEAD,
    /spool is open to every user/,
    async (folder) => {
      await makeStore(folder);
      writeFileSync(join(data(folder), 'spool/x'), '');
      chmodSync(join(data(folder), 'spool'), 0o777);
    },
  ],
  [
    'a database that is none',
    HEAD,
    /smarthost\.db/,
    (folder) => {
      makeData(folder);
      writeFileSync(join(data(folder), 'smarthost.db'), 'garbage'.repeat(1000), { mode: 0o600 });
    },
  ],
  [
    'a database of another program',
    HEAD,
    /smarthost\.db|another program/,
    (folder) => {
      makeData(folder);
      writeFileSync(join(data(folder), 'smarthost.db'), '', { mode: 0o600 });
      inDatabase(folder, 'CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)');
    },
  ],
  [
    'a database of a newer version',
    HEAD,
    /version/,
    async (folder) => {
      await makeStore(folder);
      inDatabase(folder, 'PRAGMA user_version = 99');
    },
  ],
  [
    'a database with its head cut off',
    HEAD,
    /smarthost\.db|damaged/,
    async (folder) => {
      await makeStore(folder);
      const file = join(data(folder), 'smarthost.db');
      truncateSync(file, statSync(file).size / 2);
    },
  ],
  [
    'a directory in place of the database',
    HEAD,
    /smarthost\.db|directory/i,
    (folder) => {
      makeData(folder);
      mkdirSync(join(data(folder), 'smarthost.db'));
    },
  ],
  [
    'a file in place of the spool',
    HEAD,
    /spool|directory/i,
    async (folder) => {
      makeData(folder);
      writeFileSync(join(data(folder), 'spool'), '', { mode: 0o600 });
    },
  ],
];

const results = new Map<string, { code: number | NodeJS.Signals; stdout: string; stderr: string }>();
const folders = mkdtempSync(join(tmpdir(), 'smarthost-bad-start-'));

/** Each case as an operator sees it: the command, its exit code and its output. A few at a time. */
beforeAll(async () => {
  taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  takenPort = (taken.address() as { port: number }).port;
  const waiting = [...REFUSED];
  const worker = async () => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      const [name, yaml, , prepare] = one;
      const folder = mkdtempSync(join(folders, 'x'));
      const text = yaml.includes('listen:') || !yaml.includes(':') ? yaml : `${yaml}\n${LISTEN}`;
      writeFileSync(join(folder, 'smarthost.yaml'), text.replace('TAKEN', String(takenPort)), { encoding: 'latin1' });
      await prepare?.(folder);
      const args = [join(CHECKOUT, 'src/smarthost.ts'), '--config', join(folder, 'smarthost.yaml'), 'serve'];
      results.set(name, await run(NODE, args, { cwd: folder, timeout: 120_000 }));
    }
  };
  await Promise.all([worker(), worker(), worker()]);
}, 600_000);
afterAll(() => {
  taken?.close();
  rmSync(folders, { recursive: true, force: true });
});

test('there are at least 25', () => {
  expect(REFUSED.length).toBeGreaterThanOrEqual(25);
});

test.each(REFUSED.map(([name, , says]) => [name, says] as const))(
  '%s: exit 1, one sentence with the cause, no port was opened',
  (name, says) => {
    const { code, stdout, stderr } = results.get(name)!;
    expect(code, stderr + stdout).toBe(1);
    expect(stderr + stdout).toMatch(says);
    expect(stdout).not.toContain('"started"');
    expect(stderr).not.toMatch(/^\s+at .*\(?file:|node:internal/m); // no stack for an operator
  },
);

/** Part of the store is broken: the relay starts all the same. */
async function startOn(spoil: (store: Store, dataDir: string) => unknown) {
  const dataDir = join(mkdtempSync(join(folders, 's')), 'data');
  const store = await storeFiles(dataDir).open();
  await spoil(store, dataDir);
  await store.close();
  const relay = await startAttacked({ dataDir, yaml: 'auth: { allow: [127.0.0.0/8], failureDelay: 0.01s }' });
  onTestFinished(() => relay.close());
  return relay;
}

test('a broken signing key: mail of its domain is refused for now with the cause in the log, other mail is accepted', async () => {
  const key = {
    domain: 'sender.test',
    selector: 'bad',
    algorithm: 'rsa-sha256',
    privateKey: 'garbage',
    state: 'active',
    createdAt: 0,
  } as const;
  const relay = await startOn((store) => store.operation.addDkimKeys([key]));
  const client = await relay.loggedIn();
  expect(codeOf(await submit(client, { text: TEXT }))).toBe('451 4.3.0');
  const { error } = await relay.logged('refused', (line) => line['error'] !== undefined);
  expect(JSON.stringify(error)).toMatch(/key|PEM|DECODER|sender\.test/i);
  await relay.withStore((store) => store.operation.removeDkimKey(key));
  await expect.poll(async () => codeOf(await submit(client, { text: TEXT }))).toBe('250 2.0.0');
});

test('a broken certificate in the store: another one is served', async () => {
  const broken = {
    keyType: 'ecdsa',
    certificate: 'garbage',
    key: 'garbage',
    source: 'self-signed',
    createdAt: Date.now(),
  } as const;
  const relay = await startOn((store) => store.operation.putCertificate(broken));
  await relay.stillWorks();
});

test('a broken password hash: 454 for that user, other users can log in', async () => {
  const relay = await startOn((store) =>
    store.credentials.add(credentialWith({ name: 'bad@sender.test', hash: '$2y$10$garbage' })),
  );
  const client = await relay.tls();
  await client.ask('EHLO client.test');
  expect(codeOf(await client.ask(plain('bad@sender.test', 'x')))).toBe('454 4.7.0');
  await relay.stillWorks();
});

test('files in the spool without a message, and files of dead processes, are removed', async () => {
  const body = '0123456789abcdef'.repeat(2);
  const relay = await startOn((_, dataDir) => {
    for (const name of [body, 'garbage.tmp', '.hidden']) writeFileSync(join(dataDir, 'spool', name), 'x', { mode: 0o600 });
    writeFileSync(join(dataDir, 'instance.pid'), 'garbage', { mode: 0o600 });
    writeFileSync(join(dataDir, 'instance.lock'), '', { mode: 0o600 });
  });
  await relay.stillWorks();
  expect(readdirSync(join(relay.dataDir, 'spool'))).not.toContain(body);
});

test('an invalid secret of the instance does not prevent the start', async () => {
  const relay = await startOn((store) => store.operation.setValue('instance.secret', 'garbage'));
  await relay.stillWorks();
});

test('a damaged log of the database: everything that was committed before is served', async () => {
  const dataDir = join(mkdtempSync(join(folders, 'w')), 'data');
  const first = await startAttacked({ dataDir });
  await first.stillWorks();
  await first.close();
  writeFileSync(join(dataDir, 'smarthost.db-wal'), Buffer.alloc(100_000, 7), { mode: 0o600 });
  const relay = await startAttacked({ dataDir });
  onTestFinished(() => relay.close());
  await relay.stillWorks();
});

test('only the owner can read the files and directories of a running relay', async () => {
  const relay = await startAttacked();
  onTestFinished(() => relay.close());
  const client = await relay.loggedIn();
  await client.askAll([`MAIL FROM:<${USER}>`, 'RCPT TO:<anna@dest.test>', 'DATA']);
  client.send(`${TEXT}${`${'x'.repeat(998)}\r\n`.repeat(600)}`); // in the spool while it arrives
  await expect.poll(() => readdirSync(join(relay.dataDir, 'spool')).length).toBeGreaterThan(0);
  const look = (path: string): void => {
    const stats = statSync(path);
    if (path.endsWith('test.yaml')) return; // the test's own
    expect([path, (stats.mode & 0o777).toString(8)]).toEqual([path, stats.isDirectory() ? '700' : '600']);
    if (stats.isDirectory()) for (const name of readdirSync(path)) look(join(path, name));
  };
  look(relay.dataDir);
  expect(existsSync(join(relay.dataDir, 'smarthost.db-wal'))).toBe(true);
  client.send('.\r\n');
  expect(codeOf(await client.reply())).toBe('250 2.0.0');
});
