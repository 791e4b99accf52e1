/** mailauth and dkimpy verify our signatures on unusual messages: RFC 6376, RFC 8463. */
import { describe, expect, test } from 'vitest';
import { createDkimKeys, dkimRecord } from '../../src/signing/signing.ts';
import type { DkimKey } from '../../src/store/store.ts';
import { oddMessages } from '../support/dkim-corpus.ts';
import { dkimpyPresent, type Records, verifyAllByDkimpy, verifyByMailauth } from '../support/dkim-verifiers.ts';
import { NOW, prepare, signerWith } from '../support/prepare.ts';

const corpus = oddMessages();
const { keys, records } = await makeKeys();
const signer = signerWith(keys);
const bothPass = keys.map(({ algorithm, selector }) => `${algorithm} sender.test ${selector} pass`);

async function makeKeys(): Promise<{ keys: readonly DkimKey[]; records: Records }> {
  const made = (await createDkimKeys({ domain: 'sender.test', now: NOW })).map((key): DkimKey => ({ ...key, state: 'active' }));
  return { keys: made, records: Object.fromEntries(made.map(dkimRecord).map(({ name, value }) => [name, value])) };
}

async function signed({ content, smtpUtf8 = false }: (typeof corpus)[number]): Promise<Buffer> {
  const envelope = {
    reversePath: 'ann@sender.test',
    recipients: [{ address: 'bob@example.org' }],
    body: '8BITMIME',
    smtpUtf8,
  } as const;
  return (await prepare([content], { options: { signer }, request: { envelope } })).bytes;
}

test('the corpus has at least 200 messages, each with its own name', () => {
  expect(corpus.length).toBeGreaterThanOrEqual(200);
  expect(new Set(corpus.map(({ name }) => name)).size).toBe(corpus.length);
});

describe('both our signatures verify', () => {
  test.each(corpus)('by mailauth: $name', async (message) => {
    const verdicts = await verifyByMailauth(await signed(message), records);
    expect(verdicts.slice(0, 2)).toEqual(bothPass);
  });

  test.skipIf(!dkimpyPresent())('by dkimpy: the whole corpus', { timeout: 120_000 }, async () => {
    const messages = await Promise.all(corpus.map(signed));
    const verdicts = await verifyAllByDkimpy(messages, records);
    const wrong = corpus.flatMap(({ name }, i) =>
      JSON.stringify(verdicts[i]?.slice(0, 2)) === JSON.stringify(bothPass) ? [] : [{ name, verdicts: verdicts[i] }],
    );
    expect(wrong).toEqual([]);
  });

  test.skipIf(!dkimpyPresent())('neither verifies if an oversigned field is added', async () => {
    const message = await signed({ name: '', content: Buffer.from('From: ann@sender.test\r\nSubject: x\r\n\r\nHello\r\n') });
    for (const line of ['From: eve@evil.test', 'Subject: y', 'To: x@evil.test', 'Reply-To: eve@evil.test', 'Cc: a@evil.test']) {
      const forged = Buffer.concat([Buffer.from(`${line}\r\n`), message]);
      const [byDkimpy] = await verifyAllByDkimpy([forged], records);
      for (const verdict of [...(await verifyByMailauth(forged, records)), ...byDkimpy!]) expect(verdict).not.toMatch(/pass$/);
    }
  });
});
