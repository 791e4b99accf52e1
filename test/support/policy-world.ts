/**
 * A small internet in a network namespace of its own, for what has a port that nobody chooses: a DNS, a policy host at port 443, an MX,
 * and a whole relay with its commands. Run under `unshare --net`; it prints what became of each step as JSON, and ends.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeAuthority, makeHost, served } from './chains.ts';
import { startDns } from './dns.ts';
import { startMx } from './mx.ts';
import { startPolicyHost } from './policy-host.ts';
import { run, temporaryFolder } from './program.ts';
import { prepareRelay } from './relay-process.ts';

const POLICY_HOST = '127.0.0.3';
const policy = (mode: string, mx: string) => `version: STSv1\r\nmode: ${mode}\r\nmx: ${mx}\r\nmax_age: 604800\r\n`;

/** What the doctor says of policies; it ends with 1 here, where much is wrong. */
async function examined(folder: string): Promise<unknown> {
  const checkout = new URL('../..', import.meta.url).pathname;
  const args = [join(checkout, 'src/smarthost.ts'), '--config', join(folder, 'smarthost.yaml'), 'doctor', '--json'];
  const { stdout } = await run(join(checkout, 'node_modules/.bin/node'), args, { timeout: 60_000 });
  const findings = JSON.parse(stdout) as readonly { readonly check: string }[];
  return findings.filter(({ check }) => check === 'mtaSts');
}

async function play(): Promise<unknown> {
  const folder = temporaryFolder('world');
  const root = await makeAuthority('root');
  const ca = join(folder.path, 'ca.pem');
  writeFileSync(ca, root.pem);
  const policyHost = await startPolicyHost(served(await makeHost({ names: ['mta-sts.x.test'], issuer: root })), {
    ...{ address: POLICY_HOST, port: 443 },
  });
  const tls = served(await makeHost({ names: ['mx.x.test'], issuer: root }));
  const mx = await startMx({ address: '127.0.0.2', hostname: 'mx.x.test', tls });
  const dns = await startDns({
    'x.test': { MX: ['10 mx.x.test'] },
    'mx.x.test': { A: ['127.0.0.2'] },
    '_mta-sts.x.test': { TXT: ['v=STSv1; id=1;'] },
    'mta-sts.x.test': { A: [POLICY_HOST] },
  });
  const settings = { delivery: { ca }, doctor: { destinations: ['x.test'], blockLists: [] } };
  const relay = await prepareRelay({ dns: dns.server, deliveryPort: mx.port, settings });
  try {
    const json = async (...args: string[]) => JSON.parse(await relay.command([...args, '--json'])) as unknown;
    const send = () => relay.command(['send', '--to', 'a@x.test', '--timeout', '30s', '--json']).then(JSON.parse);
    await relay.start();
    policyHost.answer = policy('enforce', '*.x.test');
    const first = await send();
    const known = await json('tls', 'policies', 'list');
    const doctor = await examined(relay.folder);
    policyHost.answer = policy('enforce', 'mx.old.test');
    const refreshed = await json('tls', 'policies', 'refresh', 'x.test');
    // The domain mends its policy without another id; the relay holds the wrong one.
    policyHost.answer = policy('enforce', 'mx.x.test');
    const healed = await send();
    const shown = await json('tls', 'policies', 'show', 'x.test');
    await relay.stop('SIGKILL');
    await relay.start();
    const asked = policyHost.asked.length;
    const restarted = await send();
    const actions = relay.events('stsPolicy').map(({ action }) => action);
    const fetchedAfterRestart = policyHost.asked.length - asked;
    return {
      first,
      known,
      doctor,
      refreshed,
      healed,
      shown,
      restarted,
      fetchedAfterRestart,
      actions,
      asked: policyHost.asked,
      count: mx.count(),
    };
  } finally {
    await relay.close();
    await Promise.all([dns.close(), mx.close(), policyHost.close()]);
    folder.remove();
  }
}

console.log(JSON.stringify(await play()));
