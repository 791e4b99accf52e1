/** Common mail programs can submit mail on 465 and on 587: RFC 6409, RFC 8314. */
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasDkimpy, judgeByDkimpy } from '../support/dkim-judges.ts';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { mustRun } from '../support/program.ts';
import { type Scenario, startScenario } from '../support/relay-scenario.ts';

const FROM = 'app@sender.test';
const TO = 'anna@dest.test';
const QUEUED = /250 2\.0\.0 Ok: queued as ([0-9a-z]+)/;

let scenario: Scenario;
beforeAll(async () => {
  scenario = await startScenario();
});
afterAll(() => scenario?.close());

/** What a client does: it is given a message and returns what it showed of the conversation. */
type Client = (message: string) => Promise<string>;

/** Sends, and checks what every client must see: the reply, the delivery, the signature. */
async function expectDelivered(client: Client): Promise<void> {
  const token = randomUUID();
  const shown = await client(messageWith(token));
  expect(shown).toMatch(QUEUED);
  const queueId = QUEUED.exec(shown)![1]!;
  await scenario.relay.event('relayed', (event) => event['queueId'] === queueId);
  const arrived = await scenario.delivered(token);
  expect(arrived).toMatchObject({ mailFrom: FROM, tls: 'TLSv1.3' });
  expect(arrived.recipients.map(({ address }) => address)).toEqual([TO]);
  expect(arrived.data.toString()).toContain('\r\n\r\nGrüße\r\n.one dot\r\n..two dots\r\n');
  if (hasDkimpy()) expect(await judgeByDkimpy(arrived.data, scenario.dkim)).toContain('rsa-sha256 sender.test pass');
}

function messageWith(token: string): string {
  const header = [
    `From: <${FROM}>`,
    `To: <${TO}>`,
    `Subject: ${token}`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
  ];
  return [...header, '', 'Grüße', '.one dot', '..two dots', ''].join('\r\n');
}

describe.skipIf(!requirePeer('swaks', hasCommand('swaks')))('swaks', () => {
  const client =
    (port: 'submission' | 'submissions', ...more: string[]): Client =>
    (message) => {
      const { relay, user, password } = scenario;
      const where = ['--server', relay.address, '--port', String(relay.ports[port])];
      const login = ['--auth-user', user, '--auth-password', password, '--from', FROM, '--to', TO];
      return mustRun('swaks', [...where, ...login, '--data', '-', ...more], { input: message });
    };
  test('AUTH PLAIN after STARTTLS', () => expectDelivered(client('submission', '--tls', '--auth', 'PLAIN')));
  test('AUTH LOGIN after STARTTLS', () => expectDelivered(client('submission', '--tls', '--auth', 'LOGIN')));
  test('AUTH PLAIN over implicit TLS', () => expectDelivered(client('submissions', '--tls-on-connect', '--auth', 'PLAIN')));
  test('AUTH LOGIN over implicit TLS', () => expectDelivered(client('submissions', '--tls-on-connect', '--auth', 'LOGIN')));
  test('with PIPELINING (RFC 2920)', () => expectDelivered(client('submission', '--tls', '--auth', 'PLAIN', '--pipeline')));
});

describe.skipIf(!requirePeer('curl', hasCommand('curl')))('curl, which verifies the certificate', () => {
  const client =
    (scheme: 'smtp' | 'smtps', ...more: string[]): Client =>
    async (message) => {
      const { relay, user, password, certificate } = scenario;
      const port = relay.ports[scheme === 'smtp' ? 'submission' : 'submissions'];
      const where = ['--url', `${scheme}://${relay.hostname}:${port}`, '--resolve', `${relay.hostname}:${port}:${relay.address}`];
      const login = ['--cacert', certificate.certificate, '--user', `${user}:${password}`];
      const mail = ['--mail-from', FROM, '--mail-rcpt', TO, '--upload-file', '-'];
      return mustRun(
        'sh',
        ['-c', 'exec curl --silent --show-error --verbose "$@" 2>&1', 'curl', ...where, ...login, ...mail, ...more],
        {
          input: message,
        },
      );
    };
  test('smtp:// with --ssl-reqd', () => expectDelivered(client('smtp', '--ssl-reqd')));
  test('smtps://', () => expectDelivered(client('smtps')));
  test('AUTH LOGIN', () => expectDelivered(client('smtps', '--login-options', 'AUTH=LOGIN')));
});

describe.skipIf(!requirePeer('msmtp', hasCommand('msmtp')))('msmtp, which verifies the certificate', () => {
  const client =
    (port: 'submission' | 'submissions', mechanism: 'plain' | 'login'): Client =>
    async (message) => {
      const { relay, user, password, certificate } = scenario;
      const file = join(relay.folder, `msmtp-${port}-${mechanism}`);
      const lines = [
        ...['account default', `host ${relay.address}`, `port ${relay.ports[port]}`, `from ${FROM}`],
        ...[`auth ${mechanism}`, `user ${user}`, `password "${password}"`],
        ...['tls on', `tls_starttls ${port === 'submission' ? 'on' : 'off'}`, `tls_trust_file ${certificate.certificate}`],
      ];
      writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
      return mustRun('msmtp', ['-C', file, '--debug', TO], { input: message.replaceAll('\r\n', '\n') });
    };
  test('AUTH PLAIN after STARTTLS', () => expectDelivered(client('submission', 'plain')));
  test('AUTH LOGIN over implicit TLS', () => expectDelivered(client('submissions', 'login')));
});

/** argv: kind, port, user, password, CA file, from, to; the message on stdin. */
const SMTPLIB = `
import smtplib, ssl, sys
kind, port, user, password, ca, sender, recipient = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
if kind == 'implicit':
    client = smtplib.SMTP_SSL('127.0.0.1', int(port), context=context)
else:
    client = smtplib.SMTP('127.0.0.1', int(port))
    client.starttls(context=context)
client.set_debuglevel(1)
client.login(user, password)
client.sendmail(sender, [recipient], sys.stdin.buffer.read(), ['BODY=8BITMIME'])
client.quit()
`;

describe.skipIf(!requirePeer('python3', hasCommand('python3')))('smtplib of Python, which verifies the certificate', () => {
  const client =
    (kind: 'implicit' | 'starttls'): Client =>
    (message) => {
      const { relay, user, password, certificate } = scenario;
      const port = String(relay.ports[kind === 'implicit' ? 'submissions' : 'submission']);
      return mustRun(
        'sh',
        ['-c', 'exec python3 "$@" 2>&1', 'python3', '-c', SMTPLIB, kind, port, user, password, certificate.certificate, FROM, TO],
        { input: message },
      );
    };
  test('SMTP_SSL', () => expectDelivered(client('implicit')));
  test('starttls', () => expectDelivered(client('starttls')));
});

describe('nodemailer, which verifies the certificate', () => {
  const client =
    (secure: boolean): Client =>
    async (message) => {
      const { relay, user, password, certificate } = scenario;
      const port = relay.ports[secure ? 'submissions' : 'submission'];
      const tls = { ca: readFileSync(certificate.certificate) };
      const transport = createTransport({
        host: relay.address,
        port,
        secure,
        requireTLS: true,
        tls,
        auth: { user, pass: password },
      });
      const { response } = await transport.sendMail({ envelope: { from: FROM, to: TO }, raw: message });
      transport.close();
      return response;
    };
  test('secure: true', () => expectDelivered(client(true)));
  test('requireTLS: true', () => expectDelivered(client(false)));
});
