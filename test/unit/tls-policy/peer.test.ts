/** What becomes of OpenSSL's words about a certificate, and of names in it: RFC 8460 §4.3, RFC 8461 §4.1. */
import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { isUnknownRoot, judgePeer } from '../../../src/tls-policy/peer.ts';
import { makeHost } from '../../support/chains.ts';

let own: X509Certificate;
beforeAll(async () => {
  own = new X509Certificate((await makeHost({ names: ['mx.a.test', '*.b.test'] })).pem);
});
const judge = (distrust?: string, names = ['mx.a.test']) =>
  judgePeer({ pkix: { names } }, { chain: [own], ...(distrust !== undefined && { distrust }) }, 'roots');

describe('a certificate that must have a trusted issuer', () => {
  test.each([
    ['CERT_HAS_EXPIRED', 'certificate-expired', 'expired'],
    ['CERT_NOT_YET_VALID', 'certificate-expired', 'not-yet-valid'],
    ['UNABLE_TO_GET_ISSUER_CERT', 'certificate-not-trusted', 'issuer-unknown'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'certificate-not-trusted', 'issuer-unknown'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'certificate-not-trusted', 'issuer-not-sent'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'certificate-not-trusted', 'root-unknown'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'certificate-not-trusted', 'self-signed'],
    ['PATH_LENGTH_EXCEEDED', 'certificate-not-trusted', 'path-length'],
    ['UNSPECIFIED', 'certificate-not-trusted', 'not-accepted'],
    ['CERT_SIGNATURE_FAILURE', 'validation-failure', 'not-accepted'],
  ])('and about which OpenSSL says %s is reported as %s (%s), in our own words', (word, type, reason) => {
    const judgement = judge(word);
    expect(judgement).toMatchObject({ kind: 'unfit', check: 'pkix', type, reason });
    expect(judgement).toMatchObject({ detail: expect.not.stringContaining('--use-system-ca') });
  });

  test('is an alarm about our roots only where its issuer was named or sent, and is not known here', () => {
    const alarms = ['issuer-unknown', 'root-unknown', 'issuer-not-sent', 'self-signed', 'expired', 'name-mismatch'];
    expect(alarms.filter((reason) => isUnknownRoot({ reason }))).toEqual(['issuer-unknown', 'root-unknown']);
  });

  test.each([
    ['mx.a.test', 'fits'],
    ['MX.A.test', 'fits'],
    ['mx.b.test', 'fits'],
    ['x.mx.b.test', 'unfit'],
    ['b.test', 'unfit'],
    ['mx.a.test.', 'unfit'],
    ['mx.a.test\0.b.test', 'unfit'],
    ['192.0.2.1', 'unfit'],
  ])('with the names mx.a.test and *.b.test, for %j: %s', (name, kind) => {
    expect(judge(undefined, [name])).toMatchObject({ kind, ...(kind === 'unfit' && { type: 'certificate-host-mismatch' }) });
  });

  test('that was not shown, as in a resumed session, proves nothing', () => {
    expect(judgePeer({ pkix: { names: ['mx.a.test'] } }, { chain: [] }, 'roots')).toMatchObject({
      kind: 'unfit',
      reason: 'no-certificate',
    });
    expect(judgePeer({ pkix: { names: ['mx.a.test'] } }, { chain: [own] }, 'none')).toMatchObject({ kind: 'unfit' });
  });
});
