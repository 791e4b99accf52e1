/** OpenSSL's own client checks our TLS: RFC 8314, RFC 8996. */
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasCommand, requirePeer } from '../support/peers.ts';
import type { Result } from '../support/program.ts';
import { prepareRelay, type RelayProcess } from '../support/relay-process.ts';

const present = requirePeer('openssl', hasCommand('openssl'));
/** Without this the client itself would refuse, and the test could not see that the relay does. */
const OLD = ['-cipher', 'ALL:@SECLEVEL=0'];

let relay: RelayProcess;
beforeAll(async () => {
  relay = await prepareRelay({ dns: '127.0.0.1:9', deliveryPort: 9 });
  await relay.start();
});
afterAll(() => relay?.close());

/** Runs s_client, which speaks when it may: after the greeting, or after STARTTLS after the handshake. */
function client(listener: 'submissions' | 'submission', args: readonly string[], input = 'QUIT\n'): Promise<Result> {
  const port = relay.ports[listener];
  const starttls = listener === 'submission' ? ['-starttls', 'smtp'] : [];
  const mayTalk = listener === 'submission' ? /^New, /m : /^220 /m;
  const options = ['-connect', `127.0.0.1:${port}`, ...starttls, '-ign_eof', '-crlf', ...args];
  const child = spawn('openssl', ['s_client', ...options], { timeout: 15_000, killSignal: 'SIGKILL' });
  return new Promise((resolve) => {
    let stdout = '';
    let stderr = '';
    let talked = false;
    child.stdout.setEncoding('latin1').on('data', (chunk: string) => {
      stdout += chunk;
      if (!talked && mayTalk.test(stdout)) child.stdin.write(input);
      talked ||= mayTalk.test(stdout);
    });
    child.stderr.setEncoding('latin1').on('data', (chunk: string) => {
      stderr += chunk;
    });
    child.stdin.on('error', () => {}); // it has ended: its output tells why
    child.once('close', (code, signal) => resolve({ code: signal ?? code ?? 1, stdout, stderr }));
  });
}

describe.skipIf(!present).each(['submissions', 'submission'] as const)('openssl s_client on %s', (listener) => {
  test.each([
    ['-tls1_2', 'TLSv1.2'],
    ['-tls1_3', 'TLSv1.3'],
  ])('%s is accepted', async (option, protocol) => {
    const { stdout } = await client(listener, [option]);
    expect(stdout).toMatch(new RegExp(`^New, ${protocol}`, 'm'));
    expect(stdout).toContain('221 2.0.0');
  });

  test.each(['-tls1_1', '-tls1'])('%s is refused by an alert', async (option) => {
    const { stdout, stderr, code } = await client(listener, [option, ...OLD]);
    expect(code).not.toBe(0);
    expect(stderr).toContain('alert protocol version');
    expect(stdout).not.toContain('221 2.0.0');
  });

  test('an ECDSA certificate is what it gets', async () => {
    expect((await client(listener, ['-tls1_3'])).stdout).toContain('Peer signature type: ECDSA');
    expect((await client(listener, ['-tls1_2'])).stdout).toContain('Peer signature type: ECDSA');
  });

  test('a client that only supports RSA gets the RSA certificate', async () => {
    const old = (await client(listener, ['-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256'])).stdout;
    expect(old).toMatch(/Peer signature type: RSA/);
    expect(old).toContain('221 2.0.0');
    const recent = (await client(listener, ['-tls1_3', '-sigalgs', 'RSA-PSS+SHA256:RSA+SHA256'])).stdout;
    expect(recent).toMatch(/Peer signature type: RSA-PSS/);
    expect(recent).toMatch(/Server public key is 2048 bit/);
  });

  test('a weak cipher is refused', async () => {
    for (const cipher of ['3DES:@SECLEVEL=0', 'aNULL:@SECLEVEL=0', 'RC4:@SECLEVEL=0']) {
      const { stdout } = await client(listener, ['-tls1_2', '-cipher', cipher]);
      expect(stdout).not.toContain('221 2.0.0');
    }
  });

  test('the first renegotiation is refused', async () => {
    const { stdout, stderr } = await client(listener, ['-tls1_2', '-no_ign_eof'], 'R\nEHLO client.test\nQUIT\n');
    expect(stderr + stdout).toContain('RENEGOTIATING');
    expect(stderr).toMatch(/no.renegotiation/);
    expect(stdout).not.toContain('221 2.0.0');
  });
});
