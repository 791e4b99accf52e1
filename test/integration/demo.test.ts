/** The demo shows what it promises, and leaves no process and no file. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const DEMO = ['src/demo/demo.ts'];

test('shows for each message the reply, the host, TLS, a verified signature and the time', { timeout: 90_000 }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [...DEMO, '--once']);
  const exhibits = stdout.split(/^\d {2}/m).slice(1);
  expect(exhibits).toHaveLength(5);
  for (const exhibit of exhibits) {
    expect(exhibit).toMatch(/the client heard {3}250 2\.0\.0 Ok: queued as [0-9a-z]{17}$/m);
    expect(exhibit).toMatch(/it went to {9}mx\.\w+\.test \[127\.0\.0\.1\] with TLSv1\.3/m);
    expect(exhibit).toMatch(/a verifier found {3}dkim=pass \(rsa-sha256 /);
    expect(exhibit).toMatch(/a verifier found {3}dkim=pass \(ed25519-sha256 /);
    expect(exhibit).toMatch(/it took {12}\d+ ms from submission to delivery$/m);
  }
  expect(exhibits[2]).toMatch(/mx\.delta\.test \[127\.0\.0\.1\] with TLSv1\.3, verified by its TLSA record \(DANE\)$/m);
  expect(exhibits[3]).toMatch(/mx\.gamma\.test \[127\.0\.0\.1\] with TLSv1\.3, verified as its policy demands \(MTA-STS\)$/m);
  expect(stdout).toMatch(/password {2}\S{24}$/m);
  expect(stdout).toMatch(
    /swaks --server 127\.0\.0\.1:\d+ --tls --auth PLAIN --auth-user app@customer\.test --auth-password \S{24} /,
  );
});

test('shows with --block how mail is held for a provider that refuses us, asked for again, and delivered', {
  timeout: 180_000,
}, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [...DEMO, '--block']);
  const [refused, probed, warned, taken, opened] = stdout.split(/^\d {2}/m).slice(1) as [string, string, string, string, string];
  expect(refused).toMatch(/n\w+@north\.test +held by microsoft365 .*550 5\.7\.606 .*\n.*sven@south\.test +held by microsoft365 /);
  expect(refused).toMatch(/^ +IPv4: +blocked since \S+, next probe \S+$/m);
  expect(refused).toMatch(/^ +reply: +550 5\.7\.606 Access denied/m);
  expect(refused).toContain('The operator got this mail: relay.test: microsoft365 refuses mail from the IPv4 address');
  const [, since, next] = /^ +microsoft365 +IPv4 +blocked +(\S+) +(\S+) +2 /m.exec(probed)!;
  expect(Date.parse(next!) - Date.parse(since!)).toBe(4 * 3_600_000);
  expect(warned).toContain('The sender got this mail: Your message is delayed');
  expect(warned).toContain('The cause is not this message.');
  expect(taken).toMatch(/^ +IPv4: +half-open since .*\n +takes: +1 session, 20 messages an hour$/m);
  expect(taken).not.toMatch(/^ +held:/m);
  expect(opened).toContain('The operator got this mail: relay.test: microsoft365 takes mail again');
  expect(opened).toContain('Every provider takes mail as usual.');
  expect(opened).toMatch(
    / delayed north-test\.mail\.protection\.outlook\.com .*\n.* relayed north-test\.mail\.protection\.outlook\.com /,
  );
});

test('keeps running until it is stopped, and then stops its relay', { timeout: 90_000 }, async () => {
  const demo = spawn(process.execPath, DEMO, { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  const invited = new Promise<void>((resolve) => {
    demo.stdout.on('data', (chunk: Buffer) => {
      said += chunk;
      if (said.includes('Ctrl-C ends the demo')) resolve();
    });
  });
  await invited;
  const port = Number(/(\d+) \(implicit TLS\)/.exec(said)![1]);
  const console = /http:\/\/localhost:(\d+)\/#setup=\S+$/m.exec(said)!;
  expect(await (await fetch(`http://127.0.0.1:${console[1]}/`)).text()).toContain('<title>smarthost');
  demo.kill('SIGINT');
  expect(await once(demo, 'close')).toEqual([0, null]);
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
});
