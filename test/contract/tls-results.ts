/** What every store promises about counted TLS sessions and reports: run as `store.ts` is. */
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  isFurtherTlsPolicies,
  type NewTlsReport,
  type Store,
  type TlsFailureDetail,
  type TlsSessionCount,
} from '../../src/store/store.ts';
import { asLeader } from '../support/led.ts';
import { delayedAttempt, NOW, newMessage, relayedAttempt } from '../support/store-rig.ts';

type Client = Pick<Store, 'messages' | 'tlsResults'>;
export type ResultsSubject = {
  readonly name: string;
  open(): Promise<{ readonly one: Client; readonly two: Client; close(): Promise<void> }>;
};

const DAY = 20_000;
const failure = (rest: Partial<TlsFailureDetail> = {}): TlsFailureDetail => ({
  ...{ type: 'certificate-expired', sendingIp: '192.0.2.1', mx: 'mx.x.example', helo: null, receivingIp: '192.0.2.2' },
  ...{ reason: 'expired', count: 1 },
  ...rest,
});
const count = (rest: Partial<TlsSessionCount> = {}): TlsSessionCount => ({
  ...{ day: DAY, domain: 'x.example', ok: 3, failed: 1, failures: [failure()] },
  policy: {
    key: 'sts1',
    type: 'sts',
    domain: 'x.example',
    strings: ['version: STSv1', 'mode: enforce'],
    mxHosts: ['*.x.example'],
  },
  ...rest,
});
const isPolicyOfFurther = ({ policy }: TlsSessionCount) => isFurtherTlsPolicies(policy);
const TLSA = { key: 'tlsa1', type: 'tlsa', domain: 'mx.y.example', strings: ['3 1 1 AB'], mxHosts: [] } as const;
const MAILTO = 'mailto:tls@x.example';
const mail = () => newMessage({ to: ['tls@x.example'], user: null, reversePath: '', tlsReport: true });
const report = (rest: Partial<NewTlsReport> = {}): NewTlsReport => ({
  ...{ rua: MAILTO, reportId: 'r1@relay.example', state: 'queued', lastError: null, message: mail() },
  ...rest,
});
const toHttps = (rua = 'https://r.example/'): NewTlsReport => ({
  rua,
  reportId: 'r1@relay.example',
  state: 'due',
  lastError: null,
});
const added = (reports: readonly NewTlsReport[], rest: { day?: number; domain?: string; at?: number } = {}) => ({
  ...{ day: DAY, domain: 'x.example', at: NOW, ...rest },
  reports,
});

