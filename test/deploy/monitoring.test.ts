/** Alerts and dashboard ask only for metrics that the relay has, and Prometheus understands them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { RelayEvent } from '../../src/events/events.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import { CHECKOUT } from '../support/checkout.ts';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { run } from '../support/program.ts';

const alertsFile = join(CHECKOUT, 'deploy/alerts.yaml');
const alerts = parse(readFileSync(alertsFile, 'utf8')).groups.flatMap((group: { rules: object[] }) => group.rules) as Rule[];
const dashboard = JSON.parse(readFileSync(join(CHECKOUT, 'deploy/dashboard.json'), 'utf8')) as Dashboard;
const readme = readFileSync(join(CHECKOUT, 'deploy/README.md'), 'utf8');

type Rule = { alert: string; expr: string; labels: { severity: string }; annotations: { summary: string; description: string } };
type Dashboard = { panels: { title: string; targets: { expr: string }[] }[] };

/** Name → names of its labels, as a scrape shows them after each kind of event. */
async function metricsOfTheRelay(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const metrics = createMetrics('1.0.0');
  const events = [
    ...['accepted', 'refused', 'authFailed', 'connected', 'reported', 'expired', 'relayed', 'damaged', 'storeTrouble'],
    ...['suppression', 'tlsSession', 'tlsPolicyFailed'],
  ];
  const tls = { assurance: 'dane', version: 'TLSv1.3', policy: 'dane', reason: 'no-tlsa-match' };
  const fields = {
    user: 'u',
    code: 550,
    listener: 'submission',
    action: 'failed',
    seconds: 1,
    via: 'fallback',
    asks: 'TLS-Required: No',
    ...tls,
  };
  for (const event of events) metrics.observe({ event, fields } as never as RelayEvent);
  metrics.observeCommit(0.01);
  metrics.observeQuestion({ type: 'MX', result: 'found', seconds: 0.01 });
  const text = await metrics.render({
    queue: { states: { delayed: 1 }, oldestSeconds: 1 },
    threads: 1,
    sessionsByThread: [],
    sessions: 1,
    fallback: [{ upstream: 'smtp.example.net', used: 3, failing: false }],
    ...{ resting: 0, blocked: ['yahoo'], stopped: 1, heldForLogins: 2, heldBy: [{ provider: 'yahoo', recipients: 2 }] },
    policies: { modes: { enforce: 1 }, overdue: 0 },
    senders: { ok: 2, rejected: 1 },
    validates: true,
    exceptions: 0,
    database: { relays: 2, otherConfigurations: 0, reachable: true, bytes: 1, oldestTransaction: 0, skew: 0 },
    certificates: [{ keyType: 'rsa', notAfter: 1, failures: 0 }],
  });
  const found = new Map<string, Set<string>>();
  for (const [, name = '', labels = ''] of text.matchAll(/^(smarthost_\w+)(?:\{([^}]*)\})?/gm))
    found.set(name, new Set([...(found.get(name) ?? []), ...[...labels.matchAll(/(\w+)=/g)].map(([, label]) => label!)]));
  return found;
}

describe('what is asked for', () => {
  let known: Awaited<ReturnType<typeof metricsOfTheRelay>>;
  beforeAll(async () => {
    known = await metricsOfTheRelay();
  });
  const expressions = [
    ...alerts.map(({ alert, expr }) => [alert, expr] as const),
    ...dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const)),
  ];

  test.each(expressions)('%s: exists, with its labels', (_, expr) => {
    const used = [...expr.matchAll(/(smarthost_\w+|up)(?:\{([^}]*)\})?/g)];
    expect(used).not.toHaveLength(0);
    for (const [, name = '', selector = ''] of used.filter(([, name]) => name !== 'up')) {
      expect([...known.keys()]).toContain(name);
      for (const [, label] of selector.matchAll(/(\w+)\s*=/g)) expect(['instance', ...known.get(name)!]).toContain(label);
    }
  });

  test('every metric of the relay is on the dashboard', () => {
    const shown = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join('\n');
    const names = new Set([...known.keys()].map((name) => name.replace(/_(bucket|sum|count)$/, '')));
    for (const name of names) expect(shown).toContain(name);
  });
});

describe('alerts', () => {
  test.each(alerts)('$alert says what to do, with commands that exist', async ({ annotations }) => {
    const commands = [...annotations.description.matchAll(/smarthost ((?:queue|cert|trace|user) \w+)/g)].map(([, words]) =>
      words!.split(' '),
    );
    for (const [group, command] of commands) {
      const node = join(CHECKOUT, 'node_modules/.bin/node');
      const { code } = await run(node, [join(CHECKOUT, 'src/smarthost.ts'), group!, command!, '--help']);
      expect(code).toBe(0);
    }
    expect(annotations.description.length).toBeGreaterThan(40);
  });

  test.each(alerts)('$alert is on the page of what happens if', ({ alert }) => {
    expect(readme).toContain(alert);
  });
});

describe.skipIf(!requirePeer('promtool', hasCommand('promtool')))('promtool', () => {
  test('accepts the alerts', async () => {
    const { code, stdout, stderr } = await run('promtool', ['check', 'rules', alertsFile]);
    expect(code, stdout + stderr).toBe(0);
  });

  test('sees them fire when they must, and only then', async () => {
    const { code, stdout, stderr } = await run('promtool', ['test', 'rules', join(CHECKOUT, 'test/deploy/alerts-test.yaml')]);
    expect(code, stdout + stderr).toBe(0);
  });
});
