import { X509Certificate } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import tls from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { prepareTrust, trustWith } from '../../../src/system/trust.ts';

const { createSecureContext, getCACertificates } = tls;
afterEach(() => replace({ createSecureContext, getCACertificates }));

function replace(functions: Partial<Pick<typeof tls, 'createSecureContext' | 'getCACertificates'>>): void {
  Object.assign(tls, functions);
  syncBuiltinESMExports();
}

test('a root that Node and the system write with lines of different lengths is trusted once', () => {
  const [bundled = ''] = getCACertificates('bundled');
  const lines = bundled.split('\n');
  const base64 = lines.slice(1, -1).join('');
  const system = [lines[0], ...base64.match(/.{1,64}/g)!, lines.at(-1), ''].join('\n');
  expect(system).not.toBe(bundled);
  let trusted: readonly string[] = [];
  replace({
    getCACertificates: (origin) => (origin === 'system' ? [system] : origin === 'bundled' ? [bundled] : []),
    createSecureContext(options) {
      trusted = options?.ca as string[];
      return createSecureContext(options);
    },
  });
  trustWith('\n');
  const names = trusted.filter((pem) => pem !== '\n').map((pem) => new X509Certificate(pem).fingerprint256);
  expect(names).toEqual([new X509Certificate(bundled).fingerprint256]);
});

test('roots of Node, of the system and of NODE_EXTRA_CA_CERTS are trusted beside those of the operator', () => {
  let trusted: readonly string[] = [];
  replace({
    getCACertificates: (origin) => [`one of ${origin}`],
    createSecureContext(options) {
      trusted = options?.ca as string[];
      return createSecureContext();
    },
  });
  trustWith('one of the operator');
  expect(trusted).toEqual(['one of bundled', 'one of system', 'one of extra', 'one of the operator']);
});

test('a file that cannot be read does not end the start that prepares the roots', () => {
  expect(() => prepareTrust('/nonexistent/ca.pem')).not.toThrow();
});
