/** Mail that is signed already: no byte of it changes, and its signature verifies as before, and so does ours. RFC 6376 §6. */
import { describe, expect, test } from 'vitest';
import { createDkimKeys, dkimRecord } from '../../src/signing/signing.ts';
import type { DkimKey } from '../../src/store/store.ts';
import { oddMessages } from '../support/dkim-corpus.ts';
import {
  dkimpyPresent,
  type ForeignSigning,
  type Records,
  signAllByDkimpy,
  signByMailauth,
  verifyAllByDkimpy,
  verifyByMailauth,
} from '../support/dkim-verifiers.ts';
import { NOW, prepare, signerWith } from '../support/prepare.ts';

const make = async (domain: string, selector: string) =>
  (await createDkimKeys({ domain, selector, now: NOW })).map((key): DkimKey => ({ ...key, state: 'active' }));
const [ours, aligned, foreign] = await Promise.all([
  make('sender.test', 'ours'),
  make('sender.test', 'app'),
  make('other.example', 'list'),
]);
const records: Records = Object.fromEntries(
  [...ours, ...aligned, ...foreign].map(dkimRecord).map(({ name, value }) => [name, value]),
);
const signer = signerWith(ours);

/** Mail that needs no repair: lines that end with CRLF, nothing to remove. Dates are missing here and there, and are added. */
const whole = oddMessages().filter(
  ({ name, content }) =>
    !/\r(?!\n)|(?<!\r)\n/.test(content.toString('latin1')) &&
    content.subarray(-2).equals(Buffer.from('\r\n')) &&
    !/to remove|Bcc/.test(name) &&
    !/signature/.test(name),
);
const CANONICALIZATIONS = ['relaxed/relaxed', 'relaxed/simple', 'simple/relaxed', 'simple/simple'] as const;

async function throughUs(message: Buffer, smtpUtf8 = false) {
  const envelope = { reversePath: 'ann@sender.test', recipients: [], body: '8BITMIME', smtpUtf8 } as const;
  return prepare([message], { options: { signer }, request: { envelope } });
}

const foreignSigning = (canonicalization: ForeignSigning['canonicalization'], [rsa]: readonly DkimKey[]): ForeignSigning => ({
  domain: rsa!.domain,
  selector: rsa!.selector,
  key: rsa!.privateKey,
  canonicalization,
});

/** All through us: the bytes are the same behind what we put in front, and verdicts that were "pass" still are. */
async function judge(
  signed: readonly Buffer[],
  verify: (messages: readonly Buffer[]) => Promise<readonly (readonly string[])[]>,
) {
  const results = await Promise.all(signed.map((message) => throughUs(message)));
  for (const [i, { bytes, prepared }] of results.entries()) {
    expect(bytes.subarray(-signed[i]!.length).equals(signed[i]!)).toBe(true);
    expect(prepared.signatures).toHaveLength(ours.length);
  }
  const before = await verify(signed);
  const after = await verify(results.map(({ bytes }) => bytes));
  for (const [i, verdicts] of after.entries()) {
    expect(verdicts.slice(ours.length)).toEqual(before[i]);
    expect(verdicts.slice(0, ours.length)).toEqual(
      ours.map(({ algorithm, selector }) => `${algorithm} sender.test ${selector} pass`),
    );
  }
  return before.filter((verdicts) => verdicts.every((verdict) => verdict.endsWith(' pass'))).length;
}

const byMailauth = (messages: readonly Buffer[]) => Promise.all(messages.map((message) => verifyByMailauth(message, records)));
const byDkimpy = (messages: readonly Buffer[]) => verifyAllByDkimpy(messages, records);

describe.each(CANONICALIZATIONS)('signed %s', { timeout: 120_000 }, (canonicalization) => {
  test.each([
    ['for the domain of the author', aligned],
    ['for another domain', foreign],
  ] as const)('by mailauth, %s', async (_, keys) => {
    const options = foreignSigning(canonicalization, keys);
    const signed = await Promise.all(
      whole.map(async ({ content }) => Buffer.concat([await signByMailauth(content, options), content])),
    );
    expect(await judge(signed, byMailauth)).toBe(whole.length);
  });

  test.skipIf(!dkimpyPresent()).each([
    ['for the domain of the author', aligned],
    ['for another domain', foreign],
  ] as const)('by dkimpy, %s', async (_, keys) => {
    const fields = await signAllByDkimpy(
      whole.map(({ content }) => content),
      foreignSigning(canonicalization, keys),
    );
    const signed = whole.map(({ content }, i) => Buffer.concat([fields[i]!, content]));
    expect(await judge(signed, byDkimpy)).toBe(whole.length);
  });
});

test('there are enough of them, with and without a Date field', () => {
  expect(whole.length).toBeGreaterThan(100);
  expect(whole.filter(({ content }) => !/^Date:/im.test(content.toString('latin1'))).length).toBeGreaterThan(5);
});
