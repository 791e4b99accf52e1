/** `smarthost tls reports` and `tls failures` on a real store. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ASKED_FOR, SUPPRESSED_UNTIL } from '../../src/report/report.ts';
import type { TlsSessionCount } from '../../src/store/store.ts';
import { DAY } from '../../src/system/clock.ts';
import { type CommandBench, createCommandBench } from '../support/command.ts';
import { expectTlsReport } from '../support/tls-report-schema.ts';

let bench: CommandBench;
beforeEach(async () => {
  bench = await createCommandBench();
});
afterEach(() => bench.close());

const TODAY = Math.floor(Date.now() / DAY);
const dateOf = (day: number) => new Date(day * DAY).toISOString().slice(0, 10);
const YESTERDAY = dateOf(TODAY - 1);
const RUA = 'https://r.example.org/tls';
const count = (day: number): TlsSessionCount => ({
  ...{ day, domain: 'example.org', ok: 4, failed: 2 },
  policy: { key: 'none', type: 'no-policy-found', domain: 'example.org', strings: [], mxHosts: [] },
  failures: [
    {
      ...{ type: 'certificate-expired', sendingIp: null, mx: 'mx.example.org', helo: null, receivingIp: '192.0.2.25' },
      ...{ reason: 'expired', count: 2 },
    },
  ],
});

async function fill(state?: 'sent' | 'failed'): Promise<void> {
  await bench.withStore(async ({ tlsResults }) => {
    await tlsResults.addTlsResults([count(TODAY - 1), count(TODAY)]);
    const key = { day: TODAY - 1, domain: 'example.org' };
    const copy = { rua: RUA, reportId: 'r1@relay.example.net', state: 'due', lastError: null } as const;
    await tlsResults.addTlsReports({ ...key, at: TODAY * DAY, reports: [copy] });
    if (state === undefined) return;
    const error = state === 'failed' ? 'the host answered with status 500' : null;
    await tlsResults.claimTlsReports({ now: TODAY * DAY, until: TODAY * DAY + 1, limit: 1 });
    await tlsResults.noteTlsReport({ ...key, rua: RUA, state, nextAt: null, error });
  });
}

test('list and show tell each copy, and the document as it leaves', async () => {
  await fill('failed');
  const copy = {
    ...{ day: YESTERDAY, domain: 'example.org', rua: RUA, reportId: 'r1@relay.example.net', state: 'failed', queueId: null },
    ...{ attempts: 1, nextAttemptAt: null, lastError: 'the host answered with status 500' },
    createdAt: new Date(TODAY * DAY).toISOString(),
  };
  expect(await bench.json('tls', 'reports', 'list')).toEqual([copy]);
  const { copies, report } = await bench.json('tls', 'reports', 'show', YESTERDAY, 'Example.ORG');
  expect(copies).toEqual([copy]);
  expect(expectTlsReport(JSON.stringify(report))['contact-info']).toBe('postmaster@relay.example.net');
  const listed = await bench.run(['tls', 'reports', 'list']);
  expect(listed.out).toMatch(
    /^DAY +DOMAIN +TO +STATE[^\n]*\n\S+ +example\.org +https:\/\/r\.example\.org\/tls +failed +1 +- +the host/,
  );
});

test('send asks the relay for what did not arrive, and refuses what was sent, what is not over, and what was never counted', async () => {
  await fill('failed');
  expect(await bench.json('tls', 'reports', 'send', YESTERDAY, 'example.org')).toEqual({ day: YESTERDAY, domain: 'example.org' });
  const asked = await bench.withStore(({ operation }) => operation.values(ASKED_FOR));
  expect(asked.map(({ name }) => name)).toEqual([`${ASKED_FOR}${TODAY - 1} example.org`]);
  const refused = async (...args: string[]) => (await bench.run(['tls', 'reports', 'send', ...args])).err;
  expect(await refused(dateOf(TODAY), 'example.org')).toContain('is not over: it ends at 00:00 UTC.');
  expect(await refused(YESTERDAY, 'example.com')).toContain(`No session with example.com was counted on ${YESTERDAY}.`);
  expect(await refused('2026-02-30', 'example.com')).toContain('DAY is a UTC day such as');
});

test('a report that was sent is not sent again', async () => {
  await fill('sent');
  const { code, err } = await bench.run(['tls', 'reports', 'send', YESTERDAY, 'example.org']);
  expect(code).toBe(1);
  expect(err).toBe(`Every copy of the report to example.org about ${YESTERDAY} was sent, or is on its way.\n`);
});

test('suppress stops reports to an address, --lift lets them go again', async () => {
  await fill();
  const until = () => bench.withStore(({ operation }) => operation.value(SUPPRESSED_UNTIL + RUA));
  expect((await bench.run(['tls', 'reports', 'suppress', RUA])).err).toBe(`${RUA} gets no reports for 30 days.\n`);
  expect(Number(await until())).toBeGreaterThan(Date.now() + 29 * DAY);
  await bench.run(['tls', 'reports', 'suppress', RUA, '--lift']);
  expect(await until()).toBeUndefined();
  expect((await bench.run(['tls', 'reports', 'suppress', 'mailto:x@example.org'])).code).toBe(1);
});

test('failures are told with their policy, reason and number, as far back as is asked for', async () => {
  await fill();
  const found = await bench.json('tls', 'failures');
  expect(found).toHaveLength(2);
  expect(found[0]).toEqual({
    ...{ day: dateOf(TODAY), domain: 'example.org', policy: 'no-policy-found', policyDomain: 'example.org' },
    ...{ type: 'certificate-expired', reason: 'expired', mx: 'mx.example.org', helo: null, receivingIp: '192.0.2.25' },
    ...{ sendingIp: null, sessions: 2 },
  });
  expect(await bench.json('tls', 'failures', '--since', '1s')).toHaveLength(1);
  expect((await bench.run(['tls', 'failures', '--since', 'soon'])).code).toBe(2);
});
