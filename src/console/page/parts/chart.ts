/** A chart of bars over time as SVG, and the same figures as a table for those who do not see it or want to copy it. */
import { h } from 'preact';
import { useId, useState } from 'preact/hooks';
import { dayText, minuteText, numberText } from '../format.ts';
import { html } from '../html.ts';
import { t } from '../texts.ts';

export type ChartSeries = { readonly name: string; readonly words: string };

type ChartProps = {
  /** What it shows, in a few words. */
  readonly label: string;
  /** From below to above. The name is the class that gives the colour. */
  readonly series: readonly ChartSeries[];
  /** At most 720, the oldest first. `at`: words for the axis and the table. */
  readonly points: readonly { readonly at: string; readonly values: Readonly<Record<string, number>> }[];
  /** The unit of a bar, as the head of the first column. */
  readonly per: string;
};

const [WIDTH, HEIGHT] = [720, 96];

export const barChart = (props: ChartProps) => h(BarChart, props);

function BarChart({ label, series, points, per }: ChartProps) {
  const [asTable, show] = useState(false);
  const title = useId();
  const total = ({ values }: ChartProps['points'][number]) => series.reduce((sum, { name }) => sum + (values[name] ?? 0), 0);
  const top = Math.max(1, ...points.map(total));
  const step = WIDTH / Math.max(1, points.length);
  const gap = step > 6 ? 1.5 : 0;
  return html`<figure class="chart">
    <figcaption id=${title}>
      <span>${label}</span>
      <span class="legend">${series.map(({ name, words }) => html`<span class="key ${name}">${words}</span>`)}</span>
      <button type="button" class="quiet" aria-pressed=${asTable} onClick=${() => show(!asTable)}>${t('chart.table')}</button>
    </figcaption>
    ${
      asTable
        ? html`<div class="table scrolls" tabindex="0" role="region" aria-labelledby=${title}><table>
            <thead><tr><th scope="col">${per}</th>${series.map(({ words }) => html`<th scope="col" class="figure">${words}</th>`)}</tr></thead>
            <tbody>${points.map((point) => html`<tr><th scope="row">${point.at}</th>${series.map(({ name }) => html`<td class="figure">${numberText(point.values[name] ?? 0)}</td>`)}</tr>`)}</tbody>
          </table></div>`
        : html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-labelledby=${title}>
            ${points.map((point, at) => {
              let below = 0;
              const words = series.map(({ name, words }) => `${words} ${numberText(point.values[name] ?? 0)}`).join(', ');
              return html`<g>
                <title>${`${point.at}: ${words}`}</title>
                <rect class="ground" x=${at * step} y="0" width=${step} height=${HEIGHT} />
                ${series.map(({ name }) => {
                  const height = ((point.values[name] ?? 0) / top) * (HEIGHT - 2);
                  below += height;
                  return (
                    height > 0 &&
                    html`<rect class=${name} x=${at * step} y=${HEIGHT - below} width=${Math.max(0.5, step - gap)} height=${height} />`
                  );
                })}
              </g>`;
            })}
          </svg>
          <div class="axis" aria-hidden="true"><span>${points[0]?.at}</span><span>${t('chart.top', { count: top })}</span><span>${points.at(-1)?.at}</span></div>`
    }
  </figure>`;
}

// The bars: hours of a day, or days of a month, up to now.

const HOUR = 3_600_000;

type ChartSpan = {
  readonly step: 'hour' | 'day';
  /** ms of one bar. Days are those of UTC. */
  readonly length: number;
  readonly steps: number;
  /** Of the first bar, ISO 8601. */
  readonly begin: string;
  readonly words: (at: number) => string;
};

/** The last bar is the hour, or the day, that is under way. @param now ms since 1970. */
export function chartSpan(isMonth: boolean, now: number): ChartSpan {
  const [length, steps] = isMonth ? [24 * HOUR, 30] : [HOUR, 24];
  const begin = new Date((Math.floor(now / length) + 1 - steps) * length).toISOString();
  return { step: isMonth ? 'day' : 'hour', length, steps, begin, words: isMonth ? dayText : minuteText };
}

type Values = Readonly<Record<string, number>>;

/** Steps in which nothing passed have no row, and an empty bar. */
export function chartPoints<Row extends { readonly from: string }>(
  rows: readonly Row[],
  { length, steps, begin, words }: ChartSpan,
  valuesOf: (row: Row) => Values,
): readonly { readonly at: string; readonly values: Values }[] {
  const byStep = new Map(rows.map((row) => [Math.floor(Date.parse(row.from) / length), row]));
  return Array.from({ length: steps }, (_, step) => {
    const at = Date.parse(begin) + step * length;
    const row = byStep.get(at / length);
    return { at: words(at), values: row === undefined ? {} : valuesOf(row) };
  });
}
