import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { AcmeError } from '../../../src/certificates/acme-error.ts';
import { certificateId, fetchRenewalInformation } from '../../../src/certificates/ari.ts';
import type { Transport } from '../../../src/certificates/transport.ts';
import { DAY, HOUR } from '../../../src/system/clock.ts';
import { mustRun } from '../../support/program.ts';

const folder = mkdtempSync(join(tmpdir(), 'ari-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function certificate(name: string, serial: string, keyId = true): Promise<string> {
  const at = (ending: string) => join(folder, `${name}.${ending}`);
  const extension = keyId ? [] : ['-addext', 'authorityKeyIdentifier=none', '-addext', 'subjectKeyIdentifier=none'];
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'.split(' ');
  const subject = ['-subj', `/CN=${name}`, '-set_serial', serial, ...extension];
  await mustRun('openssl', ['req', '-x509', ...key, ...subject, '-keyout', at('key'), '-out', at('crt')]);
  return readFileSync(at('crt'), 'utf8');
}

describe('the id of a certificate at its authority (RFC 9773 §4.1)', () => {
  test('is what OpenSSL prints as authority key identifier and serial number', async () => {
    const pem = await certificate('plain.test', '0x1234567890');
    const text = await mustRun('openssl', [
      'x509',
      '-in',
      join(folder, 'plain.test.crt'),
      '-noout',
      '-ext',
      'authorityKeyIdentifier',
    ]);
    const keyId = Buffer.from(/(?:[0-9A-F]{2}:){19}[0-9A-F]{2}/.exec(text)![0].replaceAll(':', ''), 'hex');
    expect(certificateId(pem)).toBe(`${keyId.toString('base64url')}.${Buffer.from('1234567890', 'hex').toString('base64url')}`);
  });

  test('keeps a serial number positive, as the example of the RFC does', async () => {
    expect(certificateId(await certificate('high.test', '0x87654321'))?.split('.')[1]).toBe('AIdlQyE');
  });

  test('is the one of the leaf in a chain', async () => {
    const [leaf, other] = [await certificate('leaf.test', '0x11'), await certificate('other.test', '0x22')];
    expect(certificateId(leaf + other)).toBe(certificateId(leaf));
    expect(new X509Certificate(leaf).serialNumber).toBe('11');
  });

  test('does not exist without an authority key identifier', async () => {
    expect(certificateId(await certificate('bare.test', '0x33', false))).toBeUndefined();
  });
});

describe('what the authority answers', () => {
  const now = Date.UTC(2026, 0, 1);
  const ask = async (answers: readonly { status?: number; body: unknown; retryAfter?: number }[]) => {
    const asked: string[] = [];
    const transport: Transport = {
      send: async ({ url }) => {
        const { status = 200, body, retryAfter } = answers[asked.length]!;
        asked.push(url);
        return { status, headers: {}, body: typeof body === 'string' ? body : JSON.stringify(body), retryAfter };
      },
      close() {},
    };
    const pem = await certificate('asked.test', '0x44');
    const result = await fetchRenewalInformation(transport, { directory: 'https://ca.test/dir', certificate: pem, now });
    return { result, asked, id: certificateId(pem)! };
  };
  const DIRECTORY = { body: { renewalInfo: 'https://ca.test/renewal-info/' } };
  const window = { start: '2026-02-01T00:00:00Z', end: '2026-02-03T00:00:00Z' };

  test('is requested at the URL of the directory, and is valid as long as Retry-After says', async () => {
    const { result, asked, id } = await ask([DIRECTORY, { body: { suggestedWindow: window }, retryAfter: now + 2 * HOUR }]);
    expect(asked).toEqual(['https://ca.test/dir', `https://ca.test/renewal-info/${id}`]);
    expect(result).toEqual({ window: { start: Date.UTC(2026, 1, 1), end: Date.UTC(2026, 1, 3) }, checkAt: now + 2 * HOUR });
  });

  test('is missing if the directory has no such resource, and is requested again after a day', async () => {
    expect((await ask([{ body: {} }])).result).toEqual({ checkAt: now + DAY });
  });

  test.each([
    ['an error', { status: 500, body: '' }],
    ['no JSON', { body: '<html>' }],
    ['null', { body: 'null' }],
    ['no window', { body: {} }],
    ['a window of no length', { body: { suggestedWindow: { start: window.start, end: window.start } } }],
    ['a window of words', { body: { suggestedWindow: { start: 'soon', end: 'later' } } }],
  ])('is an error where it is %s', async (_, answer) => {
    await expect(ask([DIRECTORY, answer])).rejects.toThrow(/the authority/);
  });

  test.each(['https://ca .test/', 'nowhere', 'file:///etc', 'https://ca.test:99999/'])(
    'is an error where its address is %s',
    async (renewalInfo) => {
      await expect(ask([{ body: { renewalInfo } }])).rejects.toThrow(AcmeError);
    },
  );

  test('shortens the explanation of the authority to one line of text', async () => {
    const { result } = await ask([
      DIRECTORY,
      { body: { suggestedWindow: window, explanationURL: 'https://ca.test/\u001b[2J\n' } },
    ]);
    expect(result.explanation).toBe('https://ca.test/ [2J');
  });
});
