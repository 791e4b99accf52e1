/** Mail that receivers will not believe is refused only on fresh and certain knowledge: RFC 9989 §5.3. */
import { describe, expect, test } from 'vitest';
import { dkimRecord } from '../../../src/signing/signing.ts';
import { HOUR, MINUTE, SECOND } from '../../../src/system/clock.ts';
import { PUBLISHED, SHOP, SHOP_KEYS, SHOP_SIGNATURES, startSenderRig, type Texts } from '../../support/sender-rig.ts';

const POLICY = `_dmarc.${SHOP}`;
/** The policy asks to refuse, the keys are missing, and SPF does not allow us. */
const BAD: Texts = { [POLICY]: 'v=DMARC1; p=reject', [SHOP]: 'v=spf1 ip4:192.0.2.1 -all' };

/** After two evaluations that agree, the newest of them now. */
async function certain(texts: Texts = BAD, more: Parameters<typeof startSenderRig>[0] = {}) {
  const rig = await startSenderRig({ texts, ...more });
  expect(await rig.send()).toBe('accepted');
  await rig.pass(16 * MINUTE);
  return rig;
}

describe('refuse', () => {
  test('p=reject and a missing key: the reply names the domain, the policy, what is missing, and the record to publish', async () => {
    const { send } = await certain();
    const { name, value } = dkimRecord(SHOP_KEYS[0]!);
    const reply = await send();
    expect(reply.split('\n')[0]).toBe(
      `550 5.7.26 Receivers would refuse this mail From ${SHOP}, by the DMARC record of ${SHOP}: v=DMARC1; p=reject`,
    );
    expect(reply).toContain(`the DNS has no record at ${name}, and SPF of ${SHOP} does not pass for it.`);
    expect(reply).toContain(`Publish this TXT record of ${name}:\n${value.slice(0, 400)}`);
    expect(reply.split('\n').every((line) => line.length < 490)).toBe(true);
    expect(reply.replaceAll('\n', '')).toContain(value);
  });

  test('without a key of the domain, it says how to make one', async () => {
    const { send, pass } = await startSenderRig({ texts: BAD, keys: [] });
    const unsigned = { signatures: [] };
    expect(await send(unsigned)).toBe('accepted');
    await pass(16 * MINUTE);
    expect(await send(unsigned)).toContain(`this relay has no DKIM key of ${SHOP}`);
    expect(await send(unsigned)).toContain(`smarthost domain add ${SHOP}\nOr publish this TXT record of ${SHOP}:\nv=spf1`);
  });

  test.each<[string, Texts]>([
    ['one key is published', { ...BAD, [SHOP_SIGNATURES[1]!]: PUBLISHED[SHOP_SIGNATURES[1]!] }],
    ['SPF allows our address', { ...BAD, [SHOP]: 'v=spf1 ip4:203.0.113.5 -all' }],
    ['the policy is quarantine', { ...BAD, [POLICY]: 'v=DMARC1; p=quarantine' }],
    ['the policy is tested only', { ...BAD, [POLICY]: 'v=DMARC1; p=reject; t=y' }],
    ['there is no policy', { ...BAD, [POLICY]: undefined }],
    ['SERVFAIL for the policy', { ...BAD, [POLICY]: 'fault' }],
    ['SERVFAIL for a key', { ...BAD, [SHOP_SIGNATURES[0]!]: 'fault' }],
    ['SERVFAIL for SPF', { ...BAD, [SHOP]: 'fault' }],
  ])('accepted: %s', async (_, texts) => {
    const { send } = await certain(texts);
    expect(await send()).toBe('accepted');
  });

  test('accepted after one evaluation only, and refused when a second one agrees', async () => {
    const { send, pass } = await startSenderRig({ texts: BAD, ttl: 5 * MINUTE });
    expect(await send()).toBe('accepted');
    await pass(59 * SECOND);
    expect(await send()).toBe('accepted');
    await pass(5 * MINUTE);
    expect(await send()).toMatch(/^550 5\.7\.26 /);
  });

  test('accepted while the newest evaluation has failed, and after a verdict in between', async () => {
    const { send, texts, pass } = await certain();
    expect(await send()).toMatch(/^550 /);
    texts[POLICY] = 'fault';
    await pass(16 * MINUTE);
    expect(await send()).toBe('accepted');
    texts[POLICY] = 'v=DMARC1; p=reject';
    await pass(6 * MINUTE);
    expect(await send()).toBe('accepted');
    await pass(16 * MINUTE);
    expect(await send()).toMatch(/^550 /);
  });

  test('a verdict of more than an hour ago does not refuse: the client waits for a new one, for two seconds at most', async () => {
    const { store, verdicts, pass } = await certain();
    await verdicts.close(); // stores it; nothing is evaluated while the relay is stopped
    await pass(2 * HOUR);
    const silent = { ...BAD, [POLICY]: new Promise<void>(() => {}) };
    const later = await startSenderRig({ texts: silent, store });
    let end = 'waits';
    const sent = later.send().then((reply) => (end = reply));
    await later.pass(1999);
    expect(end).toBe('waits');
    await later.pass(1);
    await sent;
    expect(end).toBe('accepted');
  });

  test('a stored verdict and a new one that agree are two evaluations', async () => {
    const first = await startSenderRig({ texts: BAD });
    await first.send();
    await first.verdicts.close();
    await first.pass(2 * HOUR);
    const later = await startSenderRig({ texts: BAD, store: first.store });
    expect(later.asked).toEqual([]);
    expect(await later.send()).toMatch(/^550 /);
  });

  test('a signature of the domain that the message brought is enough, and one of a stranger is not', async () => {
    const { send } = await certain();
    expect(await send({ broughtBy: [SHOP] })).toBe('accepted');
    expect(await send({ broughtBy: [`news.${SHOP}`] })).toBe('accepted');
    expect(await send({ broughtBy: ['workshop.test'] })).toMatch(/^550 /);
  });

  test('under adkim=s, only one of the very domain is', async () => {
    const { send } = await certain({ ...BAD, [POLICY]: 'v=DMARC1; p=reject; adkim=s' });
    expect(await send({ broughtBy: [`news.${SHOP}`] })).toMatch(/^550 /);
    expect(await send({ broughtBy: [SHOP] })).toBe('accepted');
  });

  test('mail by an upstream is not refused, because its addresses are not known', async () => {
    const { send, told, pass } = await startSenderRig({ texts: BAD });
    const routed = { isDirect: () => false };
    expect(await send(routed)).toBe('accepted');
    await pass(16 * MINUTE);
    expect(await send(routed)).toBe('accepted');
    expect(told).toEqual([]);
    expect(await send()).toMatch(/^550 /);
  });

  test('of several authors, the worst decides', async () => {
    const { send, pass } = await startSenderRig({ texts: { ...BAD, ...PUBLISHED, '_dmarc.bad.test': 'v=DMARC1; p=reject' } });
    const both = { from: [SHOP, 'bad.test'] };
    expect(await send(both)).toBe('accepted');
    await pass(16 * MINUTE);
    expect(await send(both)).toMatch(/^550 .* From bad\.test/);
    expect(await send()).toBe('accepted');
  });

  test('the null sender counts as the host name', async () => {
    const { send, pass } = await startSenderRig({ texts: BAD });
    expect(await send({ envelope: '' })).toBe('accepted');
    await pass(16 * MINUTE);
    expect(await send({ envelope: '' })).toContain('SPF of relay.test does not pass for it');
  });

  test('the first message of a sender waits for its verdict, for two seconds at most', async () => {
    const never = new Promise<void>(() => {});
    const { send, pass } = await startSenderRig({ texts: { ...BAD, [POLICY]: never } });
    let end = 'waits';
    const sent = send().then((reply) => (end = reply));
    await pass(1999);
    expect(end).toBe('waits');
    await pass(1);
    await sent;
    expect(end).toBe('accepted');
  });
});

