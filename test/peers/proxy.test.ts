/** A load balancer in front: swaks and curl speak the PROXY protocol, and the log knows the client behind it. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { mustRun, run } from '../support/program.ts';
import { type Scenario, startScenario } from '../support/relay-scenario.ts';

const FROM = 'app@sender.test';
const TO = 'anna@dest.test';
const CLIENT = '198.51.100.7';

let scenario: Scenario;
beforeAll(async () => {
  scenario = await startScenario({ settings: { submission: { proxyTrust: ['127.0.0.0/8'] } } });
});
afterAll(() => scenario?.close());

/** The address that the log gives to the session of the message. */
async function addressOf(token: string): Promise<unknown> {
  const queueId = / id (\w{17})/.exec((await scenario.delivered(token)).data.toString())?.[1];
  return (await scenario.relay.event('accepted', (event) => event['queueId'] === queueId))['ip'];
}

describe.skipIf(!requirePeer('swaks', hasCommand('swaks')))('swaks', () => {
  const send = (token: string, ...more: string[]) => {
    const { relay, user, password } = scenario;
    const login = ['--auth', 'PLAIN', '--auth-user', user, '--auth-password', password, '--from', FROM, '--to', TO];
    const header = ['--header', `Subject: ${token}`];
    return run('swaks', ['--server', relay.address, ...login, ...header, ...more]);
  };
  const behind = (version: string) => [
    ...['--proxy-version', version, '--proxy-family', version === '1' ? 'TCP4' : 'AF_INET', '--proxy-protocol', 'STREAM'],
    ...['--proxy-source', CLIENT, '--proxy-source-port', '40000', '--proxy-dest', '192.0.2.25', '--proxy-dest-port', '465'],
  ];

  test.each(['1', '2'])('version %s, then STARTTLS', async (version) => {
    const token = randomUUID();
    const port = String(scenario.relay.ports.submission);
    const { stdout, code } = await send(token, '--port', port, '--tls', ...behind(version));
    expect(code, stdout).toBe(0);
    expect(await addressOf(token)).toBe(CLIENT);
  });

  test('without the header a trusted proxy gets no session', async () => {
    const { stdout, code } = await send(randomUUID(), '--port', String(scenario.relay.ports.submission), '--tls');
    expect(code).not.toBe(0);
    expect(stdout).not.toContain('235 ');
  });
});

describe.skipIf(!requirePeer('curl', hasCommand('curl')))('curl', () => {
  test('--haproxy-protocol, then TLS from the first byte', async () => {
    const { relay, user, password, certificate } = scenario;
    const token = randomUUID();
    const message = `From: <${FROM}>\r\nTo: <${TO}>\r\nSubject: ${token}\r\n\r\nHello\r\n`;
    const where = ['--url', `smtps://${relay.address}:${relay.ports.submissions}`, '--cacert', certificate.certificate];
    const mail = ['--user', `${user}:${password}`, '--mail-from', FROM, '--mail-rcpt', TO, '--upload-file', '-'];
    await mustRun('curl', ['--silent', '--show-error', '--haproxy-protocol', ...where, ...mail], { input: message });
    expect(await addressOf(token)).toBe('127.0.0.1'); // curl names its own end
  });
});
