/**
 * testssl.sh and sslscan find nothing at MEDIUM or above on the ports for mail and on that of the console, except that a test's certificate is
 * not trusted.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { run, temporaryFolder } from '../support/program.ts';
import { startTestRelay, type TestRelay } from '../support/relay.ts';
import { sized } from '../support/size.ts';

type Finding = { readonly id: string; readonly severity: string; readonly finding: string };

/** Milliseconds; half a minute each on a quick machine, two minutes where a new process is slow: testssl.sh starts thousands. */
const PATIENCE = 600_000;
/** A test's certificate is self-signed: no authority, no revocation, no CAA record stands behind it. */
const UNTRUSTED = /^(cert_|DNS_CAA)/;
/** A grade is made of the others, and capped by the trust in the certificate. */
const GRADE = /^(overall_grade|grade_cap)/;

let relay: TestRelay;
let folder: ReturnType<typeof temporaryFolder>;
beforeAll(async () => {
  folder = temporaryFolder('tls-grade');
  const console = "'[::]:0'"; // outside loopback it is TLS
  const listen = `listen: { submissions: ['127.0.0.1:0'], submission: ['127.0.0.1:0'], admin: ['127.0.0.1:0'], console: [${console}] }`;
  relay = await startTestRelay({ yaml: `${listen}\nsubmission: { maxSessionsPerAddress: 1000 }\n` });
});
afterAll(async () => {
  await relay?.close();
  folder?.remove();
});

const PORTS = [
  ['465', 'submissions', undefined],
  ['587', 'submission', 'smtp'],
] as const;

const testssl = ['testssl', 'testssl.sh'].find((name) => hasCommand(name));
describe.skipIf(!requirePeer('testssl.sh', testssl !== undefined))('testssl.sh', () => {
  // All ports have the same TLS; sslscan looks at each.
  test.concurrent.each([...PORTS].slice(0, sized(2, 1)))(
    'finds nothing at MEDIUM or above on %s',
    { timeout: PATIENCE },
    async (_, name, starttls) => {
      const file = join(folder.path, `${name}.json`);
      const output = ['--quiet', '--warnings', 'off', '--color', '0', '--nodns', 'none', '--jsonfile', file];
      // sslscan lists each cipher and demands more of it, and what the others add is about certificates: a third of the time is enough.
      const more = sized(['--std', '--fs', '--server-defaults'], []);
      const checks = ['--protocols', ...more, '--vulnerable', '--fast'];
      const target = [...(starttls === undefined ? [] : ['--starttls', starttls]), `127.0.0.1:${relay.ports[name]}`];
      const { stdout, stderr } = await run(testssl!, [...output, ...checks, ...target], { timeout: PATIENCE });
      expect(existsSync(file), stdout + stderr).toBe(true);
      const findings = JSON.parse(readFileSync(file, 'utf8')) as Finding[];
      for (const id of ['TLS1_2', 'TLS1_3', 'heartbleed', 'secure_client_renego', 'LUCKY13', 'SWEET32']) {
        expect(findings.map((finding) => finding.id)).toContain(id);
      }
      // WARN is what testssl.sh cannot do on this machine; the ciphers that its OpenSSL lacks are sslscan's matter.
      const bad = findings.filter(({ severity }) => /^(MEDIUM|HIGH|CRITICAL|FATAL)$/.test(severity));
      expect(bad.filter(({ id }) => !UNTRUSTED.test(id) && !GRADE.test(id))).toEqual([]);
    },
  );
});

describe.skipIf(!requirePeer('sslscan', hasCommand('sslscan')))('sslscan', () => {
  test.concurrent.each([...PORTS, ['the console', 'console', undefined] as const])(
    'finds TLS 1.2 and 1.3, AEAD and forward secrecy on %s, and nothing else',
    { timeout: PATIENCE },
    async (_, name, starttls) => {
      const protocol = starttls === undefined ? [] : [`--starttls-${starttls}`];
      const { port } = relay.listening.find((one) => one.name === name)!;
      const target = `127.0.0.1:${port}`;
      const { stdout } = await run('sslscan', ['--no-colour', ...protocol, target], { timeout: PATIENCE });
      for (const old of ['SSLv2', 'SSLv3', 'TLSv1.0', 'TLSv1.1']) expect(stdout).toMatch(new RegExp(`^${old}\\s+disabled`, 'm'));
      for (const current of ['TLSv1.2', 'TLSv1.3']) expect(stdout).toMatch(new RegExp(`^${current}\\s+enabled`, 'm'));
      const ciphers = stdout.match(/^(?:Preferred|Accepted).*$/gm) ?? [];
      for (const cipher of ciphers) expect(cipher).toMatch(/(TLS_(AES|CHACHA20)_|ECDHE-(ECDSA|RSA)-)\S*(GCM|POLY1305)/);
      for (const kind of ['ECDHE-ECDSA', 'ECDHE-RSA', 'TLS_AES']) expect(ciphers.join('\n')).toContain(kind);
      expect(stdout).toContain('Session renegotiation not supported');
      expect(stdout.replaceAll('not vulnerable to heartbleed', '')).not.toContain('vulnerable');
    },
  );
});
