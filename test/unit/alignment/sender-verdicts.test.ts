/** Verdicts about senders are known before they are needed, with few questions to the DNS, and none at a start. */
import { describe, expect, test } from 'vitest';
import { DAY, HOUR, MINUTE, SECOND } from '../../../src/system/clock.ts';
import { HOST, PUBLISHED, SHOP, SHOP_SIGNATURES, startSenderRig, type Texts } from '../../support/sender-rig.ts';

const POLICY = `_dmarc.${SHOP}`;
const BAD: Texts = { [POLICY]: 'v=DMARC1; p=reject', [SHOP]: `v=spf1 a:${HOST} -all` };
const warn = { settings: { mode: 'warn' } } as const;

describe('questions to the DNS', () => {
  test('a sender whose own key is published costs one for each key', async () => {
    const { send, asked, pass } = await startSenderRig({ texts: PUBLISHED, ...warn });
    await send();
    await pass(SECOND);
    expect(asked).toEqual(SHOP_SIGNATURES.map((name) => `TXT ${name}`));
  });

  test('a usual domain that fails costs seven at most, and no question is asked twice', async () => {
    const { send, asked, pass } = await startSenderRig({ texts: BAD, ...warn });
    await send();
    await pass(SECOND);
    expect(asked).toHaveLength(new Set(asked).size);
    expect(asked.length).toBeLessThanOrEqual(7);
  });

  test('the worst domain costs 22 at most', async () => {
    const long = `a.b.c.d.e.f.g.h.i.j.${SHOP}`;
    const spf = Object.fromEntries(
      Array.from({ length: 10 }, (_, i) => [`s${i}.test`, i < 9 ? `v=spf1 include:s${i + 1}.test -all` : 'v=spf1 -all']),
    );
    const { send, asked, pass } = await startSenderRig({ texts: { [long]: 'v=spf1 include:s0.test -all', ...spf }, ...warn });
    await send({ from: [long], envelope: long });
    await pass(SECOND);
    expect(asked.length).toBeGreaterThan(15);
    expect(asked.length).toBeLessThanOrEqual(22);
  });

  test.each([
    ['that fails', BAD, HOUR],
    ['that fails, with short TTLs', BAD, SECOND],
    ['that is right, with short TTLs', { ...PUBLISHED }, SECOND],
    ['without an answer', { [POLICY]: 'fault', [SHOP]: 'fault' }, SECOND],
  ] as const)('ten thousand messages of a domain %s cost 40 in an hour', async (_, texts, ttl) => {
    const { send, asked, pass } = await startSenderRig({ texts, ttl, ...warn });
    for (let minute = 0; minute < 60; minute++) {
      for (let i = 0; i < 167; i++) await send();
      await pass(MINUTE);
    }
    expect(asked.length).toBeLessThanOrEqual(40);
  });

  test('a thousand random domains in a minute begin 300 evaluations at most, and no message waits', async () => {
    const { check, asked, pass } = await startSenderRig();
    const waiting: Promise<unknown>[] = [];
    for (let second = 0; second < 60; second++) {
      for (let i = 0; i < 17; i++) {
        const domain = `d${second}-${i}.test`;
        const mail = { user: 'x', from: [domain], envelope: domain, signatures: [], broughtBy: [], isDirect: () => true };
        const wait = check.check(mail);
        if (wait !== undefined) waiting.push(wait);
      }
      await pass(SECOND);
    }
    await Promise.all(waiting);
    const evaluated = asked.filter((question) => /^TXT _dmarc\.d\d+-\d+\.test$/.test(question));
    expect(evaluated.length).toBeGreaterThan(200);
    expect(evaluated.length).toBeLessThanOrEqual(300);
  });
});

describe('a change in the DNS', () => {
  test('a key that is removed is seen within 65 minutes, and its return too', async () => {
    const { send, texts, pass, verdicts, events } = await startSenderRig({ texts: { ...BAD, ...PUBLISHED }, ...warn });
    const verdict = () => verdicts.look({ domain: SHOP, envelope: SHOP, signatures: SHOP_SIGNATURES.join(' ') })?.verdict;
    await send();
    await pass(3 * HOUR);
    expect(verdict()).toBe('ok');
    for (const name of SHOP_SIGNATURES) texts[name] = undefined;
    await pass(65 * MINUTE);
    expect(verdict()).toBe('rejected');
    Object.assign(texts, PUBLISHED);
    await pass(16 * MINUTE);
    expect(verdict()).toBe('ok');
    expect(events.map(({ fields }) => fields)).toEqual([
      { domain: SHOP, envelope: SHOP, verdict: 'rejected', before: 'ok' },
      { domain: SHOP, envelope: SHOP, verdict: 'ok', before: 'rejected' },
    ]);
  });

  test('other signatures are another question', async () => {
    const { send, asked, pass, verdicts } = await startSenderRig({ texts: BAD, ...warn });
    await send();
    await pass(SECOND);
    const before = asked.length;
    expect(verdicts.look({ domain: SHOP, envelope: SHOP, signatures: '' })).toBeUndefined();
    await pass(SECOND);
    expect(asked.length).toBeGreaterThan(before);
  });
});

describe('a restart', () => {
  test('asks nothing for verdicts that are still valid, and five senders a second for the others', async () => {
    const first = await startSenderRig(warn);
    for (let i = 0; i < 30; i++) {
      await first.send({ from: [`d${i}.test`], envelope: `d${i}.test`, signatures: [] });
      await first.pass(SECOND);
    }
    await first.verdicts.close();
    const soon = await startSenderRig({ ...warn, store: first.store });
    await soon.pass(10 * SECOND);
    expect(soon.asked).toEqual([]);
    await soon.verdicts.close();
    await soon.pass(2 * HOUR);
    const later = await startSenderRig({ ...warn, store: first.store });
    expect(later.verdicts.counts()).toEqual({ weak: 30 });
    const seen = () => later.asked.filter((question) => /^TXT _dmarc\.d\d+\.test$/.test(question)).length;
    for (let second = 1; second <= 6; second++) {
      await later.pass(SECOND);
      expect(seen()).toBeLessThanOrEqual(5 * second);
    }
    await later.pass(5 * SECOND);
    expect(seen()).toBe(30);
  });

  test('a sender that nobody used for a day is forgotten', async () => {
    const { send, asked, pass, verdicts, store } = await startSenderRig({ texts: BAD, ...warn });
    await send();
    await pass(DAY + MINUTE);
    expect(verdicts.counts()).toEqual({});
    const before = asked.length;
    await pass(HOUR);
    expect(asked.length).toBe(before);
    const again = await startSenderRig({ ...warn, store });
    expect(again.verdicts.counts()).toEqual({});
  });
});
