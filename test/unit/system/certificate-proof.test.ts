/** What a certificate was accepted by: kept as a text, and said in the language of the reader. */
import { expect, test } from 'vitest';
import { issuerProof, proofPhrase, tlsaProof } from '../../../src/system/certificate-proof.ts';
import { inEnglish } from '../../../src/system/phrase.ts';

const record = { usage: 3, selector: 1, matching: 1, data: Buffer.alloc(32, 0xab) };
const TLSA = tlsaProof(record, '_25._tcp.mx.a.test');
const ISSUER = issuerProof('CN=R3, of, issued by O=Let’s Encrypt');

test.each([
  [TLSA, ['{0} of {1}']],
  [ISSUER, ['issued by {0}']],
  [`${TLSA}, ${ISSUER}`, ['{0}, {1}', '{0} of {1}', 'issued by {0}']],
  ['', ['{0}']],
  ['accepted by hand', ['{0}']],
])('%j is the same in English, and its words are a phrase', (proof, patterns) => {
  const said = proofPhrase(proof);
  expect(inEnglish(said)).toBe(proof);
  const inner = said.values.flatMap((value) => (typeof value === 'object' ? [value.pattern] : []));
  expect([said.pattern, ...inner]).toEqual(patterns);
});
