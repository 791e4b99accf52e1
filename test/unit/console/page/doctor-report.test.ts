import { expect, test } from 'vitest';
import { countFindings, doctorReport, type ShownFinding, SUMMING_UP } from '../../../../src/console/page/doctor-report.ts';
import { RECEIVERS } from '../../../../src/doctor/doctor.ts';
import { data } from '../../../../src/system/phrase.ts';

const finding = (more: Partial<ShownFinding>): ShownFinding => ({
  ...{
    check: 'spf',
    subject: 'example.org',
    result: 'ok',
    found: 'a record',
    wanted: 'a record',
    advice: '',
    since: '2026-11-01T00:00:00Z',
    phrases: { found: data('a record'), wanted: data('a record'), advice: data('') },
  },
  ...more,
});

test('writes the findings as the command does, and what is wanted below those that are not right', () => {
  const findings = [
    finding({
      check: 'dmarc',
      result: 'error',
      found: 'no such record',
      wanted: 'v=DMARC1',
      advice: 'Publish it.',
      since: '2026-11-20T00:00:00Z',
    }),
    finding({}),
  ];
  expect(doctorReport(findings, { relay: 'relay.example.net', at: '2026-11-28T09:00:00Z' })).toBe(
    [
      'smarthost doctor on relay.example.net, 2026-11-28T09:00:00Z',
      '',
      'error    dmarc  example.org: no such record (since 2026-11-20T00:00:00Z)',
      '         wanted: v=DMARC1',
      '         Publish it.',
      'ok       spf    example.org: a record',
      '',
    ].join('\n'),
  );
});

test('counts findings without those that sum up others', () => {
  expect(SUMMING_UP).toBe(RECEIVERS);
  const findings = [finding({ result: 'error' }), finding({}), finding({ check: RECEIVERS, result: 'error' })];
  expect(countFindings(findings)).toEqual({ ok: 1, warning: 0, error: 1, unknown: 0 });
});