export function tlsResultsContract({ name, open }: ResultsSubject): void {
  async function opened() {
    const subject = await open();
    onTestFinished(() => subject.close());
    return [subject.one, subject.two] as const;
  }

  async function ends(client: Client, id: string, state: 'relayed' | 'failed'): Promise<void> {
    const lease = 'one#1';
    await client.messages.claim({ destination: 'x.example', now: NOW, limit: 9, lease });
    const attempt = state === 'relayed' ? relayedAttempt : delayedAttempt;
    await client.messages.settle({
      ...{ messageId: id, lease, at: NOW },
      changes: [{ n: 0, state, attempt, lastReply: state === 'failed' ? '550 5.1.1 No such address' : '250 Ok' }],
    });
  }

  describe(`${name}: counted TLS sessions`, () => {
    test('counts of several processes are added up, and policies come back as they were met', async () => {
      const [one, two] = await opened();
      await one.tlsResults.addTlsResults([count(), count({ policy: TLSA, ok: 1, failed: 0, failures: [] })]);
      await two.tlsResults.addTlsResults([count({ failed: 2, failures: [failure({ count: 2 })] })]);
      await two.tlsResults.addTlsResults([count({ day: DAY + 1 }), count({ domain: 'z.example' })]);
      expect(await one.tlsResults.tlsResults(DAY, 'x.example')).toEqual([
        count({ ok: 6, failed: 3, failures: [failure({ count: 3 })] }),
        count({ policy: TLSA, ok: 1, failed: 0, failures: [] }),
      ]);
    });

    test('after a hundred kinds of failure of a policy on a day, further ones are counted by their type alone', async () => {
      const [one] = await opened();
      const kinds = Array.from({ length: 130 }, (_, i) => failure({ receivingIp: `192.0.2.${i}` }));
      await one.tlsResults.addTlsResults([count({ failures: kinds.slice(0, 60) })]);
      await one.tlsResults.addTlsResults([count({ failures: kinds })]);
      const [result] = await one.tlsResults.tlsResults(DAY, 'x.example');
      const nowhere = { sendingIp: null, mx: null, helo: null, receivingIp: null, reason: null };
      expect(result?.failures).toHaveLength(101);
      expect(result?.failures[0]).toEqual(failure({ ...nowhere, count: 30 }));
      expect(result?.failures.reduce((sum, { count: n }) => sum + n, 0)).toBe(190);
    });

    test('after a hundred policies of a domain on a day, sessions under further ones are counted by the type of the policy alone', async () => {
      const [one, two] = await opened();
      const met = (i: number) => count({ policy: { ...TLSA, key: `tlsa${i}`, strings: [`3 1 1 ${i}`] } });
      await one.tlsResults.addTlsResults(Array.from({ length: 60 }, (_, i) => met(i)));
      await two.tlsResults.addTlsResults(Array.from({ length: 130 }, (_, i) => met(i)));
      await two.tlsResults.addTlsResults([count(), met(7), count({ domain: 'y.example' })]);
      const results = await one.tlsResults.tlsResults(DAY, 'x.example');
      expect(results).toHaveLength(102);
      const further = results.filter(isPolicyOfFurther);
      expect(further.map(({ policy, ok, failed }) => [policy, ok, failed])).toEqual([
        [{ ...TLSA, key: expect.any(String), domain: 'x.example', strings: [] }, 90, 30],
        [{ key: expect.any(String), type: 'sts', domain: 'x.example', strings: [], mxHosts: [] }, 3, 1],
      ]);
      expect(further.map(({ failures }) => failures)).toEqual([[failure({ count: 30 })], [failure()]]);
      expect(results.find(({ policy }) => policy.key === 'tlsa7')).toMatchObject({ ok: 9, failed: 3 });
      expect(results.reduce((sum, { ok, failed }) => sum + ok + failed, 0)).toBe(192 * 4);
      expect((await one.tlsResults.tlsResults(DAY, 'y.example')).filter(isPolicyOfFurther)).toEqual([]);
    });

    test('a TLSA base hears of the sessions of all domains that were held to its records', async () => {
      const [one, two] = await opened();
      const own = count({ policy: TLSA });
      await one.tlsResults.addTlsResults([own, count({ domain: 'a.example', policy: TLSA }), count({ domain: 'a.example' })]);
      const found = await two.tlsResults.tlsResults(DAY, 'mx.y.example');
      expect(found.map(({ domain, policy }) => [domain, policy.key])).toEqual([
        ['a.example', 'tlsa1'],
        ['x.example', 'tlsa1'],
      ]);
      expect(await two.tlsResults.unreportedTlsDomains({ day: DAY, after: '', limit: 9 })).toEqual([
        ...['a.example', 'mx.y.example', 'x.example'],
      ]);
      expect(await two.tlsResults.unreportedTlsDomains({ day: DAY, after: 'a.example', limit: 1 })).toEqual(['mx.y.example']);
      expect(await two.tlsResults.unreportedTlsDomains({ day: DAY + 1, after: '', limit: 9 })).toEqual([]);
    });

    test('failures are shown with their policy, the latest first, and old days are forgotten', async () => {
      const [one, two] = await opened();
      await one.tlsResults.addTlsResults([count(), count({ day: DAY + 1 })]);
      await one.tlsResults.addTlsReports(added([toHttps()]));
      const rows = await two.tlsResults.tlsFailures({ since: DAY, limit: 9 });
      expect(rows).toEqual(
        [DAY + 1, DAY].map((day) => ({ day, domain: 'x.example', policy: 'sts', policyDomain: 'x.example', ...failure() })),
      );
      expect(await two.tlsResults.tlsFailures({ since: DAY + 1, limit: 9 })).toHaveLength(1);
      while (await asLeader(two.tlsResults).trimTlsResults(DAY + 1));
      expect(await one.tlsResults.tlsResults(DAY, 'x.example')).toEqual([]);
      expect(await one.tlsResults.tlsReports({ limit: 9 })).toEqual([]);
      expect(await one.tlsResults.tlsResults(DAY + 1, 'x.example')).toEqual([count({ day: DAY + 1 })]);
    });
  });

  describe(`${name}: TLS reports`, () => {
    test('of several that write the same report one does, and its mail is there once', async () => {
      const [one, two] = await opened();
      const written = await Promise.all(
        [one, two, one, two].map(({ tlsResults }) => tlsResults.addTlsReports(added([report(), toHttps()]))),
      );
      expect(written.filter((ruas) => ruas.length === 2)).toHaveLength(1);
      expect(written.filter((ruas) => ruas.length === 0)).toHaveLength(3);
      const [claim, ...others] = await two.messages.claim({ destination: 'x.example', now: NOW, limit: 9, lease: 'two#1' });
      expect(others).toEqual([]);
      expect(claim?.message).toMatchObject({ tlsReport: true, reversePath: '' });
      const rows = await one.tlsResults.tlsReports({ day: DAY, domain: 'x.example', limit: 9 });
      expect(rows.map(({ rua, state, queueId, nextAt, createdAt }) => [rua, state, queueId, nextAt, createdAt])).toEqual([
        ['https://r.example/', 'due', null, NOW, NOW],
        [MAILTO, 'queued', claim?.message.id, null, NOW],
      ]);
      expect(await one.tlsResults.unreportedTlsDomains({ day: DAY, after: '', limit: 9 })).toEqual([]);
      expect(await one.tlsResults.countTlsReports(NOW)).toBe(2);
      expect(await one.tlsResults.countTlsReports(NOW + 1)).toBe(0);
    });

    test('a mail whose queue ID is taken is refused with EEXIST, and nothing of the report is there', async () => {
      const [one, two] = await opened();
      const taken = newMessage({ to: ['a@x.example'] });
      await one.messages.accept({ message: taken });
      const refused = two.tlsResults.addTlsReports(added([toHttps(), report({ message: { ...mail(), id: taken.id } })]));
      await expect(refused).rejects.toMatchObject({ code: 'EEXIST' });
      expect(await one.tlsResults.tlsReports({ limit: 9 })).toEqual([]);
    });

    test.each(['relayed', 'failed'] as const)('a report whose mail has %s says so, once', async (state) => {
      const [one, two] = await opened();
      const copy = report();
      await one.tlsResults.addTlsReports(added([copy]));
      expect(await two.tlsResults.endedTlsReports()).toEqual([]);
      await ends(one, copy.message!.id, state);
      const [ended] = await two.tlsResults.endedTlsReports();
      expect(ended).toMatchObject(
        state === 'relayed'
          ? { state: 'sent', attempts: 1, lastError: null }
          : { state: 'failed', lastError: '550 5.1.1 No such address' },
      );
      expect(await one.tlsResults.endedTlsReports()).toEqual([]);
      expect(await one.tlsResults.tlsReports({ limit: 9 })).toEqual([ended]);
    });

    test('what is due by HTTPS is handed to one, and comes again where nothing is heard of it', async () => {
      const [one, two] = await opened();
      await one.tlsResults.addTlsReports(added([toHttps()]));
      const claim = (client: Client, now: number) => client.tlsResults.claimTlsReports({ now, until: now + 1000, limit: 9 });
      const got = await Promise.all([claim(one, NOW), claim(two, NOW)]);
      expect(got.flat()).toMatchObject([{ rua: 'https://r.example/', attempts: 1, nextAt: NOW + 1000 }]);
      expect(await claim(two, NOW + 1000)).toMatchObject([{ attempts: 2 }]);
      const key = { day: DAY, domain: 'x.example', rua: 'https://r.example/' };
      await two.tlsResults.noteTlsReport({ ...key, state: 'due', nextAt: NOW + 9000, error: 'status 500' });
      expect(await claim(one, NOW + 8999)).toEqual([]);
      expect(await claim(one, NOW + 9000)).toMatchObject([{ attempts: 3, lastError: 'status 500' }]);
      await one.tlsResults.noteTlsReport({ ...key, state: 'sent', nextAt: null, error: null });
      await two.tlsResults.noteTlsReport({ ...key, state: 'failed', nextAt: null, error: 'too late' });
      expect(await one.tlsResults.tlsReports({ limit: 9 })).toMatchObject([{ state: 'sent', lastError: null }]);
      expect(await claim(one, NOW + 99_000)).toEqual([]);
    });

    test('days in a row on which an address took no report are told, and end with a day on which it took one', async () => {
      const [one] = await opened();
      const rua = 'https://r.example/';
      const day = async (n: number, state: 'sent' | 'failed', domain = 'x.example') => {
        await one.tlsResults.addTlsReports(added([toHttps(rua)], { day: DAY + n, domain }));
        await one.tlsResults.noteTlsReport({ day: DAY + n, domain, rua, state, nextAt: null, error: state });
      };
      await day(0, 'failed');
      await day(1, 'sent');
      expect(await one.tlsResults.failedTlsDays(rua)).toBe(0);
      await day(2, 'failed');
      await day(3, 'failed');
      await day(5, 'failed');
      await day(5, 'failed', 'y.example');
      expect(await one.tlsResults.failedTlsDays(rua)).toBe(3);
      await day(5, 'sent', 'z.example');
      expect(await one.tlsResults.failedTlsDays(rua)).toBe(0);
      expect(await one.tlsResults.failedTlsDays('mailto:nobody@x.example')).toBe(0);
    });

    test('what did not arrive is forgotten for another try, what arrived or is under way stays', async () => {
      const [one] = await opened();
      const skipped = { rua: '', reportId: 'r', state: 'skipped', lastError: 'nobody wants it' } as const;
      await one.tlsResults.addTlsReports(added([toHttps(), toHttps('https://s.example/'), report(), skipped]));
      const key = { day: DAY, domain: 'x.example', rua: 'https://s.example/' };
      await one.tlsResults.noteTlsReport({ ...key, state: 'failed', nextAt: null, error: 'status 500' });
      expect(await one.tlsResults.retryTlsReport(DAY, 'x.example')).toBe(2);
      expect((await one.tlsResults.tlsReports({ limit: 9 })).map(({ state }) => state)).toEqual(['due', 'queued']);
    });
  });
}
