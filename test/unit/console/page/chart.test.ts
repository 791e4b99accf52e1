import { expect, test } from 'vitest';
import { chartPoints, chartSpan } from '../../../../src/console/page/parts/chart.ts';

const NOW = Date.UTC(2026, 10, 28, 14, 25);
const value = ({ count }: { readonly count: number }) => ({ count });

test('a day ends with the hour that is under way, and hours without mail have empty bars', () => {
  const span = chartSpan(false, NOW);
  expect([span.step, span.begin]).toEqual(['hour', '2026-11-27T15:00:00.000Z']);
  const points = chartPoints([{ from: '2026-11-28T14:00:00.000Z', count: 7 }], span, value);
  expect(points.map(({ values }) => values['count'] ?? 0)).toEqual([...Array.from({ length: 23 }, () => 0), 7]);
});

test('a month ends with today', () => {
  const span = chartSpan(true, NOW);
  expect([span.step, span.begin]).toEqual(['day', '2026-10-30T00:00:00.000Z']);
  const points = chartPoints([{ from: '2026-11-28T00:00:00.000Z', count: 3 }], span, value);
  expect([points.length, points.at(-1)!.values]).toEqual([30, { count: 3 }]);
});
