import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createEventLog, EVENTS, type RelayEvent, renderEventsReference } from '../../../src/events/events.ts';
import { createLog } from '../../../src/system/log.ts';

function startLog() {
  const observed: RelayEvent[] = [];
  const lines: string[] = [];
  const target = createLog({ level: 'debug', format: 'json', write: (text) => lines.push(text) });
  const events = createEventLog(target, (event) => observed.push(event));
  const read = () => {
    target.flush();
    return lines
      .join('')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  return { events, observed, read };
}

const reply = { code: 550, status: '5.1.1', text: 'no such user' } as never;

test('an attempt always has the fields for host, address and TLS, and the reply in its parts', () => {
  const { events, read } = startLog();
  events.failed({ queueId: 'q', recipient: 'a@d.test', reply, attempt: 1, seconds: 0.5 });
  expect(read()).toMatchObject([{ level: 'info', event: 'failed', mx: null, ip: null, tls: null, code: 550, status: '5.1.1' }]);
});

test('a long reply is cut in the log', () => {
  const { events, read } = startLog();
  events.failed({
    queueId: 'q',
    recipient: 'a@d.test',
    reply: { code: 550, status: '5.1.1', text: 'x'.repeat(5000) } as never,
    attempt: 1,
    seconds: 1,
  });
  expect(String(read()[0]!['reply']).length).toBe(1001);
});

test('what a session was worth stands beside its TLS', () => {
  const { events, read } = startLog();
  const attempt = { queueId: 'q', recipient: 'a@x.test', reply, attempt: 1, seconds: 1 };
  events.relayed({ ...attempt, mx: 'mx.test', ip: '192.0.2.1', tls: 'TLSv1.3', assurance: 'dane' });
  events.failed(attempt);
  expect(read().map(({ tls, assurance }) => [tls, assurance])).toEqual([
    ['TLSv1.3', 'dane'],
    [null, undefined],
  ]);
});

test('an event that needs a person comes at a higher level', () => {
  const { events, read } = startLog();
  events.certificate({ action: 'kept', keyType: 'rsa', error: 'no answer' });
  events.certificate({ action: 'loaded', keyType: 'rsa' });
  events.refused({ session: 's', ip: '192.0.2.1', verb: 'DATA', reply, cause: new Error('ours') });
  events.emit('crashed', { error: new Error('x') });
  expect(read().map(({ event, level }) => [event, level])).toEqual([
    ['certificate', 'warn'],
    ['certificate', 'info'],
    ['refused', 'error'],
    ['crashed', 'error'],
  ]);
});

test('metrics count the events of the log, but not those at level debug', () => {
  const { events, observed } = startLog();
  events.emit('renewalInformation', { keyType: 'rsa', error: 'x' });
  events.emit('connected', { session: 's', listener: 'submission', ip: '192.0.2.1' });
  expect(observed).toEqual([{ event: 'connected', fields: { session: 's', listener: 'submission', ip: '192.0.2.1' } }]);
});

test('metrics count each fetch of a policy, also those that the log has for developers only', () => {
  const { events, observed } = startLog();
  events.emit('stsPolicy', { action: 'refreshed', domain: 'x.example', result: 'fetched' }, 'debug');
  expect(observed).toMatchObject([{ event: 'stsPolicy', fields: { result: 'fetched' } }]);
});

test('the page in deploy/ is up to date with the list', () => {
  expect(readFileSync('deploy/events.md', 'utf8')).toBe(renderEventsReference());
});

test('each event of the list is emitted somewhere, and only by the list', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const texts = files.filter((name) => !name.startsWith('events/')).map((name) => readFileSync(join('src', name), 'utf8'));
  const told = Object.keys(EVENTS).filter((name) => texts.some((text) => text.includes(`'${name}'`)));
  const byMethod = ['refused', 'relayed', 'delayed', 'failed', 'certificate'];
  const never = Object.keys(EVENTS).filter((name) => !told.includes(name) && !byMethod.includes(name));
  expect(never).toEqual([]);
  const beside = texts.join('\n').match(/\blog\.(?:debug|info|warn|error)\('\w+'/g);
  expect(beside).toBeNull();
});
