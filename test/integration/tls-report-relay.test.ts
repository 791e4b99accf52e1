/** Reports about TLS over a whole relay: mail goes out, its session is counted, and the next day's report arrives. RFC 8460 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gunzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { DAY } from '../../src/system/clock.ts';
import { openClient, startTestRelay } from '../support/relay.ts';
import { expectTlsReport } from '../support/tls-report-schema.ts';

const zone = { '_smtp._tls.dest.test': { TXT: ['v=TLSRPTv1; rua=mailto:tls@dest.test'] } };

test('sessions are counted when the relay stops, reported once after the day, and the session of the report is not counted', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'tls-report-relay-'));
  onTestFinished(() => rm(dataDir, { recursive: true }));
  const database = <T>(use: (db: DatabaseSync) => T): T => {
    const db = new DatabaseSync(join(dataDir, 'smarthost.db'));
    try {
      return use(db);
    } finally {
      db.close();
    }
  };
  const first = await startTestRelay({ dataDir, zone });
  const client = await openClient(first.ports.submissions, { tls: true });
  await client.login();
  expect(await client.message({ text: 'From: <app@sender.test>\r\nSubject: hi\r\n\r\nhello\r\n' })).toMatch(/^250 /);
  await first.logged('relayed');
  client.close();
  await first.close();
  const counted = database((db) => db.prepare('SELECT day, domain, type, ok, failed FROM tls_results').all());
  expect(counted).toEqual([{ day: expect.any(Number), domain: 'dest.test', type: 'no-policy-found', ok: 0, failed: 1 }]);
  const day = Number(counted[0]!['day']) - 1;
  database((db) => db.exec('UPDATE tls_results SET day = day - 1; UPDATE tls_failures SET day = day - 1'));

  const second = await startTestRelay({ dataDir, zone });
  // Where the time of day has come already, it is on its way by itself.
  await second.control.tlsReports.send(new Date(day * DAY).toISOString().slice(0, 10), 'dest.test').catch(({ kind }) => {
    expect(kind).toBe('exists');
  });
  const told = await second.logged('tlsReport', ({ action }) => action === 'queued');
  await second.logged('relayed', ({ queueId }) => queueId === told['queueId']);
  const [{ data, mailFrom }] = second.mx.messages as [(typeof second.mx.messages)[0]];
  expect(mailFrom).toBe('');
  const [, encoded = ''] = /\.json\.gz"\r\n\r\n([A-Za-z0-9+/=\r\n]+)\r\n--/.exec(data.toString('latin1')) ?? [];
  const report = expectTlsReport(gunzipSync(Buffer.from(encoded, 'base64')).toString());
  expect(report.policies).toEqual([
    {
      policy: { 'policy-type': 'no-policy-found', 'policy-domain': 'dest.test' },
      summary: { 'total-successful-session-count': 0, 'total-failure-session-count': 1 },
      'failure-details': [expect.objectContaining({ 'result-type': 'starttls-not-supported', 'receiving-ip': '127.0.0.1' })],
    },
  ]);
  const page = await (await fetch(`http://127.0.0.1:${second.ports.admin}/tls`)).text();
  expect(page).toMatch(/<th scope="row">dest\.test<.*1 × no-policy-found starttls-not-supported/);
  await second.close();
  expect(second.mx.messages).toHaveLength(1);
  expect(database((db) => db.prepare('SELECT day FROM tls_results').all())).toEqual([{ day }]);
});
