import { expect, test } from 'vitest';
import { createEventLog } from '../../../src/events/events.ts';
import { createMetrics } from '../../../src/metrics/metrics.ts';

const snapshot = {
  ...{
    queue: undefined,
    threads: 1,
    sessionsByThread: [],
    sessions: 0,
    resting: 0,
    blocked: [],
    fallback: [],
    stopped: 0,
    heldForLogins: 0,
    heldBy: [],
    senders: {},
    policies: { modes: {}, overdue: 0 },
  },
  ...{ validates: true, exceptions: 0, certificates: [] },
};

test('refusals are counted by class and provider, and a file of any number of providers makes no more than 200 labels', async () => {
  const metrics = createMetrics('test');
  const quiet = () => undefined;
  const log = createEventLog({ debug: quiet, info: quiet, warn: quiet, error: quiet } as never, metrics.observe);
  const facts = {
    queueId: 'q',
    recipient: 'a@a.test',
    attempt: 1,
    seconds: 1,
    reply: { code: 550, status: '5.1.1', text: 'No' },
  };
  for (let i = 0; i < 300; i++)
    log.failed({ ...facts, judged: { class: 'no-such-user', action: 'fail', provider: `p${i}`, phase: 'rcpt', rules: '7' } });
  log.failed(facts);
  const text = await metrics.render(snapshot);
  const lines = text.split('\n').filter((line) => line.startsWith('smarthost_replies_total{'));
  expect(lines).toHaveLength(201);
  expect(lines).toContain('smarthost_replies_total{class="no-such-user",provider="other"} 100');
  expect(lines).toContain('smarthost_replies_total{class="no-such-user",provider="p7"} 1');
});
