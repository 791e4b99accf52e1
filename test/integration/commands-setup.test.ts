/** `smarthost init`, `config`, `cert`, `client` and `exchange` on a real store. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createSelfSigned } from '../../src/certificates/certificates.ts';
import { type CommandBench, createCommandBench } from '../support/command.ts';

let bench: CommandBench;
afterEach(() => bench.close());

describe('init', () => {
  const ANSWERS = [
    'init',
    '--hostname',
    'Relay.Example.net',
    '--domain',
    'example.org',
    '--domain',
    'bücher.example',
    '--email',
    'admin@example.net',
    '--dir',
    '.',
    '--yes',
  ];

  test('writes a configuration that works, makes keys, and prints the records to set', async () => {
    bench = await createCommandBench('-');
    const { code, out, err } = await bench.run([...ANSWERS, '--accept-terms']);
    expect(code).toBe(0);
    const file = join(bench.folder, 'smarthost.yaml');
    expect(err).toContain(file);
    expect(err).toContain('smarthost serve');
    expect((await bench.run(['config', 'check'])).code).toBe(0);
    const shown = await bench.json('config', 'show');
    expect(shown).toMatchObject({
      hostname: 'relay.example.net',
      dataDir: join(bench.folder, 'data'),
      operator: 'admin@example.net',
      tls: { mode: 'acme', acme: { acceptTerms: true, email: 'admin@example.net' } },
    });
    const records = out.split('\n').filter((line) => line !== '' && !line.startsWith(';'));
    for (const record of records) expect(record).toMatch(/^\S+\. \d+ IN (A|AAAA|PTR|TXT) \S/);
    for (const domain of ['relay.example.net', 'example.org', 'xn--bcher-kva.example']) {
      expect(records.filter((line) => line.includes(`._domainkey.${domain}. `))).toHaveLength(2);
      expect(records.some((line) => line.startsWith(`_dmarc.${domain}. `))).toBe(true);
    }
    expect(records.some((line) => line.startsWith('example.org. ') && line.endsWith('"v=spf1 a:relay.example.net ~all"'))).toBe(
      true,
    );
    expect(records.some((line) => line.startsWith('relay.example.net. ') && line.endsWith('"v=spf1 a -all"'))).toBe(true);
    expect(await bench.json('domain', 'list')).toHaveLength(3);
  });

  test('overwrites only with --force, and then keeps the keys', async () => {
    bench = await createCommandBench('-');
    await bench.run(ANSWERS);
    const file = join(bench.folder, 'smarthost.yaml');
    await writeFile(file, `${await readFile(file, 'utf8')}# mine\n`);
    const keys = await bench.json('domain', 'records', 'example.org');
    expect(await bench.run(ANSWERS)).toMatchObject({ code: 1, out: '', err: expect.stringMatching(/exists already\. --force/) });
    expect(await readFile(file, 'utf8')).toContain('# mine');
    const { files: _, ...again } = await bench.json(...ANSWERS, '--force');
    expect(again.records.filter(({ name }: { name: string }) => name.endsWith('_domainkey.example.org'))).toEqual(
      expect.arrayContaining(keys),
    );
  });

  test.each([
    [['--yes'], /--hostname is needed/],
    [['--yes', '--hostname', 'localhost'], /--hostname must be the full host name/],
    [['--yes', '--hostname', 'relay.example.net', '--domain', 'org'], /--domain must be/],
    [['--yes', '--hostname', 'relay.example.net', '--email', 'admin'], /--email must be/],
  ])('%j is a usage error and writes nothing', async (args, sentence) => {
    bench = await createCommandBench('-');
    const { code, err } = await bench.run(['init', '--dir', 'etc', ...args]);
    expect(code).toBe(2);
    expect(err).toMatch(sentence);
    await expect(stat(join(bench.folder, 'etc'))).rejects.toThrow('ENOENT');
  });
});

describe('config', () => {
  test('check prints every problem, in text and as JSON, and fails', async () => {
    bench = await createCommandBench('submision: {}\nqueue: { lifetime: long }');
    const text = await bench.run(['config', 'check']);
    expect(text.code).toBe(1);
    expect(text.out.trimEnd().split('\n')).toHaveLength(2);
    expect(text.out).toContain('smarthost.yaml: submision is not a setting; did you mean submission?');
    const { code, out } = await bench.run(['config', 'check', '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(out).map(({ path, level }: { path: string; level: string }) => [path, level])).toEqual([
      ['submision', 'error'],
      ['queue.lifetime', 'error'],
    ]);
  });

  test('check looks at the machine too; warnings do not fail', async () => {
    bench = await createCommandBench('tls: { mode: files, files: [{ certificate: c.pem, key: k.pem }] }');
    expect((await bench.run(['config', 'check'])).out).toMatch(/c\.pem does not exist\n.*k\.pem does not exist/);
    const { certificate, key } = await createSelfSigned('ecdsa', ['other.example.net'], Date.now());
    await writeFile(join(bench.folder, 'c.pem'), certificate);
    await writeFile(join(bench.folder, 'k.pem'), key);
    const { code, out, err } = await bench.run(['config', 'check']);
    expect([code, err]).toEqual([0, 'The configuration works, with 1 warning.\n']);
    expect(out).toMatch(/warning: tls\.files\[0\]\.certificate .* is not for relay\.example\.net/);
  });

  test('warns that reports cannot be signed until their domain has a key', async () => {
    bench = await createCommandBench('signing: { noKey: refuse }\nreports: { from: postmaster@example.com }\n');
    const before = await bench.run(['config', 'check']);
    expect(before).toMatchObject({
      code: 0,
      out: expect.stringMatching(/warning: reports\.from is in example\.com.*domain add example\.com$/m),
    });
    await bench.run(['domain', 'add', 'example.com']);
    expect((await bench.run(['config', 'check'])).out).not.toMatch(/reports\.from/);
  });

  test('show prints secrets as ***; with a bad configuration every command fails with all problems', async () => {
    bench = await createCommandBench("routes: [{ hosts: ['smtp.example.com:587'], login: { user: a, password: hunter2 } }]");
    const { out } = await bench.run(['config', 'show']);
    expect(out).toContain("password: '***'".replaceAll("'", '"'));
    expect(out).not.toContain('hunter2');
    const broken = await bench.run(['user', 'list'], { env: { SMARTHOST_LOG_LEVEL: 'loud', SMARTHOST_DATADIR: '/x' } });
    expect(broken).toMatchObject({ code: 1, out: '' });
    expect(broken.err).toMatch(
      /SMARTHOST_DATADIR: is not a setting; did you mean SMARTHOST_DATA_DIR\?\n.*SMARTHOST_LOG_LEVEL: log\.level must be one of/,
    );
  });

  test('--config may stand before or after the command', async () => {
    bench = await createCommandBench('-');
    await writeFile(join(bench.folder, 'other.yaml'), 'hostname: other.example.net');
    for (const args of [
      ['--config', 'other.yaml', 'config', 'show'],
      ['config', 'show', '--config', 'other.yaml'],
    ]) {
      expect((await bench.run(args)).out).toContain('hostname: other.example.net');
    }
    expect(await bench.run(['config', 'show', '--config', 'missing.yaml'])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/missing\.yaml: does not exist/),
    });
  });
});

describe('cert', () => {
  test('show has the shape of the interface', async () => {
    bench = await createCommandBench('tls: { mode: self-signed }');
    expect(await bench.json('cert', 'show')).toEqual([]);
    await bench.withStore(async ({ operation }) => {
      for (const keyType of ['ecdsa', 'rsa'] as const)
        await operation.putCertificate(await createSelfSigned(keyType, ['relay.example.net'], Date.now()));
    });
    const shown = await bench.json('cert', 'show');
    expect(shown.map(({ keyType }: { keyType: string }) => keyType).sort()).toEqual(['ecdsa', 'rsa']);
    expect(Object.keys(shown[0])).toEqual([
      'keyType',
      'names',
      'issuer',
      'notBefore',
      'notAfter',
      'renewAt',
      'renewReason',
      'lastError',
      'sha256',
    ]);
    expect(shown[0]).toMatchObject({ names: ['relay.example.net'], notAfter: expect.stringMatching(/Z$/) });
    expect((await bench.run(['cert', 'show'])).out).toMatch(/^KEY +NAMES/);
    expect(await bench.json('cert', 'renew')).toEqual({ requested: true });
  });

  test('renew says why it cannot', async () => {
    bench = await createCommandBench();
    expect(await bench.run(['cert', 'renew'])).toMatchObject({ code: 1, err: expect.stringMatching(/acceptTerms is not true/) });
  });
});

describe('client settings', () => {
  test('name host, ports, user and senders', async () => {
    bench = await createCommandBench("listen: { submission: ['[::]:2525'] }");
    await bench.run(['user', 'add', 'anna@example.org']);
    expect(await bench.json('client', 'anna@example.org')).toMatchObject({
      host: 'relay.example.net',
      ports: [
        { port: 465, encryption: 'TLS' },
        { port: 2525, encryption: 'STARTTLS' },
      ],
      user: 'anna@example.org',
      senders: ['anna@example.org'],
    });
    expect((await bench.run(['client', 'bob'])).code).toBe(1);
  });

  test('for a mail server are lines for Postfix, with the same form of the name in both files', async () => {
    bench = await createCommandBench();
    await bench.run(['user', 'add', 'mail', '--mail-server', '--sender', '@example.org']);
    const { out, err } = await bench.run(['client', 'mail']);
    expect(out).toMatch(/^relayhost = \[relay\.example\.net\]:587$/m);
    expect(out).toMatch(/^\[relay\.example\.net\]:587 mail:PASSWORD$/m);
    expect(out).toMatch(/^smtp_sasl_tls_security_options = noanonymous$/m);
    expect(err).toMatch(/mailcow, docker-mailserver/);
    expect((await bench.json('client', 'mail')).postfix).toContain('relayhost =');
  });

  test('are lines to copy, for the credential and the open ports', async () => {
    bench = await createCommandBench();
    await bench.run(['user', 'add', 'anna@example.org']);
    const { out } = await bench.run(['client', 'anna@example.org']);
    for (const line of [
      'relayhost = [relay.example.net]:587',
      'user anna@example.org',
      'allow_from_override off',
      'smtps://anna%40example.org:PASSWORD@relay.example.net:465',
      'MAIL_SCHEME=smtps',
      'EMAIL_USE_SSL = True',
      'swaks --server relay.example.net:465 --tls-on-connect --auth PLAIN --auth-user anna@example.org --from anna@example.org --to you@example.com',
    ])
      expect(out.split('\n')).toContain(line);
    expect(Object.keys(await bench.json('client', 'anna@example.org'))).toEqual([
      ...['host', 'ports', 'user', 'senders'],
      ...['postfix', 'msmtp', 'url', 'laravel', 'django', 'try'],
    ]);
  });

  test('are right for unusual names and ports too', async () => {
    bench = await createCommandBench("listen: { submissions: [], submission: ['[::]:2525'] }");
    await bench.run(['user', 'add', `the "shop" $1's`, '--sender', '@example.org', '--sender', '@.example.org']);
    const { out } = await bench.run(['client', `the "shop" $1's`]);
    for (const line of [
      'tls_starttls on',
      'from noreply@example.org',
      "smtp://the%20%22shop%22%20%241's:PASSWORD@relay.example.net:2525",
      'MAIL_USERNAME="the \\"shop\\" \\$1\'s"',
      'EMAIL_HOST_USER = "the \\"shop\\" $1\'s"',
      'EMAIL_USE_TLS = True',
    ])
      expect(out.split('\n')).toContain(line);
    expect(out).not.toContain('set_from_header');
    expect(out).toContain(`--tls --auth PLAIN --auth-user 'the "shop" $1'\\''s' --from`);
  });

  test('for Exchange explain its error texts', async () => {
    bench = await createCommandBench('tls: { mode: self-signed }');
    const { err } = await bench.run(['exchange']);
    for (const words of ['451 5.7.3 Require basic', 'STARTTLS is required', '454 4.7.5', 'Exchange Online', 'self-signed'])
      expect(err).toContain(words);
  });

  test('for Exchange are a Send connector with STARTTLS and basic authentication', async () => {
    bench = await createCommandBench();
    for (const args of [['exchange'], ['client', 'exchange']]) {
      const { code, out } = await bench.run(args);
      expect(code).toBe(0);
      expect(out).toMatch(
        /^New-SendConnector .*-SmartHosts 'relay\.example\.net' -Port 587 .*BasicAuthRequireTLS .*-TlsDomain 'relay\.example\.net'/s,
      );
      expect(out).toMatch(/^# To check it.*\n# Get-Queue/m);
    }
    await bench.run(['user', 'add', 'exchange', '--sender', '@example.org']);
    expect((await bench.run(['exchange', 'exchange'])).err).toMatch(/user set exchange --mail-server/);
  });
});
