/** Writes the page of metrics from what the relay registers. Run by `npm run reference`; a test fails until that was done. */
import { createMetrics } from './metrics.ts';

export async function renderMetricsReference(): Promise<string> {
  const rows = (await createMetrics('').describe()).map(({ name, type, labels, help }) => {
    const named = labels.length === 0 ? name : `${name}{${labels.join(', ')}}`;
    return `| \`${named}\` | ${type} | ${help} |`;
  });
  return `# Metrics

<!-- Generated from src/metrics/metrics.ts by npm run reference. Change it there. -->

\`listen.admin\` answers \`/metrics\` in Prometheus' text form. [alerts.yaml](alerts.yaml) has rules for them,
[dashboard.json](dashboard.json) shows them in Grafana.

| metric | type | what |
| --- | --- | --- |
${rows.join('\n')}
`;
}
