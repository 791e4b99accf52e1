/** Key records as an operator may publish them: what our reader says, beside what mailauth and dkimpy do with a signature. */
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { dkimSign } from 'mailauth/lib/dkim/sign.js';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { describe, expect, test } from 'vitest';
import { readKeyRecord } from '../../src/signing/key-record.ts';
import { dkimpyPresent, verifyAllByDkimpy } from '../support/dkim-verifiers.ts';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const P = createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).toString('base64');
const NAME = 's._domainkey.sender.test';

/** `ours`: what is wrong, undefined where nothing is. dkimpy and mailauth may each be laxer than the RFC. */
const RECORDS: readonly (readonly [record: string, ours: RegExp | undefined])[] = [
  [`v=DKIM1; k=rsa; p=${P}`, undefined],
  [`v=DKIM1;k=rsa;p=${P};`, undefined],
  [`p=${P}`, undefined],
  [`v=DKIM1; h=sha1:sha256; s=email; t=y:s; n=of%20anna; p=${P}`, undefined],
  [`v=DKIM1; s=*; x=unknown; p=${P}`, undefined],
  [`v = DKIM1 ; k = rsa ; p = ${P.slice(0, 60)} ${P.slice(60)}`, undefined],
  [`v=DKIM1\\; k=rsa\\; p=${P}`, /backslashes before its semicolons/],
  [`v=DKIM2; k=rsa; p=${P}`, /v="DKIM2" is not DKIM1/],
  [`v=dkim1; p=${P}`, /v="dkim1" is not DKIM1/],
  [`k=rsa; v=DKIM1; p=${P}`, /v= is not its first tag/],
  [`v=DKIM1; s=tlsrpt; p=${P}`, /s="tlsrpt" does not allow it for email/],
  [`v=DKIM1; h=sha1; p=${P}`, /h="sha1" does not allow sha256/],
  [`v=DKIM1; k=ed448; p=${P}`, /k="ed448" is neither/],
  ['v=DKIM1; k=rsa; p=', /revoked/],
  ['v=DKIM1; k=rsa', /no p=/],
  [`v=DKIM1; p=${P.slice(0, -3)}`, /not base64/],
  [`v=DKIM1; p=${P}; p=${P}`, /p= stands in it twice/],
  [`v=DKIM1; k rsa; p=${P}`, /"k rsa" in it is not of the form/],
  [`"v=DKIM1; k=rsa; p=${P}"`, /quotation marks/],
  [`v=DKIM1; p=${P} v=spf1 -all`, /not base64/],
  ['', /empty/],
];

describe('our reader accepts a key record only if every verifier does', () => {
  test.skipIf(!dkimpyPresent()).each(RECORDS)('%s', async (record, ours) => {
    const reading = readKeyRecord(record);
    expect('wrong' in reading ? reading.wrong : undefined).toEqual(ours === undefined ? undefined : expect.stringMatching(ours));
    const text = 'From: a@sender.test\r\nSubject: x\r\n\r\ny\r\n';
    const signatureData = [
      {
        signingDomain: 'sender.test',
        selector: 's',
        privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
        algorithm: 'rsa-sha256',
      },
    ];
    const { signatures } = await dkimSign(text, {
      canonicalization: 'relaxed/relaxed',
      signTime: new Date(),
      signatureData,
    } as never);
    const message = Buffer.from(signatures + text);
    const resolver = async () => [[record]];
    const { results } = await dkimVerify(message, { resolver, strict: true } as never);
    const [verdicts] = await verifyAllByDkimpy([message], { [NAME]: record });
    const passes = [results[0]?.status.result === 'pass', verdicts![0]!.endsWith(' pass')];
    if (ours === undefined) expect(passes).toEqual([true, true]);
    else expect(passes).toContain(false);
  });
});
