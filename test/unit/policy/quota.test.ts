import { describe, expect, test, vi } from 'vitest';
import { createQuota } from '../../../src/policy/policy.ts';
import type { Limit, LimitUse } from '../../../src/smtp/limit.ts';
import { Refusal } from '../../../src/smtp/reply.ts';
import type { Credential } from '../../../src/store/store.ts';
import { CREDENTIAL } from '../../support/submission-rig.ts';

const NOW = 1_000_000;
const HOUR = 3_600_000;
const messages: Limit = { kind: 'messages', count: 10, per: 'day' };
const recipients: Limit = { kind: 'recipients', count: 5, per: 'hour' };
const newRecipients: Limit = { kind: 'newRecipients', count: 2, per: 'day' };
const use = (limit: Limit, used: number, resetsAt = NOW + (limit.per === 'hour' ? 1 : 3) * HOUR): LimitUse => ({
  limit,
  used,
  resetsAt,
});
const DEFAULTS = { list: [messages], over: 'refuse' } as const;

function rig({
  stored = [] as LimitUse[],
  known = [] as string[],
  limits = null as Credential['limits'],
  over = 'refuse' as 'refuse' | 'hold',
  now = NOW,
} = {}) {
  const limitUse = vi.fn(async () => stored);
  const knownRecipients = vi.fn(async (_user: string, addresses: readonly string[]) =>
    addresses.filter((one) => known.includes(one)),
  );
  const notify = vi.fn();
  const quota = createQuota({ messages: { limitUse, knownRecipients }, defaults: { ...DEFAULTS, over }, now: () => now, notify });
  const credential = { ...CREDENTIAL, limits };
  const result = async (work: () => Promise<void> | undefined): Promise<string> => {
    try {
      await work();
      return 'allowed';
    } catch (error) {
      if (error instanceof Refusal) return error.message;
      throw error;
    }
  };
  return { quota, credential, limitUse, knownRecipients, notify, result };
}

describe('which limits hold', () => {
  test('the defaults, or what the credential says; none for mail servers and for an empty list', () => {
    const { quota, credential } = rig();
    expect(quota.limitsOf(credential)).toEqual({ user: credential.name, list: [messages], over: 'refuse' });
    expect(quota.limitsOf({ ...credential, limits: [recipients] })?.list).toEqual([recipients]);
    expect(quota.limitsOf({ ...credential, limits: [] })).toBeUndefined();
    expect(quota.limitsOf({ ...credential, mailServer: true })).toBeUndefined();
    expect(quota.limitsOf({ ...credential, mailServer: true, limits: [messages] })?.list).toEqual([messages]);
    quota.reload({ list: [], over: 'hold' });
    expect(quota.limitsOf(credential)).toBeUndefined();
  });
});

describe('at MAIL', () => {
  test('the reply names limit and window', async () => {
    const { quota, credential, result } = rig({ stored: [use(messages, 10)] });
    expect(await result(() => quota.atMail(credential))).toBe('450 4.7.1 Limit of 10 messages per day reached, try again in 3 h');
  });

  test('the store is asked once, then what it said when counting is remembered', async () => {
    const { quota, credential, limitUse, result } = rig({ stored: [use(messages, 8)] });
    expect(await result(() => quota.atMail(credential))).toBe('allowed');
    expect(quota.atMail(credential)).toBeUndefined();
    quota.noteUse(credential, [use(messages, 10)]);
    expect(await result(() => quota.atMail(credential))).toContain('450 4.7.1');
    expect(limitUse).toHaveBeenCalledTimes(1);
  });

  test('what was used up is forgotten with the credential, and where the store was changed from outside', async () => {
    const { quota, credential, limitUse, result, notify } = rig({ stored: [use(messages, 0)] });
    quota.noteUse(credential, [use(messages, 10)]);
    expect(await result(() => quota.atMail(credential))).toContain('450 4.7.1');
    const namesake = { ...credential, createdAt: credential.createdAt + 1 };
    expect(await result(() => quota.atMail(namesake))).toBe('allowed');
    quota.noteUse(namesake, [use(messages, 8)]);
    expect(notify.mock.calls.map(([user, , percent]) => [user, percent])).toEqual([
      [credential, 100],
      [namesake, 80],
    ]);
    quota.forget();
    expect(await result(() => quota.atMail(credential))).toBe('allowed');
    expect(limitUse).toHaveBeenCalledTimes(2);
  });

  test('a window that has ended limits nothing, a raised limit holds at once', async () => {
    const { quota, credential, result } = rig({ stored: [use(messages, 10, NOW - 1)] });
    expect(await result(() => quota.atMail(credential))).toBe('allowed');
    quota.noteUse(credential, [use(messages, 10)]);
    expect(await result(() => quota.atMail({ ...credential, limits: [{ ...messages, count: 11 }] }))).toBe('allowed');
  });

  test('a window that ends farther ahead than it is long was begun by a wrong clock, and limits nothing', async () => {
    const { quota, credential, result } = rig();
    quota.noteUse(credential, [use(messages, 10, NOW + 365 * 24 * HOUR)]);
    expect(await result(() => quota.atMail(credential))).toBe('allowed');
  });

  test('a limit that is new to the credential is asked for', async () => {
    const { quota, credential, limitUse, result } = rig({ stored: [use(recipients, 0)], limits: [recipients] });
    await result(() => quota.atMail(credential));
    await result(() => quota.atMail({ ...credential, limits: [messages] }));
    expect(limitUse).toHaveBeenCalledTimes(2);
  });

  test('held mail is never refused', async () => {
    const { quota, credential, result, limitUse } = rig({ stored: [use(messages, 10)], over: 'hold' });
    expect(await result(() => quota.atMail(credential))).toBe('allowed');
    expect(await result(() => quota.atRecipient(credential, 'a@b.test', taken('c@b.test')))).toBe('allowed');
    expect(limitUse).not.toHaveBeenCalled();
  });
});

