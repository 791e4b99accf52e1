/** Postfix as a mail server that sends its mail through the relay: relayhost with SASL, on 465 and 587. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasDkimpy, judgeByDkimpy } from '../support/dkim-judges.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostfix, type Postfix, startPostfixClient } from '../support/postfix.ts';
import { until } from '../support/program.ts';
import { type Scenario, startScenario } from '../support/relay-scenario.ts';

const FROM = 'app@sender.test';

let scenario: Scenario;
const present = requirePeer('postfix', hasPostfix());
beforeAll(async () => {
  if (present) scenario = await startScenario();
});
afterAll(() => scenario?.close());

function startClient(
  listener: 'submissions' | 'submission',
  mechanism: 'plain' | 'login',
  { user = scenario.user, password = scenario.password, settings = [] as readonly string[] } = {},
): Promise<Postfix> {
  const { relay } = scenario;
  return startPostfixClient({
    hostname: 'mail.sender.test',
    relay: { address: relay.address, port: relay.ports[listener] },
    implicitTls: listener === 'submissions',
    mechanism,
    user,
    password,
    settings,
  });
}

const message = (token: string, to: string) =>
  [`From: <${FROM}>`, `To: <${to}>`, `Subject: ${token}`, '', `First line of ${token}`, '.dot', ''].join('\n');

/** The lines of its log that tell what became of each recipient. */
const fates = (postfix: Postfix) =>
  postfix
    .output()
    .split('\n')
    .filter((line) => / status=/.test(line));

