import { describe, expect, test } from 'vitest';
import { isWanted } from '../../../src/queue/decide.ts';
import type { Reportable } from '../../../src/queue/queue.ts';
import type { Notify } from '../../../src/smtp/envelope.ts';
import { DAY, HOUR } from '../../../src/system/clock.ts';
import { relayed } from '../../support/queue-rig.ts';
import { change, NOW, outcome, startReporter, subject } from '../../support/report-rig.ts';

const passedOn = { ...relayed, dsnPassedOn: true } as typeof relayed;

describe('NOTIFY decides which outcomes are told (RFC 3461 §4.1)', () => {
  const table: [Notify[] | undefined, string][] = [
    [undefined, 'failed expired delayed'],
    [['NEVER'], ''],
    [['FAILURE'], 'failed expired'],
    [['DELAY'], 'delayed'],
    [['SUCCESS'], 'relayed'],
    [['SUCCESS', 'FAILURE'], 'failed expired relayed'],
    [['SUCCESS', 'FAILURE', 'DELAY'], 'failed expired delayed relayed'],
  ];
  test.each(table)('NOTIFY %j: %s', (notify, told) => {
    const actions: Reportable['action'][] = ['failed', 'expired', 'delayed', 'relayed'];
    const of = (action: Reportable['action']) =>
      change('b@example.org', {
        action,
        ...(action === 'relayed' ? { outcome: relayed } : {}),
        recipient: notify === undefined ? {} : { notify },
      });
    expect(actions.filter((action) => isWanted(of(action))).join(' ')).toBe(told);
  });

  test('success is not told when the next server took the parameters over (RFC 3461 §5.2.1)', () => {
    expect(isWanted(change('b@example.org', { action: 'relayed', outcome: passedOn, recipient: { notify: ['SUCCESS'] } }))).toBe(
      false,
    );
  });
});

describe('createReporter', () => {
  test('a report goes from the null reverse-path to the envelope sender, and names its message', async () => {
    const { report, requests } = startReporter();
    const about = subject();
    const [written, ...more] = await report(about, [change('b@example.org')]);
    expect(more).toEqual([]);
    expect(written).toMatchObject({
      ...{ user: null, reversePath: '', about: about.id, action: 'failed', acceptedAt: NOW, expiresAt: NOW + DAY },
      recipients: [{ address: 'a@example.net', destination: 'example.net', notify: ['NEVER'] }],
      signatures: ['s._domainkey.relay.example.net'],
    });
    expect(requests).toHaveLength(1);
    expect(requests[0]!.kind).toBe('report');
    expect(written!.id).not.toBe(about.id);
  });

  test('failed and expired recipients share one report, delayed ones have another', async () => {
    const { report, requests } = startReporter();
    const written = await report(subject(), [
      change('b@example.org'),
      change('c@example.org', { action: 'expired', outcome: outcome('delayed', 450, '4.2.0', 'Busy') }),
      change('d@example.org', { action: 'delayed', willRetryUntil: NOW + HOUR }),
      change('e@example.org', { action: 'relayed', outcome: relayed, recipient: { notify: ['SUCCESS'] } }),
    ]);
    expect(written.map(({ action }) => action)).toEqual(['failed', 'delayed', 'relayed']);
    const texts = requests.map(({ bytes }) => bytes.toString());
    expect(texts.map((text) => [...text.matchAll(/^Final-Recipient: rfc822; (\S+)\r$/gm)].map(([, address]) => address))).toEqual(
      [['b@example.org', 'c@example.org'], ['d@example.org'], ['e@example.org']],
    );
  });

  test('a thousand failures of one settlement make one report', async () => {
    const { report } = startReporter();
    const many = Array.from({ length: 1000 }, (_, i) => change(`u${i}@example.org`));
    expect(await report(subject(), many)).toHaveLength(1);
  });

  test('a report that cannot be prepared rejects, so that the queue keeps the recipient', async () => {
    const { report } = startReporter({ refuse: () => new Error('no key') });
    await expect(report(subject(), [change('b@example.org')])).rejects.toThrow('no key');
  });

  test('an original that cannot be read is left out', async () => {
    const { report, requests, events } = startReporter();
    const read = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('');
      throw new Error('disk');
    };
    const content = { kind: 'spooled', prefix: new Uint8Array(), spool: { name: 's', size: 9, read } } as const;
    expect(await report(subject({ content }), [change('b@example.org')])).toHaveLength(1);
    expect(requests[0]!.bytes.toString()).not.toContain('rfc822-headers');
    expect(events.map(({ event }) => event)).toEqual(['originalUnreadable']);
  });
});