describe('warn', () => {
  const warn = { settings: { mode: 'warn' } } as const;

  test('the mail goes without a wait, and the operator is told once in an hour', async () => {
    const { check, send, told, pass } = await startSenderRig({ texts: BAD, ...warn });
    const mail = { user: 'app', from: [SHOP], envelope: SHOP, signatures: SHOP_SIGNATURES, broughtBy: [], isDirect: () => true };
    expect(check.check(mail)).toBeUndefined();
    await pass(SECOND);
    expect(told).toMatchObject([{ domain: SHOP, verdict: 'rejected', user: 'app' }]);
    expect(check.check(mail)).toBeUndefined();
    for (let i = 0; i < 10; i++) expect(await send()).toBe('accepted');
    expect(told).toHaveLength(1);
    await pass(HOUR);
    await send();
    expect(told).toHaveLength(2);
  });

  test('a domain that nothing authenticates is told too, and one that is authenticated is not', async () => {
    const weak = await startSenderRig({ texts: {}, ...warn });
    await weak.send();
    await weak.pass(SECOND);
    expect(weak.told).toMatchObject([{ verdict: 'weak' }]);
    const good = await startSenderRig({ texts: PUBLISHED, ...warn });
    await good.send();
    await good.pass(SECOND);
    expect(good.told).toEqual([]);
  });
});

test('with `off` nothing is asked and nothing waits', async () => {
  const { send, asked, verdicts } = await startSenderRig({ texts: BAD, settings: { mode: 'off' } });
  expect(await send()).toBe('accepted');
  expect([asked, verdicts.counts()]).toEqual([[], {}]);
});

test('the first rule that fits the credential and the domain decides', async () => {
  const rules = [
    { user: 'Scanner', domain: SHOP, mode: 'off' },
    { domain: '.shop.test', mode: 'off' },
    { user: 'app@shop.test', mode: 'refuse' },
  ] as const;
  const { send, asked, pass, check } = await startSenderRig({ texts: BAD, settings: { mode: 'off', rules } });
  await send({ user: 'scanner' });
  await send({ from: ['news.shop.test'] });
  await send({ user: 'other' });
  expect(asked).toEqual([]);
  await send();
  await pass(16 * MINUTE);
  expect(await send()).toMatch(/^550 /);
  expect(await send({ user: 'scanner' })).toBe('accepted');
  check.reload({ mode: 'warn', rules: [] });
  expect(await send()).toBe('accepted');
});

test('a verdict that is known costs one look at memory', async () => {
  const { check, send, asked, pass } = await startSenderRig({ texts: PUBLISHED });
  await send();
  await pass(SECOND);
  const before = asked.length;
  for (let i = 0; i < 10_000; i++) {
    const mail = { user: 'app', from: [SHOP], envelope: SHOP, signatures: SHOP_SIGNATURES, broughtBy: [], isDirect: () => true };
    expect(check.check(mail)).toBeUndefined();
  }
  expect(asked.length).toBe(before);
});