/** Recipients of the transaction so far. */
const taken = (...addresses: string[]) => new Map(addresses.map((address) => [address, {}]));

describe('at RCPT', () => {
  test('those of this transaction count', async () => {
    const { quota, credential, result } = rig({ stored: [use(recipients, 3)], limits: [recipients] });
    expect(await result(() => quota.atRecipient(credential, 'a@b.test', taken('1@b.test')))).toBe('allowed');
    expect(await result(() => quota.atRecipient(credential, 'a@b.test', taken('1@b.test', '2@b.test')))).toContain(
      '450 4.7.1 Limit of 5 recipients per hour',
    );
  });

  test('whether a recipient is new is asked only where no new one fits', async () => {
    const { quota, credential, result, knownRecipients } = rig({
      stored: [use(newRecipients, 1)],
      limits: [newRecipients],
      known: ['old@b.test'],
    });
    expect(await result(() => quota.atRecipient(credential, 'new@b.test', taken()))).toBe('allowed');
    expect(knownRecipients).not.toHaveBeenCalled();
    quota.noteUse(credential, [use(newRecipients, 2)]);
    expect(await result(() => quota.atRecipient(credential, 'old@b.test', taken()))).toBe('allowed');
    expect(await result(() => quota.atRecipient(credential, 'new@b.test', taken()))).toContain('first-time recipients per day');
  });
});

test('new recipients of one transaction count together: what does not fit is refused, the others go', async () => {
  const { quota, credential, result } = rig({ stored: [use(newRecipients, 0)], limits: [newRecipients], known: ['old@b.test'] });
  const at = (address: string, ...already: string[]) => result(() => quota.atRecipient(credential, address, taken(...already)));
  expect(await at('n2@b.test', 'n1@b.test')).toBe('allowed');
  expect(await at('n3@b.test', 'n1@b.test', 'n2@b.test')).toContain('450 4.7.1 Limit of 2 first-time recipients per day');
  expect(await at('old@b.test', 'n1@b.test', 'n2@b.test')).toBe('allowed');
  expect(await at('n2@b.test', 'n1@b.test', 'old@b.test')).toBe('allowed');
});

test('the store is asked about each recipient of a transaction once', async () => {
  const { quota, credential, result, knownRecipients } = rig({
    stored: [use(newRecipients, 2)],
    limits: [newRecipients],
    known: ['old@b.test'],
  });
  const already = new Map<string, unknown>();
  for (const address of ['old@b.test', 'new@b.test', 'old2@b.test']) {
    if ((await result(() => quota.atRecipient(credential, address, already))) === 'allowed') already.set(address, {});
  }
  expect(knownRecipients.mock.calls.map(([, addresses]) => addresses)).toEqual([['old@b.test'], ['new@b.test'], ['old2@b.test']]);
});

test('80 % and 100 % are told once a window', () => {
  const { quota, credential, notify } = rig();
  for (const used of [7, 8, 9, 10, 10]) quota.noteUse(credential, [use(messages, used)]);
  expect(notify.mock.calls.map(([, at, percent]) => [at.used, percent])).toEqual([
    [8, 80],
    [10, 100],
  ]);
  quota.noteUse(credential, [use(messages, 9, NOW + 30 * HOUR)]);
  expect(notify).toHaveBeenCalledTimes(3);
});

test('a failing store is no refusal', async () => {
  const quota = createQuota({
    messages: { limitUse: () => Promise.reject(new Error('disk')), knownRecipients: async () => [] },
    defaults: DEFAULTS,
  });
  await expect(quota.atMail({ ...CREDENTIAL, limits: null })).rejects.toThrow('disk');
});
