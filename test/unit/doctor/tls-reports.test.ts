/** What the doctor says about reports about TLS. */
import { expect, test } from 'vitest';
import { checkTlsReports, type TlsReportingFacts } from '../../../src/doctor/tls-reports.ts';
import { HOST, KEYS } from '../../support/doctor.ts';

const check = (rest: Partial<TlsReportingFacts>, keys = KEYS) =>
  checkTlsReports({ mode: 'failures', from: `postmaster@${HOST}`, copies: [], ...rest }, keys).map(
    ({ subject, result, found }) => `${subject} ${result}: ${found}`,
  );

test('a submitter without a key of its own is warned about, since no report can be sent by mail', () => {
  expect(check({})).toEqual([`${HOST} ok: 0 sent, 0 on their way, in two days`]);
  expect(check({ from: 'tls@sub.shop.test' })).toEqual(['sub.shop.test warning: sub.shop.test has no DKIM key that signs']);
  expect(
    check(
      {},
      KEYS.map((key) => ({ ...key, state: 'pending' })),
    ),
  ).toEqual([`${HOST} warning: ${HOST} has no DKIM key that signs`]);
  expect(check({ mode: 'off' }, [])).toEqual([`${HOST} ok: reports.tls is off: nothing is counted or sent`]);
});

test('addresses that took no report are named with the reason, each once', () => {
  const failed = { rua: 'https://r.test/', state: 'failed', lastError: 'the host answered with status 500' } as const;
  const sent = { rua: 'mailto:a@x.test', state: 'sent', lastError: null } as const;
  expect(check({ copies: [sent, sent] })).toEqual([`${HOST} ok: 2 sent, 0 on their way, in two days`]);
  expect(check({ copies: [sent, failed, failed] })).toEqual([
    'https://r.test/ warning: not delivered: the host answered with status 500',
  ]);
});
