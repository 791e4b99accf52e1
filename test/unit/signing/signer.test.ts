import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createDkimKeys, createSigner, type HeaderField, importDkimKey, parseTags } from '../../../src/signing/signing.ts';
import type { DkimKey } from '../../../src/store/store.ts';

const NOW = Date.UTC(2026, 10, 21);
const active = (keys: readonly DkimKey[]) => keys.map((key): DkimKey => ({ ...key, state: 'active' }));
const keys = active(await createDkimKeys({ domain: 'sender.test', selector: 's', now: NOW }));

function fieldsOf(text: string): HeaderField[] {
  return text
    .split(/\r\n(?![ \t])/)
    .filter((text) => text !== '')
    .map((text) => ({ name: text.split(':')[0]!.toLowerCase(), text: `${text}\r\n` }));
}

function rig(stored: readonly DkimKey[], noKey: 'send' | 'warn' | 'refuse' = 'send') {
  const warnings: [string, object][] = [];
  const state = { keys: stored, now: NOW, asked: 0, works: true };
  const signer = createSigner({
    operation: {
      async dkimKeys() {
        state.asked++;
        if (!state.works) throw new Error('store failed');
        return state.keys;
      },
    },
    noKey,
    warn: (event, fields) => warnings.push([event, fields]),
    now: () => state.now,
  });
  const sign = (fromDomain = 'sender.test', header = 'From: a@sender.test\r\nSubject: x\r\n') =>
    signer.sign({ fromDomain, fields: fieldsOf(header), bodyHash: 'x'.repeat(44), now: state.now });
  return { signer, sign, state, warnings };
}

/** Tags of each signature made, top to bottom. */
function tagsOf(header: string) {
  return fieldsOf(header).map(({ text }) => Object.fromEntries(parseTags(text.slice('DKIM-Signature:'.length))));
}

describe('RFC 6376 §3.5: the signature', () => {
  test('has the tags of rule 21 and no others', async () => {
    const { header, signatures } = await rig(keys).sign();
    const [rsa, ed] = tagsOf(header);
    expect(Object.keys(rsa!)).toEqual(['v', 'a', 'c', 'd', 's', 't', 'h', 'bh', 'b']);
    expect(rsa).toMatchObject({ v: '1', a: 'rsa-sha256', c: 'relaxed/relaxed', d: 'sender.test', s: 's', t: String(NOW / 1000) });
    expect(ed).toMatchObject({ a: 'ed25519-sha256', s: 's-ed' });
    expect(Buffer.from(ed!['b']!, 'base64')).toHaveLength(64);
    expect(signatures).toEqual(['s._domainkey.sender.test', 's-ed._domainkey.sender.test']);
  });

  test('is folded: no line is longer than 76 characters but its CRLF', async () => {
    const many = `List-Id: y\r\nReferences: <z@x.test>\r\n`.repeat(15);
    const { header } = await rig(keys).sign('sender.test', `From: a@sender.test\r\n${many}`);
    for (const line of header.split('\r\n')) expect(line.length).toBeLessThanOrEqual(76);
  });

  test('oversigns what must not be added, and signs the rest as often as it is there', async () => {
    const header =
      'Received: x\r\nFrom: a@sender.test\r\nCc: b@x.test\r\nCc: c@x.test\r\nSender: a@sender.test\r\nList-Unsubscribe: <u>\r\n';
    const [{ h = '' } = {}] = tagsOf((await rig(keys).sign('sender.test', `${header}X-Other: y\r\n`)).header);
    const counts: Record<string, number> = {};
    for (const name of h.split(':')) counts[name] = (counts[name] ?? 0) + 1;
    expect(counts).toEqual({
      from: 2,
      to: 1,
      cc: 3,
      subject: 1,
      date: 1,
      'message-id': 1,
      'reply-to': 1,
      'mime-version': 1,
      'content-type': 1,
      'content-transfer-encoding': 1,
      'list-unsubscribe': 1,
    });
  });

  test('leaves out what servers on the way remove or write anew', async () => {
    const volatile =
      'Sender: a@sender.test|Content-Length: 5|Content-Language: de|Lines: 5|Status: RO|Resent-From: a@sender.test|Resent-To: b@x.test|Return-Path: <a@sender.test>|Received: x|List-X: y|Content-X: y'.split(
        '|',
      );
    const [{ h = '' } = {}] = tagsOf(
      (await rig(keys).sign('sender.test', `From: a@sender.test\r\n${volatile.join('\r\n')}\r\n`)).header,
    );
    for (const field of volatile) expect(h.split(':')).not.toContain(field.split(':')[0]!.toLowerCase());
  });

  test('a header of thousands of equal fields does not become a signature of the same size', async () => {
    for (const name of ['List-Id', 'Cc', 'References', 'Content-Type', 'X-Other']) {
      const bomb = `From: a@sender.test\r\n${`${name}: y\r\n`.repeat(20_000)}`;
      expect((await rig(keys).sign('sender.test', bomb)).header.length).toBeLessThan(2600);
    }
  });
});

