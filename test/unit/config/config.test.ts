/** Loading the configuration: files, environment, defaults, and all problems at once. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type Config,
  defaultLimits,
  type LoadOptions,
  loadConfig,
  type Problem,
  showConfig,
} from '../../../src/config/config.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../../src/system/clock.ts';
import { sized } from '../../support/size.ts';

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'config-'));
});
afterEach(() => rmSync(cwd, { recursive: true }));

async function load(yaml: string | undefined, options: LoadOptions = {}): Promise<Config> {
  const result = await attempt(yaml, options);
  if ('problems' in result) throw new Error(JSON.stringify(result.problems));
  return result.config;
}

async function problems(yaml: string | undefined, options: LoadOptions = {}): Promise<readonly Problem[]> {
  const result = await attempt(yaml, options);
  if ('config' in result) throw new Error('no problem was found');
  return result.problems;
}

function attempt(yaml: string | undefined, options: LoadOptions) {
  if (yaml !== undefined) writeFileSync(join(cwd, 'smarthost.yaml'), yaml);
  return loadConfig({ env: {}, cwd, ...options });
}

const said = (list: readonly Problem[]) => list.map(({ path, message }) => `${path} ${message}`);

describe('a database as the store', () => {
  test('is a mapping of its servers, and shows as it was written', async () => {
    const store = {
      postgres: ['db1.example', 'db2.example:5433'],
      database: 'mail',
      passwordFile: './secret',
      durability: 'two',
    };
    const config = await load(`hostname: relay.example.net\nstore: ${JSON.stringify(store)}`);
    expect(config.store).toEqual({ ...store, passwordFile: join(cwd, 'secret') });
    expect(showConfig(config)['store']).toEqual({ ...store, passwordFile: join(cwd, 'secret') });
  });

  test('is given in the environment in braces, or as its word', async () => {
    const given = (text: string) => ({ env: { SMARTHOST_HOSTNAME: 'relay.example.net', SMARTHOST_STORE: text } });
    const whole = given("{ postgres: ['db1.example', db2.example:5433], durability: one, passwordFile: secret }");
    const store = { postgres: ['db1.example', 'db2.example:5433'], durability: 'one', passwordFile: join(cwd, 'secret') };
    expect((await load(undefined, whole)).store).toEqual(store);
    expect((await load(undefined, given('sqlite'))).store).toBe('sqlite');
    const [broken] = await problems(undefined, given('{ postgres: [db1 '));
    expect(broken).toMatchObject({
      source: 'SMARTHOST_STORE',
      message: expect.stringMatching(/^is not a mapping: .* at line 1/s),
    });
    expect(said(await problems(undefined, given('{ postgres: [db1], databse: mail }')))).toEqual([
      'store.databse is not a setting; did you mean database?',
    ]);
  });

  test('has all its mistakes told at once', async () => {
    const store = `{ postgres: ['db1:x', 'db2'], databse: mail, tls: maybe, durability: three }`;
    expect(said(await problems(`hostname: relay.example.net\nstore: ${store}`))).toEqual([
      expect.stringMatching(/^store.postgres\[0\] must be a host with a port/),
      'store.databse is not a setting; did you mean database?',
      'store.tls must be one of none, encrypt, verify, not "maybe"',
      'store.durability must be one of two, one, not "three"',
    ]);
    expect(said(await problems('hostname: relay.example.net\nstore: { database: mail }'))).toEqual([
      'store.postgres is required',
    ]);
    expect(
      said(await problems('hostname: relay.example.net\nstore: { postgres: [], ca: ./ca.pem, tls: encrypt }')).slice(0, 2),
    ).toEqual(['store.postgres must name at least one server', 'store.ca is used with `tls: verify` only, not with encrypt']);
    expect(said(await problems('hostname: relay.example.net\nstore: { postgres: [db, db] }'))[0]).toBe(
      'store.postgres[1] names db a second time',
    );
    expect(said(await problems('hostname: relay.example.net\nstore: postgres'))).toEqual([
      'store must be one of sqlite, not "postgres"',
    ]);
  });

  test('is warned of where mail can be read or lost', async () => {
    const warnings = async (store: string) => {
      const result = await attempt(`hostname: relay.example.net\nstore: ${store}`, {});
      return 'config' in result ? result.warnings.map(({ path }) => path).filter((path) => path.startsWith('store')) : result;
    };
    expect(await warnings('{ postgres: [db.example], tls: none, durability: one }')).toEqual([
      'store.tls',
      'store.passwordFile',
      'store.durability',
    ]);
    expect(await warnings(`{ postgres: ['127.0.0.1:5433', '[::1]:5432', localhost], tls: none }`)).toEqual([]);
  });
});

describe('defaults', () => {
  test('have the documented values', async () => {
    const config = await load('hostname: relay.example.net');
    expect(showConfig(config)).toEqual({
      hostname: 'relay.example.net',
      console: { secondFactor: 'offered', idle: '12h', lifetime: '7d', origin: null, proxyTrust: [], content: false },
      dataDir: '/var/lib/smarthost',
      store: 'sqlite',
      threads: 1,
      operator: null,
      listen: {
        submissions: ['[::]:465'],
        submission: ['[::]:587'],
        http: ['[::]:80'],
        alpn: ['[::]:443'],
        admin: ['127.0.0.1:8025'],
        console: ['127.0.0.1:8026'],
      },
      tls: {
        mode: 'acme',
        names: [],
        files: [],
        acme: {
          directory: 'https://acme-v02.api.letsencrypt.org/directory',
          staging: false,
          email: null,
          acceptTerms: false,
          challenge: 'http-01',
          ca: null,
        },
      },
      submission: {
        maxMessageSize: '50MiB',
        maxRecipients: 1000,
        maxHeaderSize: '256KiB',
        bareNewlines: 'normalize',
        checkFrom: true,
        requireTls: 'offer',
        tlsRequiredNo: 'honor',
        proxyTrust: [],
        maxSessions: 1000,
        maxSessionsPerAddress: 100,
        idleTimeout: '5m',
        commandTimeout: '5m',
        handshakesPerAddress: 20,
        authTimeout: '5m',
        minDataRate: '500B',
      },
      auth: { allow: [], failuresPerMinute: 10, failuresPerDay: 50, failureDelay: '1s', cache: '5m' },
      limits: { messages: ['1000/day'], recipients: [], newRecipients: ['200/day'], over: 'refuse', maxHeld: 1000 },
      behaviour: {
        ...{ mode: 'hold', noticeAt: 3, slowAt: 4, holdAt: 5, link: null },
        person: {
          ...{
            attempts: 40,
            unknownShare: 15,
            unknownShareDouble: 30,
            unknownCount: 25,
            unknownCountShare: 0,
            newRecipients: 100,
          },
          ...{ spamRefusals: 3, spamShare: 0, messages: 200, unusualHour: 50, newNetworks: 3, countries: 3, parallelSources: 10 },
          ...{ newAuthors: 5, complaints: 2, blocks: 2, blockedShare: 50 },
        },
        server: {
          ...{
            attempts: 40,
            unknownShare: 15,
            unknownShareDouble: 30,
            unknownCount: 100,
            unknownCountShare: 10,
            newRecipients: 500,
          },
          ...{ spamRefusals: 3, spamShare: 2, messages: 1000, unusualHour: 0, newNetworks: 3, countries: 0, parallelSources: 3 },
          ...{ newAuthors: 20, complaints: 5, blocks: 2, blockedShare: 50 },
        },
      },
      signing: { noKey: 'send' },
      alignment: { mode: 'warn', rules: [], resolvers: [] },
      reports: {
        from: 'postmaster@relay.example.net',
        perHour: 100,
        tls: 'failures',
        tlsFrom: 'postmaster@relay.example.net',
        httpsVerify: true,
      },
      delivery: {
        port: 25,
        ip: 'auto',
        source: [],
        allowPrivate: [],
        tls: 'opportunistic',
        dane: 'on',
        mtaSts: 'on',
        eightBit: 'send',
        ca: null,
        providers: null,
        replies: null,
        warmUp: 'on',
        priority: [],
        fallback: [],
        concurrency: 20,
        maxSessions: 500,
        timeouts: { connect: '30s', greeting: '5m', command: '5m', data: '2m', block: '3m', dot: '10m' },
      },
      routes: [],
      destinations: [],
      queue: {
        retry: ['5m', '15m', '30m', '1h', '2h', '4h'],
        lifetime: '5d',
        reportLifetime: '1d',
        delayWarning: '4h',
        minFree: '1GiB',
      },
      trace: { keep: '30d', maxSize: '2GiB', subject: true },
      dns: { servers: [], trustAd: false },
      doctor: {
        destinations: ['gmail.com', 'outlook.com', 'yahoo.com'],
        blockLists: ['zen.spamhaus.org', 'bl.spamcop.net', 'b.barracudacentral.org', 'psbl.surriel.com', 'bl.mailspike.net'],
      },
      log: { level: 'info', format: 'json' },
    });
  });

  test('are resolved to milliseconds, bytes and addresses', async () => {
    const config = await load('hostname: relay.example.net');
    expect(config.queue.retry).toEqual([5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR]);
    expect(config.queue.lifetime).toBe(5 * DAY);
    expect(config.submission.maxMessageSize).toBe(52_428_800);
    expect(config.delivery.timeouts.connect).toBe(30 * SECOND);
    expect(config.listen.submissions).toEqual([{ address: '::', port: 465 }]);
    expect(defaultLimits(config)).toEqual([
      { kind: 'messages', count: 1000, per: 'day' },
      { kind: 'newRecipients', count: 200, per: 'day' },
    ]);
  });

  test('apply if a section or a value is empty', async () => {
    const config = await load('hostname: relay.example.net\ndelivery:\noperator:\nlog:\n  level:\n');
    expect(config.delivery.port).toBe(25);
    expect(config.operator).toBeUndefined();
    expect(config.log.level).toBe('info');
  });
});

describe('problems', () => {
  test('are all reported at once, each with its key', async () => {
    const list = await problems(`
hostname: localhost
submission: { maxMessageSize: 50MB, maxRecipients: many }
queue: { lifetime: 5 days, retry: [5m, soon] }
listen: { submissions: ['465'] }
limits: { messages: [1000/week] }
tls: { mode: acmee }
routes: [{ recipientDomain: example.org }, { hosts: ['a b'] }]
`);
    expect(list.map(({ path }) => path).sort()).toEqual([
      'hostname',
      'limits.messages[0]',
      'listen.submissions[0]',
      'queue.lifetime',
      'queue.retry[1]',
      'routes[0].hosts',
      'routes[1].hosts[0]',
      'submission.maxMessageSize',
      'submission.maxRecipients',
      'tls.mode',
    ]);
    expect(list.every(({ level, source }) => level === 'error' && source.endsWith('/smarthost.yaml'))).toBe(true);
  });

  test.each([
    ['{ tls: verify }', 'destinations[0] must name a domain or an mx'],
    ['{ domain: a.test, ignore: [dane] }', 'destinations[0].until is required with ignore'],
    ['{ domain: a.test, ignore: [dane], until: soon }', 'destinations[0].until must be a day such as 2026-12-31'],
    ['{ domain: a.test, ignore: [dane], until: 2026-02-30 }', 'destinations[0].until must be a day such as 2026-12-31'],
    ['{ domain: a.test, ignore: [dnssec], until: 2026-12-31 }', 'destinations[0].ignore[0] must be one of dane, mtaSts'],
    ['{ domain: a.test, names: [b.test] }', 'destinations[0].names is used with `tls: verify` only'],
    ['{ domain: a.test, tls: dane, ignore: [dane], until: 2026-12-31 }', 'destinations[0].ignore contradicts `tls: dane`'],
    ['{ domain: a.test, tls: strict }', 'destinations[0].tls must be one of none, opportunistic, encrypt, verify, dane'],
    ['{ domain: "a b", tls: verify }', 'destinations[0].domain must be a domain such as example.org'],
    ['{ recipientDomain: a.test, tls: verify }', 'destinations[0].recipientDomain is not a setting'],
    ['{ mx: mx.test, audit: maybe }', 'destinations[0].audit must be true or false'],
  ])('an entry of destinations that cannot be meant is an error by name: %s', async (entry, message) => {
    const list = await problems(`hostname: relay.example.net\ntls: { mode: self-signed }\ndestinations: [${entry}]`);
    expect(list.map(({ path, message }) => `${path} ${message}`).join('\n')).toContain(message);
  });

  test.each([
    ["{ hosts: ['up.test:587'] }", 'delivery.fallback[0].dailyCap is required'],
    ['{ dailyCap: 100 }', 'delivery.fallback[0].hosts is required'],
    ['{ hosts: [], dailyCap: 100 }', 'delivery.fallback[0].hosts must name at least one host'],
    [
      "{ hosts: ['relay.example.net:25'], dailyCap: 100 }",
      'delivery.fallback[0].hosts names relay.example.net, which is this relay itself',
    ],
    ["{ hosts: ['up.test'], dailyCap: 0 }", 'delivery.fallback[0].dailyCap must be a whole number from 1'],
    ["{ hosts: ['up.test'], dailyCap: 1, after: 6d }", 'delivery.fallback[0].after is not shorter than queue.lifetime'],
    ["{ hosts: ['up.test'], dailyCap: 1, domains: [] }", 'delivery.fallback[0].domains must name at least one domain'],
    ["{ hosts: ['up.test'], dailyCap: 1, addresses: ['up.test'] }", 'delivery.fallback[0].addresses[0] must be'],
    ["{ hosts: ['up.test'], dailyCap: 1, login: { user: me } }", 'delivery.fallback[0].login.password is required'],
  ])('a fallback upstream that cannot be meant is an error by name: %s', async (entry, message) => {
    const list = await problems(`hostname: relay.example.net\ntls: { mode: self-signed }\ndelivery: { fallback: [${entry}] }`);
    expect(list.map(({ path, message }) => `${path} ${message}`).join('\n')).toContain(message);
  });

  test('all mistakes of all fallback upstreams are told at once', async () => {
    const entries = "[{ hosts: [], dailyCap: 1 }, { hosts: ['a.test'], dailyCap: 1, after: 9d, domains: [] }]";
    const list = await problems(`hostname: relay.example.net\ntls: { mode: self-signed }\ndelivery: { fallback: ${entries} }`);
    expect(
      list
        .filter(({ level }) => level === 'error')
        .map(({ path }) => path)
        .sort(),
    ).toEqual(['delivery.fallback[0].hosts', 'delivery.fallback[1].after', 'delivery.fallback[1].domains']);
  });

  test.each([
    ['submision: {}', 'submision is not a setting; did you mean submission?'],
    ['submission: { maxMesageSize: 1MiB }', 'submission.maxMesageSize is not a setting; did you mean submission.maxMessageSize?'],
    ['maxMessageSize: 1MiB', 'maxMessageSize is not a setting; did you mean submission.maxMessageSize?'],
    ['DataDir: /x', 'DataDir is not a setting; did you mean dataDir?'],
    ['zzzzzzzz: 1', 'zzzzzzzz is not a setting'],
    ['tls: { mode: file }', 'tls.mode must be one of acme, files, self-signed, not "file"; did you mean files?'],
    ["routes: [{ host: ['x:25'] }]", 'routes[0].host is not a setting; did you mean hosts?'],
    ['submission: 50MiB', 'submission must be a mapping with maxMessageSize, maxRecipients'],
    ['hostname: 123', 'hostname must be text: put it in quotes'],
    ['constructor: 1', 'constructor is not a setting'],
    ['__proto__: { x: 1 }', '__proto__ is not a setting'],
  ])('of %j come with a suggestion', async (yaml, sentence) => {
    const list = said(await problems(`${yaml.startsWith('hostname') ? '' : 'hostname: relay.example.net\n'}${yaml}`));
    expect(
      list.some((one) => one.startsWith(sentence)),
      list.join('\n'),
    ).toBe(true);
  });

  test.each([
    ['listen: { submissions: ["[::]:25"] }', 'listen.submissions'],
    ['listen: { submissions: ["[::]:465"], submission: ["[::]:465"] }', 'listen.submission'],
    ['tls: { mode: files }', 'tls.files'],
    ['queue: { retry: [] }', 'queue.retry'],
    ['queue: { retry: [1h, 5m] }', 'queue.retry'],
    ['delivery: { timeouts: { dot: 0 } }', 'delivery.timeouts.dot'],
  ])('between settings are found: %s', async (yaml, path) => {
    expect(
      (await problems(`hostname: relay.example.net\n${yaml}`)).filter(({ level }) => level === 'error').map((one) => one.path),
    ).toEqual([path]);
  });

  test('of YAML name the place', async () => {
    const [problem] = await problems('hostname: [relay\nx: 1');
    expect(problem?.message).toMatch(/^is not YAML: .* at line 2, column 1$/);
    const many = said(await problems(`{${'}'.repeat(5000)}`));
    expect(many).toHaveLength(11);
    expect(many.at(-1)).toMatch(/and \d{4} more$/);
    expect(said(await problems('- a\n- b'))[0]).toMatch(/must be a mapping/);
    expect(said(await problems('# a log, taken for the configuration\n'.repeat(40_000)))[0]).toMatch(/longer than 1 MiB/);
    expect(said(await problems('hostname: a.example.net\nhostname: b.example.net'))[0]).toMatch(/twice, at line 2, column 1$/);
    expect(said(await problems('delivery:\n  timeouts: { dot: 1m, "dot": 2m }'))[0]).toMatch(
      /dot is given twice, at line 2, column 24$/,
    );
  });

  test.each([
    ['a mapping in a line', (levels: number) => `${'- a: '.repeat(levels)}\n`],
    ['flow mappings', (levels: number) => `${'{a: '.repeat(levels)}${'}'.repeat(levels)}`],
    ['lists', (levels: number) => '['.repeat(levels) + ']'.repeat(levels)],
    ['keys', (levels: number) => '? '.repeat(levels)],
    ['keys in a line', (levels: number) => `${'{? '.repeat(levels)}${'}'.repeat(levels)}`],
  ])('are told where it is nested too deeply: %s', async (_, nested) => {
    for (const levels of [100, 1000, 3000]) {
      const found = await problems(nested(levels));
      expect(found.length).toBeGreaterThan(0);
      expect(said(found)[0]).toMatch(/is not YAML|is not a setting|must be a mapping/);
      expect(said(found).join()).not.toContain('stack');
    }
  });

  test('are found in linear time, because a running relay reads the file again', async () => {
    const time = async (keys: number) => {
      const text = Array.from({ length: keys }, (_, i) => `key${i}: 1\n`).join('');
      const times: number[] = [];
      for (let i = 0; i < 3; i++) {
        const before = process.cpuUsage();
        expect(said(await problems(`${text}key0: 2\n`))).toHaveLength(1);
        times.push(process.cpuUsage(before).user);
      }
      return Math.min(...times);
    };
    const keys = sized(4000, 1000);
    await time(4000); // the reader is compiled
    // 4 and a little; 16 where each key is compared with all before it
    expect((await time(4 * keys)) / (await time(keys))).toBeLessThan(10);
  });

  test.each([
    'a: *missing',
    `a: &a [x, x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
d: [*c, *c, *c]`,
  ])('of aliases are told, not thrown: %j', async (yaml) => {
    expect(said(await problems(yaml))[0]).toMatch(/is not YAML: .*alias/);
  });

  test.each(['relay', 'localhost', 'mail.localdomain', '192.0.2.1', 'relay_x.example.net', '-a.example.net', 'a..example.net'])(
    'a host name must be a full one: %s',
    async (name) => {
      expect((await problems(`hostname: '${name}'`)).map(({ path }) => path)).toEqual(['hostname']);
    },
  );

  test.each([
    ['{ mx: mx.x.test, hosts: [up.test], sign: false }', ['routes[0].sign']],
    ['{ mx: mx.x.test, hosts: [a.test] }, { hosts: [b.test], sign: false }', ['routes[1].sign']],
    [
      '{ mx: mx.x.test, recipientDomain: a.test, hosts: [a.test] }, { recipientDomain: .a.test, hosts: [b.test], sign: false }',
      ['routes[1].sign'],
    ],
    [
      '{ mx: mx.x.test, recipientDomain: a.test, hosts: [a.test] }, { recipientDomain: b.test, hosts: [b.test], sign: false }',
      [],
    ],
    ['{ mx: mx.x.test, user: anna, hosts: [a.test] }, { user: shop, hosts: [b.test], sign: false }', []],
    ['{ mx: mx.x.test, hosts: [a.test], sign: true }', []],
    ['{ hosts: [a.test], sign: false }', []],
  ])('a route that cannot keep its mail unsigned is named: %s', async (routes, paths) => {
    const result = await attempt(`hostname: relay.example.net\ntls: { mode: self-signed }\nroutes: [${routes}]`, {});
    expect('warnings' in result && result.warnings.map(({ path }) => path)).toEqual(paths);
  });

  test.each([
    ['{ user: a, hosts: [up.test], maxConnections: 3 }, { hosts: [up.test], maxConnections: 5 }', ['routes[1].maxConnections']],
    ['{ user: a, hosts: [up.test], maxConnections: 3 }, { hosts: [up.test] }', []],
    [
      '{ user: a, hosts: [up.test], maxConnections: 3 }, { hosts: [up.test], login: { user: b, password: c }, maxConnections: 5 }',
      [],
    ],
    ['{ hosts: [up.test], maxConnections: 0 }', ['routes[0].maxConnections']],
    ['{ hosts: [up.test], maxConnections: many }', ['routes[0].maxConnections']],
  ])('an account at an upstream has one limit of connections: %s', async (routes, paths) => {
    const result = await attempt(`hostname: relay.example.net\ntls: { mode: self-signed }\nroutes: [${routes}]`, {});
    expect('problems' in result ? result.problems.map(({ path }) => path) : []).toEqual(paths);
  });

  test('an ACME directory that is not asked over TLS is refused', async () => {
    const [problem] = await problems("hostname: relay.example.net\ntls: { acme: { directory: 'http://ca.test/directory' } }");
    expect(problem).toMatchObject({ path: 'tls.acme.directory', message: expect.stringContaining('must be an https URL') });
  });

  test.each([
    ['none', 1],
    ['opportunistic', 1],
    ['encrypt', 1],
    ['verify', 0],
    [undefined, 0],
  ])('a login at an upstream with tls %s: %i warnings', async (tls, count) => {
    const level = tls === undefined ? '' : `tls: ${tls}, `;
    const routes = `routes: [{ hosts: [up.test], ${level}login: { user: u, password: p } }]`;
    const result = await attempt(`hostname: relay.example.net\ntls: { mode: self-signed }\n${routes}`, {});
    const warnings = 'warnings' in result ? result.warnings.filter(({ path }) => path === 'routes[0].tls') : undefined;
    expect(warnings?.map(({ message }) => message.endsWith('use verify'))).toEqual(Array(count).fill(true));
  });

  test('warnings do not prevent the start and are returned', async () => {
    const result = await attempt('hostname: relay.example.net\nsubmission: { maxRecipients: 10 }', {});
    expect('config' in result && result.warnings.map(({ path }) => path)).toEqual([
      'tls.acme.acceptTerms',
      'submission.maxRecipients',
    ]);
  });
});

describe('the environment', () => {
  const minimal = { SMARTHOST_HOSTNAME: 'relay.example.net' };

  test('is enough without a file, and wins over a file', async () => {
    const env = {
      ...minimal,
      SMARTHOST_SUBMISSION_MAX_MESSAGE_SIZE: '1MiB',
      SMARTHOST_DATA_DIR: 'data',
      SMARTHOST_SUBMISSION_CHECK_FROM: 'false',
    };
    const alone = await load(undefined, { env });
    expect(alone.submission).toMatchObject({ maxMessageSize: 2 ** 20, checkFrom: false });
    expect(alone.dataDir).toBe(join(cwd, 'data'));
    const both = await load('hostname: other.example.net\nsubmission: { maxMessageSize: 2MiB, maxRecipients: 200 }', { env });
    expect(both).toMatchObject({ hostname: 'relay.example.net', submission: { maxMessageSize: 2 ** 20, maxRecipients: 200 } });
  });

  test('can have lists separated by commas; an empty list opens no port', async () => {
    const config = await load(undefined, {
      env: {
        ...minimal,
        SMARTHOST_LISTEN_SUBMISSIONS: '127.0.0.1:1465, [::1]:1465',
        SMARTHOST_LISTEN_HTTP: '',
        SMARTHOST_LISTEN_ALPN: '[]',
        SMARTHOST_QUEUE_RETRY: '1s,2s',
      },
    });
    expect(config.listen.submissions).toEqual([
      { address: '127.0.0.1', port: 1465 },
      { address: '::1', port: 1465 },
    ]);
    expect(config.listen.http).toEqual([]);
    expect(config.listen.alpn).toEqual([]);
    expect(config.queue.retry).toEqual([SECOND, 2 * SECOND]);
  });

  test('takes a value from a file with _FILE', async () => {
    writeFileSync(join(cwd, 'name'), 'relay.example.net\n');
    expect((await load(undefined, { env: { SMARTHOST_HOSTNAME_FILE: 'name' } })).hostname).toBe('relay.example.net');
    const list = await problems(undefined, {
      env: { SMARTHOST_HOSTNAME_FILE: 'missing', SMARTHOST_DATA_DIR: '/x', SMARTHOST_DATA_DIR_FILE: 'name' },
    });
    expect(list.map(({ source, message }) => `${source} ${message}`)).toEqual([
      expect.stringMatching(/^SMARTHOST_HOSTNAME_FILE names .*missing, which cannot be read/),
      'SMARTHOST_DATA_DIR_FILE is given twice: as SMARTHOST_DATA_DIR too',
    ]);
  });

  test('is checked as strictly as the file', async () => {
    const env = {
      ...minimal,
      SMARTHOST_SUBMISSION_MAX_MESAGE_SIZE: '1MiB',
      SMARTHOST_HOSTNAM_FILE: 'x',
      SMARTHOST_QUEUE_LIFETIME: 'long',
      SMARTHOST_ROUTES: 'x',
      OTHER: 'x',
    };
    const list = await problems(undefined, { env });
    expect(list.map(({ source, message }) => `${source} ${message}`)).toEqual([
      'SMARTHOST_SUBMISSION_MAX_MESAGE_SIZE is not a setting; did you mean SMARTHOST_SUBMISSION_MAX_MESSAGE_SIZE?',
      'SMARTHOST_HOSTNAM_FILE is not a setting; did you mean SMARTHOST_HOSTNAME_FILE?',
      'SMARTHOST_ROUTES cannot be set in the environment: write it in the configuration file',
      'SMARTHOST_QUEUE_LIFETIME must be a duration such as 5m (units s, m, h, d), not "long"',
    ]);
    expect(list.at(-1)?.path).toBe('queue.lifetime');
  });

  test('an empty scalar counts as absent', async () => {
    expect((await load(undefined, { env: { ...minimal, SMARTHOST_OPERATOR: '' } })).operator).toBeUndefined();
  });
});

describe('the file', () => {
  test('is the named one, else that of the environment, else that of the current folder', async () => {
    writeFileSync(join(cwd, 'a.yaml'), 'hostname: a.example.net');
    writeFileSync(join(cwd, 'b.yaml'), 'hostname: b.example.net');
    const here = 'hostname: here.example.net';
    expect((await load(here)).hostname).toBe('here.example.net');
    expect((await load(here, { env: { SMARTHOST_CONFIG: 'b.yaml' } })).hostname).toBe('b.example.net');
    expect((await load(here, { file: 'a.yaml', env: { SMARTHOST_CONFIG: 'b.yaml' } })).hostname).toBe('a.example.net');
  });

  test('that is named and missing is an error, even with a host name in the environment', async () => {
    const env = { SMARTHOST_HOSTNAME: 'relay.example.net' };
    for (const options of [{ file: 'no.yaml', env }, { env: { ...env, SMARTHOST_CONFIG: 'no.yaml' } }]) {
      expect(await problems('hostname: relay.example.net', options)).toEqual([
        { path: '', message: 'does not exist', level: 'error', source: join(cwd, 'no.yaml') },
      ]);
    }
  });

  test('is required only if the environment has no host name', async () => {
    expect(said(await problems(undefined))[0]).toMatch(/^hostname is not known: .*smarthost init/);
  });

  test('is the base of relative paths', async () => {
    writeFileSync(
      join(cwd, 'a.yaml'),
      'hostname: a.example.net\ndataDir: data\ntls: { mode: files, files: [{ certificate: c.pem, key: /k.pem }] }',
    );
    const config = await load(undefined, { file: join(cwd, 'a.yaml'), cwd: '/' });
    expect(config.dataDir).toBe(join(cwd, 'data'));
    expect(config.tls.files).toEqual([{ certificate: join(cwd, 'c.pem'), key: '/k.pem' }]);
  });
});

describe('the shown configuration', () => {
  const yaml = `
hostname: RELAY.Bücher.example
routes:
  - { recipientDomain: example.org, hosts: ['smtp.example.com:587'], login: { user: relay, password: 'hunter2' }, sign: true }
`;
  test('has secrets as ***', async () => {
    const config = await load(yaml);
    expect(config.routes[0]?.login?.password).toBe('hunter2');
    for (const form of ['text', 'json'] as const) {
      const shown = showConfig(config, form);
      expect(shown['routes']).toEqual([
        {
          recipientDomain: 'example.org',
          hosts: ['smtp.example.com:587'],
          login: { user: 'relay', password: '***' },
          sign: true,
        },
      ]);
      expect(JSON.stringify(shown)).not.toContain('hunter2');
    }
  });

  test('has names as A-labels, and for scripts durations in seconds and sizes in bytes', async () => {
    const shown = showConfig(await load(yaml), 'json');
    expect(shown).toMatchObject({
      hostname: 'relay.xn--bcher-kva.example',
      queue: { lifetime: 432_000, retry: [300, 900, 1800, 3600, 7200, 14_400], minFree: 2 ** 30 },
    });
  });

  test('can be written as a file again and means the same', async () => {
    const { formatConfig } = await import('../../../src/config/config.ts');
    const config = await load(
      'hostname: relay.example.net\nqueue: { lifetime: 36h }\nsubmission: { minDataRate: 1000B }\noperator: a@example.net',
    );
    expect(await load(await formatConfig(config))).toEqual(config);
  });
});
