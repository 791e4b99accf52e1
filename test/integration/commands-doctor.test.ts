/** `smarthost doctor` from the command line, with a real relay, a small DNS and a small MX. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startDns } from '../support/dns.ts';
import type { DnsServer } from '../support/dns-server.ts';
import { startMx } from '../support/mx.ts';
import type { MxServer } from '../support/mx-server.ts';
import { prepareRelay, type RelayProcess } from '../support/relay-process.ts';

const SMARTHOST = new URL('../../src/smarthost.ts', import.meta.url).pathname;
const HOST = 'relay.sender.test';
let dns: DnsServer;
let mx: MxServer;
let relay: RelayProcess;
beforeEach(async () => {
  mx = await startMx();
  dns = await startDns({
    [HOST]: { A: ['127.0.0.1'], TXT: ['v=spf1 a -all'] },
    '127.0.0.1': { PTR: [HOST] },
    [`_dmarc.${HOST}`]: { TXT: ['v=DMARC1; p=reject'] },
    'shop.test': { MX: ['10 mx.shop.test'], TXT: [`v=spf1 a:${HOST} -all`] },
    '_dmarc.shop.test': { TXT: ['v=DMARC1; p=none'] },
    'dest.test': { MX: ['10 mx.dest.test'] },
    'mx.dest.test': { A: ['127.0.0.1'] },
  });
  relay = await prepareRelay({
    dns: dns.server,
    deliveryPort: mx.port,
    settings: { doctor: { destinations: ['dest.test'], blockLists: [] }, delivery: { source: ['127.0.0.1'] } },
  });
});
afterEach(async () => {
  await relay.close();
  await Promise.all([dns.close(), mx.close()]);
});

type Finding = { check: string; subject: string; result: string; found: string; wanted: string; advice: string };
/** Exit 1 is an answer too. */
async function doctor(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const given = [SMARTHOST, '--config', join(relay.folder, 'smarthost.yaml'), 'doctor', ...args];
  return promisify(execFile)(process.execPath, given, { timeout: 60_000 }).then(
    (output) => ({ code: 0, ...output }),
    (error) => error,
  );
}

test('says what is wrong, and exits 0 when the records that it asked for are there', async () => {
  const records = await relay.addDomain('shop.test');
  await relay.start();
  const before = await doctor('--json');
  expect(before.code).toBe(1);
  const wanted = (JSON.parse(before.stdout) as Finding[]).filter(({ check, result }) => check === 'dkim' && result === 'error');
  expect(wanted.map(({ subject }) => subject)).toEqual(expect.arrayContaining(records.map(({ name }) => name)));
  for (const finding of wanted) {
    expect(Object.keys(finding)).toEqual(['check', 'subject', 'result', 'found', 'wanted', 'advice']);
    expect(finding.wanted).toMatch(/^\S+\. \d+ IN TXT "v=DKIM1;/);
    const value = [...finding.wanted.matchAll(/"([^"]*)"/g)].map(([, part]) => part).join('');
    dns.set(finding.subject, { TXT: [value] });
  }
  const after = await doctor('--json');
  const findings = JSON.parse(after.stdout) as Finding[];
  expect(findings.filter(({ result }) => result === 'error')).toEqual([]);
  expect(after.code).toBe(0);
  const results = Object.fromEntries(findings.map(({ check, result }) => [check, result]));
  expect(results).toMatchObject({
    a: 'ok',
    ptr: 'ok',
    helo: 'ok',
    spf: 'ok',
    dkim: 'ok',
    dmarc: 'ok',
    alignment: 'ok',
    relay: 'ok',
    ehlo: 'ok',
  });
  expect(findings.find(({ check }) => check === 'certificate')).toMatchObject({
    result: 'warning',
    found: expect.stringContaining(HOST),
  });
  expect(findings.filter(({ check }) => check === 'ehlo').map(({ found }) => found)).toEqual([
    expect.stringMatching(/AUTH PLAIN LOGIN/),
    expect.stringMatching(/AUTH PLAIN LOGIN/),
  ]);
  expect(findings.find(({ subject, check }) => check === 'outbound25' && subject === 'IPv4')).toMatchObject({ result: 'ok' });
  expect(mx.messages).toEqual([]);
});

test('checks one domain if one is named, and prints a line for each finding', async () => {
  await relay.addDomain('shop.test');
  const { code, stdout } = await doctor('other.test');
  expect(code).toBe(1);
  expect(stdout).toMatch(/^error +dkim +other\.test: no key\n +wanted: .*\n +.*smarthost domain add other\.test$/m);
  expect(stdout).not.toContain('shop.test');
  expect(stdout).not.toContain('\x1b[');
  expect((await doctor('no domain')).code).not.toBe(0);
});

test('--watch ends after its time, and prints each finding once', async () => {
  const { code, stdout } = await doctor('--watch', '--interval', '1s', '--timeout', '2s');
  expect(code).toBe(1);
  expect(stdout.match(/ disk /g)).toHaveLength(1);
});