describe.skipIf(!present)('Postfix as client', () => {
  test.each([
    ['submission', 'plain'],
    ['submission', 'login'],
    ['submissions', 'plain'],
    ['submissions', 'login'],
  ] as const)('sends through %s with AUTH %s, the certificate verified', async (listener, mechanism) => {
    const authority = `smtp_tls_CAfile = ${scenario.certificate.certificate}`;
    const name = `smtp_tls_verify_cert_match = ${scenario.relay.hostname}`;
    const settings = ['smtp_tls_security_level = verify', authority, name];
    const postfix = await startClient(listener, mechanism, { settings });
    try {
      const token = randomUUID();
      await postfix.sendmail(['-f', FROM, 'anna@dest.test', 'bert@dest.test'], message(token, 'anna@dest.test'));
      const arrived = await scenario.delivered(token);
      expect(arrived.recipients.map(({ address }) => address).sort()).toEqual(['anna@dest.test', 'bert@dest.test']);
      expect(arrived.data.toString()).toContain(`\r\n\r\nFirst line of ${token}\r\n.dot\r\n`);
      if (hasDkimpy()) expect(await judgeByDkimpy(arrived.data, scenario.dkim)).toContain('rsa-sha256 sender.test pass');
      await until('two recipients sent', () => fates(postfix).length === 2, { context: postfix.output });
      expect(postfix.output()).toContain('Verified TLS connection established');
      for (const line of fates(postfix)) expect(line).toMatch(/status=sent \(250 2\.0\.0 Ok: queued as \w+\)/);
    } finally {
      await postfix.close();
    }
  });

  test('sends many messages over few connections, pipelined', async () => {
    const settings = [
      'smtp_tls_connection_reuse = yes',
      'smtp_destination_concurrency_limit = 1',
      'initial_destination_concurrency = 1',
      'smtp_connection_cache_destinations = static:all', // also where the next message comes late
      'smtp_connection_cache_time_limit = 60s',
      'connection_cache_ttl_limit = 60s',
    ];
    const postfix = await startClient('submission', 'plain', { settings });
    try {
      const before = scenario.relay.events('connected').length;
      const tokens = Array.from({ length: 10 }, () => randomUUID());
      for (const token of tokens) await postfix.sendmail(['-f', FROM, 'anna@dest.test'], message(token, 'anna@dest.test'));
      for (const token of tokens) await scenario.delivered(token);
      await until('nothing waiting there', () => postfix.waiting() === 0, { context: postfix.output });
      expect(scenario.relay.events('connected').length - before).toBeLessThan(10);
    } finally {
      await postfix.close();
    }
  });

  test('passes on DSN parameters (RFC 3461)', async () => {
    const postfix = await startClient('submission', 'plain');
    try {
      const token = randomUUID();
      const dsn = ['-N', 'success,failure', '-V', 'envelope=7', '-R', 'hdrs'];
      await postfix.sendmail(['-f', FROM, ...dsn, 'anna@dest.test'], message(token, 'anna@dest.test'));
      const { mailParameters, recipients } = await scenario.delivered(token);
      expect(mailParameters).toEqual(expect.arrayContaining(['RET=HDRS', 'ENVID=envelope+3D7']));
      expect(recipients[0]!.parameters).toEqual(
        expect.arrayContaining(['NOTIFY=SUCCESS,FAILURE', 'ORCPT=rfc822;anna@dest.test']),
      );
    } finally {
      await postfix.close();
    }
  });

  test('sends to an address that is not ASCII (RFC 6531)', async () => {
    const postfix = await startClient('submissions', 'login');
    try {
      const token = randomUUID();
      await postfix.sendmail(['-f', FROM, 'жанна@dest.test'], message(token, 'жанна@dest.test'));
      const { mailParameters, recipients, data } = await scenario.delivered(token);
      expect(recipients.map(({ address }) => address)).toEqual(['жанна@dest.test']);
      expect(mailParameters).toContain('SMTPUTF8');
      expect(data.toString()).toContain('To: <жанна@dest.test>');
    } finally {
      await postfix.close();
    }
  });

  test('returns mail that we refuse, and its report goes through us to the sender', async () => {
    const [user, password] = ['postfix@sender.test', 'secret of a mail server'];
    await scenario.relay.addUser(user, password, '--sender', '@sender.test', '--sender', '@mail.sender.test', '--mail-server');
    const postfix = await startClient('submission', 'plain', { user, password });
    try {
      const token = randomUUID();
      await postfix.sendmail(['-f', FROM, 'anna@dest.test', 'bad@[192.0.2.1]'], message(token, 'anna@dest.test'));
      await scenario.delivered(token);
      await until('both settled', () => fates(postfix).length >= 2, { context: postfix.output });
      expect(fates(postfix).find((line) => line.includes('to=<anna@dest.test>'))).toContain('status=sent');
      expect(fates(postfix).find((line) => line.includes('to=<bad@[192.0.2.1]>'))).toMatch(/status=bounced .* 5\d\d 5\.1\.\d/);
      const isBounce = ({ mailFrom, data }: { mailFrom: string; data: Buffer }) => mailFrom === '' && data.includes(token);
      const bounce = await until('the bounce', () => scenario.mx.messages.find(isBounce), { context: postfix.output });
      expect(bounce.recipients.map(({ address }) => address)).toEqual([FROM]);
      expect(bounce.data.toString()).toMatch(/^Final-Recipient: rfc822; bad@\[192\.0\.2\.1\]/m);
    } finally {
      await postfix.close();
    }
  });

  test('loses nothing and sends nothing twice while the relay is stopped and started', async () => {
    // It takes a file again when less than two seconds of its wait are left: one second would be none, and the agent may still lock the file.
    const settings = ['minimal_backoff_time = 3s', 'maximal_backoff_time = 4s', 'queue_run_delay = 1s'];
    const postfix = await startClient('submissions', 'plain', { settings });
    try {
      const tokens = Array.from({ length: 60 }, () => randomUUID());
      for (const [i, token] of tokens.entries()) {
        await postfix.sendmail(['-f', FROM, 'anna@dest.test'], message(token, 'anna@dest.test'));
        if (i % 20 !== 10) continue;
        expect(await scenario.relay.stop('SIGTERM')).toBe(0);
        await scenario.relay.start();
      }
      await until('nothing waiting there', () => postfix.waiting() === 0, { deadline: 90_000, context: postfix.output });
      for (const token of tokens) await scenario.delivered(token);
      for (const token of tokens) expect(scenario.mx.messages.filter(({ data }) => data.includes(token)).length).toBe(1);
    } finally {
      await postfix.close();
    }
  }, 180_000);
});
