/** Runs the examples in deploy/examples with their programs, with the test's relay instead of relay.example.net. */
import { randomUUID } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHECKOUT } from '../support/checkout.ts';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { hasPostfix, startPostfixClient } from '../support/postfix.ts';
import { mustRun, run, temporaryFolder } from '../support/program.ts';
import { type Scenario, startScenario } from '../support/relay-scenario.ts';

const EXAMPLES = join(CHECKOUT, 'deploy/examples');
const example = (name: string) => readFileSync(join(EXAMPLES, name), 'utf8');
const TO = 'anna@dest.test';
const FROM = 'app@sender.test';

let scenario: Scenario;
const folder = temporaryFolder('examples');
beforeAll(async () => {
  scenario = await startScenario();
});
afterAll(async () => {
  await scenario?.close();
  folder.remove();
});

/** The example as it would stand on a machine that sends through the test's relay. @throws Error where a text is not in it */
function fitted(name: string, changes: Readonly<Record<string, string>>): string {
  let text = example(name);
  for (const [from, to] of Object.entries(changes)) {
    if (!text.includes(from)) throw new Error(`${name} does not contain ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

const port = (listener: 'submissions' | 'submission') => String(scenario.relay.ports[listener]);

describe.skipIf(!requirePeer('postfix', hasPostfix()))('postfix-main.cf', () => {
  test('sends the mail of a home server, also reports with an empty sender', { timeout: 240_000 }, async () => {
    const { relay, password, certificate } = scenario;
    await relay.addUser('home', password, '--mail-server', '--sender', '@sender.test');
    const passwords = join(folder.path, 'sasl_passwd');
    writeFileSync(passwords, `[127.0.0.1]:${port('submissions')} home:${password}\n`, { mode: 0o600 });
    const lines = fitted('postfix-main.cf', {
      '[relay.example.net]:465': `[127.0.0.1]:${port('submissions')}`,
      '/etc/postfix/sasl_passwd': passwords,
      '/etc/ssl/certs/ca-certificates.crt': certificate.certificate,
    });
    const settings = [
      ...lines.split('\n').filter((line) => /^\w+ = /.test(line)),
      'smtp_tls_secure_cert_match = relay.sender.test',
    ];
    const unused = { address: '127.0.0.1', port: 1 };
    const client = {
      hostname: 'home.sender.test',
      relay: unused,
      implicitTls: false,
      mechanism: 'plain',
      user: '',
      password: '',
    } as const;
    const postfix = await startPostfixClient({ ...client, settings });
    try {
      for (const sender of [FROM, '<>']) {
        const token = randomUUID();
        const message = `From: <${FROM}>\nTo: <${TO}>\nSubject: ${token}\n\nhello\n`;
        await postfix.sendmail(['-f', sender, TO], message);
        const { mailFrom } = await scenario.delivered(token).catch((error: Error) => {
          throw new Error(postfix.output(), { cause: error });
        });
        expect(mailFrom).toBe(sender.replace('<>', ''));
      }
      expect(postfix.output()).toContain('Verified TLS connection established');
    } finally {
      await postfix.close();
    }
  });
});

describe.skipIf(!requirePeer('msmtp', hasCommand('msmtp')))('msmtprc', () => {
  test('sends the mail of a machine, whatever sender its programs set', async () => {
    const secret = join(folder.path, 'password');
    writeFileSync(secret, `${scenario.password}\n`, { mode: 0o600 });
    const file = join(folder.path, 'msmtprc');
    const changes = {
      'host relay.example.net': 'host 127.0.0.1',
      'port 465': `port ${port('submissions')}`,
      '/etc/msmtp.password': secret,
      '/etc/ssl/certs/ca-certificates.crt': scenario.certificate.certificate,
      'backup@example.org': FROM,
    };
    writeFileSync(file, fitted('msmtprc', changes));
    chmodSync(file, 0o600);
    const token = randomUUID();
    await mustRun('msmtp', ['-C', file, '-f', 'root@web1', TO], { input: `From: root\nTo: ${TO}\nSubject: ${token}\n\nhello\n` });
    const { mailFrom, data } = await scenario.delivered(token);
    expect(mailFrom).toBe(FROM);
    expect(data.toString()).toMatch(/^From: .*app@sender\.test/m);
  });
});

describe('nodemailer.mjs', () => {
  test('sends and shows the answer', async () => {
    const changes = {
      "host: 'relay.example.net'": "host: '127.0.0.1'",
      'port: 465': `port: ${port('submissions')}`,
      'shop@example.org': FROM,
      "text: 'hello'": "text: 'hello from nodemailer'",
    };
    writeFileSync(join(folder.path, 'nodemailer.mjs'), fitted('nodemailer.mjs', changes));
    symlinkSync(join(CHECKOUT, 'node_modules'), join(folder.path, 'node_modules'));
    const env = { SMTP_PASSWORD: scenario.password, NODE_EXTRA_CA_CERTS: scenario.certificate.certificate };
    const shown = await mustRun(process.execPath, [join(folder.path, 'nodemailer.mjs'), TO], { env });
    expect(shown).toContain('250 2.0.0 Ok: queued as');
    expect((await scenario.delivered('hello from nodemailer')).mailFrom).toBe(FROM);
  });
});

/** What Django's SMTP backend does with its settings, in its order. */
const DJANGO = `
import os, ssl, smtplib, sys
from email.message import EmailMessage
exec(open(sys.argv[1]).read())
context = ssl.create_default_context(cafile=sys.argv[2])
kind = smtplib.SMTP_SSL if EMAIL_USE_SSL else smtplib.SMTP
connection = kind(EMAIL_HOST, EMAIL_PORT, timeout=EMAIL_TIMEOUT, context=context)
connection.login(EMAIL_HOST_USER, EMAIL_HOST_PASSWORD)
message = EmailMessage()
message["From"], message["To"], message["Subject"] = DEFAULT_FROM_EMAIL, sys.argv[3], "django"
message.set_content("hello from Django")
connection.send_message(message)
connection.quit()
`;

describe.skipIf(!requirePeer('python3', hasCommand('python3')))('django_settings.py', () => {
  test('has all settings that the SMTP backend needs', async () => {
    const changes = {
      '"relay.example.net"': '"127.0.0.1"',
      'EMAIL_PORT = 465': `EMAIL_PORT = ${port('submissions')}`,
      'shop@example.org': FROM,
    };
    const file = join(folder.path, 'settings.py');
    writeFileSync(file, fitted('django_settings.py', changes));
    const args = ['-c', DJANGO, file, scenario.certificate.certificate, TO];
    await mustRun('python3', args, { env: { EMAIL_HOST_PASSWORD: scenario.password } });
    expect((await scenario.delivered('hello from Django')).mailFrom).toBe(FROM);
  });
});

describe('laravel.env', () => {
  test('has the names that config/mail.php reads, and the right port for its scheme', () => {
    const settings = Object.fromEntries(
      [...example('laravel.env').matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
    );
    const { MAIL_SCHEME, MAIL_PORT, ...others } = settings;
    expect({ MAIL_SCHEME, MAIL_PORT }).toEqual({ MAIL_SCHEME: 'smtps', MAIL_PORT: '465' });
    const names = ['MAIL_MAILER', 'MAIL_HOST', 'MAIL_USERNAME', 'MAIL_PASSWORD', 'MAIL_FROM_ADDRESS', 'MAIL_FROM_NAME'];
    expect(Object.keys(others).sort()).toEqual(names.sort());
  });
});

describe('exchange.ps1', () => {
  test('is the command that smarthost exchange prints', async () => {
    const printed = await scenario.relay.command(['exchange']);
    const flat = (text: string) => text.replaceAll(/`\s*/g, ' ').replaceAll(/\s+/g, ' ').trim();
    const name = scenario.relay.hostname;
    const expected = flat(printed)
      .replaceAll(name, 'relay.example.net')
      .replace(`-Port ${port('submission')}`, '-Port 587');
    expect(flat(example('exchange.ps1'))).toContain(expected);
  });
});

describe.skipIf(!requirePeer('logrotate', hasCommand('logrotate')))('logrotate.conf', () => {
  test('is accepted by logrotate, and truncates a log', async () => {
    const log = join(folder.path, 'smarthost.log');
    writeFileSync(log, '{"event":"started"}\n');
    const file = join(folder.path, 'logrotate.conf');
    writeFileSync(file, fitted('logrotate.conf', { '/var/log/smarthost/smarthost.log': log }), { mode: 0o644 });
    chmodSync(folder.path, 0o755);
    const { code, stderr } = await run('logrotate', ['--force', '--state', join(folder.path, 'state'), file]);
    expect(code, stderr).toBe(0);
    expect(readFileSync(log, 'utf8')).toBe('');
    expect(readFileSync(`${log}.1`, 'utf8')).toContain('started');
  });
});

test('each example is named in the README', () => {
  const readme = readFileSync(join(CHECKOUT, 'deploy/README.md'), 'utf8');
  for (const name of readdirSync(EXAMPLES)) expect(readme).toContain(`examples/${name}`);
});