describe('which key signs', () => {
  test('the one of the From domain, else of the nearest parent that has one', async () => {
    const parent = active(await createDkimKeys({ domain: 'test', selector: 'top', now: NOW }));
    const { sign } = rig([...keys, ...parent]);
    expect((await sign('mail.sub.sender.test')).signatures[0]).toBe('s._domainkey.sender.test');
    expect((await sign('other.test')).signatures[0]).toBe('top._domainkey.test');
    expect((await sign('notsender.example')).signatures).toEqual([]);
    expect((await sign('xsender.test')).signatures[0]).toBe('top._domainkey.test');
  });

  test('active ones only, the newest of each algorithm', async () => {
    const newer = active(await createDkimKeys({ domain: 'sender.test', selector: 'n', now: NOW + 1 }));
    const pending = await createDkimKeys({ domain: 'sender.test', selector: 'p', now: NOW + 2 });
    const { sign } = rig([...keys, newer[0]!, ...pending]);
    expect((await sign()).signatures).toEqual(['n._domainkey.sender.test', 's-ed._domainkey.sender.test']);
    expect((await rig(pending).sign()).signatures).toEqual([]);
  });

  test('a change is seen after two seconds, or at once after forget', async () => {
    const { signer, sign, state } = rig([]);
    expect((await sign()).signatures).toEqual([]);
    state.keys = keys;
    state.now += 1999;
    expect((await sign()).signatures).toEqual([]);
    expect(state.asked).toBe(1);
    state.now += 1;
    expect((await sign()).signatures).toHaveLength(2);
    state.keys = [];
    signer.forget();
    expect((await sign()).signatures).toEqual([]);
  });

  test('the store is asked once for many messages at the same time', async () => {
    const { sign, state } = rig(keys);
    await Promise.all(Array.from({ length: 20 }, () => sign()));
    expect(state.asked).toBe(1);
  });
});

describe('a message that is signed already', () => {
  const signedBy = (d: string) =>
    `DKIM-Signature: v=1; a=rsa-sha256;\r\n d=${d}; s=x; h=from; bh=x; b=x\r\nFrom: a@sender.test\r\n`;
  test.each(['sender.test', 'SENDER.test', 'mail.sender.test', 'test', 'other.example', ''])(
    'by d=%s gets ours on top: whether that one verifies is not known here',
    async (d) => {
      expect((await rig(keys).sign('sender.test', signedBy(d))).signatures).toHaveLength(2);
    },
  );
  test('is refused like any other where there is no key of ours and noKey is refuse', async () => {
    await expect(rig([], 'refuse').sign('sender.test', signedBy('sender.test'))).rejects.toMatchObject({
      reply: { code: 550, status: '5.7.20' },
    });
  });
  test('200 foreign signatures are no obstacle', async () => {
    const many = signedBy('other.example').split('From')[0]!.repeat(200);
    expect((await rig(keys).sign('sender.test', `${many}From: a@sender.test\r\n`)).signatures).toHaveLength(2);
  });
  test('two From fields are never signed', async () => {
    expect((await rig(keys).sign('sender.test', 'From: a@sender.test\r\nFrom: b@sender.test\r\n')).signatures).toEqual([]);
  });
});

describe('a domain without a key', () => {
  test('send: the mail goes unsigned, nobody is told', async () => {
    const { sign, warnings } = rig([]);
    expect(await sign()).toMatchObject({ signatures: [] });
    expect(warnings).toEqual([]);
  });

  test('warn: the operator is told, once an hour', async () => {
    const { sign, warnings } = rig([], 'warn');
    await sign();
    await sign();
    expect(warnings).toEqual([['unsigned', { domain: 'sender.test', reason: 'no active DKIM key' }]]);
  });

  test('refuse: 550 5.7.20, until it is reloaded', async () => {
    const { sign, signer } = rig([], 'refuse');
    await expect(sign()).rejects.toMatchObject({ reply: { code: 550, status: '5.7.20' } });
    signer.reload({ noKey: 'send' });
    expect((await sign()).signatures).toEqual([]);
  });
});

describe('what is our fault is not a Refusal', () => {
  test.each([
    ['a key that is no key', { ...keys[0]!, privateKey: 'junk' }],
    ['a key of the wrong kind', { ...keys[0]!, privateKey: keys[1]!.privateKey }],
    [
      'an RSA key of 768 bits',
      {
        ...keys[0]!,
        privateKey: generateKeyPairSync('rsa', { modulusLength: 768 }).privateKey.export({
          type: 'pkcs8',
          format: 'pem',
        }) as string,
      },
    ],
  ])('%s', async (_, key) => {
    const error = await rig([key])
      .sign()
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toHaveProperty('reply');
    expect(String(error)).not.toContain('junk');
  });

  test('a store that fails, which is asked again at the next message', async () => {
    const { sign, state } = rig(keys);
    state.works = false;
    await expect(sign()).rejects.toThrow('store failed');
    state.works = true;
    expect((await sign()).signatures).toHaveLength(2);
  });

  test('RSA of 1024 bits signs, with a warning', async () => {
    const pem = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs1', format: 'pem' }) as string;
    const { sign, warnings } = rig(active([importDkimKey({ domain: 'sender.test', selector: 'w', pem, now: NOW })]));
    await sign();
    await sign();
    expect(warnings).toEqual([['weakDkimKey', { domain: 'sender.test', selector: 'w', bits: 1024, recommended: 2048 }]]);
  });
});
