/** deploy/install.sh and deploy/smarthost.service on a Debian 12 that has nothing but apt. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasCommit, putCheckout, putCommit } from '../support/checkout.ts';
import { type DebianRoot, hasDebianRoots, makeDebianRoot } from '../support/debian-root.ts';
import { INSIDE_ADDRESS, OUTSIDE_ADDRESS, startOutside } from '../support/outside.ts';
import { requirePeer } from '../support/peers.ts';
import { type BootedRoot, bootRoot, canBoot } from '../support/systemd.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
/** For a test, or a command that downloads. A busy machine decides no test. */
const WHOLE = { timeout: 30 * MINUTE };
const SOURCE = '/usr/local/src/smarthost';
/** 0.1 */
const FIRST = 'd40d0e2';
const INSTALL = `${SOURCE}/deploy/install.sh`;
/** The downloads of the first installation are enough for the next ones. */
const OFFLINE = { npm_config_offline: 'true' };

describe.skipIf(!requirePeer('mmdebstrap and systemd', hasDebianRoots() && canBoot()))('a Debian 12', () => {
  let root: DebianRoot;
  let booted: BootedRoot | undefined;
  const version = () => root.run(['smarthost', 'version']).then(({ stdout }) => stdout.trim());
  const read = (path: string) => readFileSync(join(root.path, path), 'utf8');
  const write = (path: string, text: string) => writeFileSync(join(root.path, path), text);
  const edit = (path: string, from: string, to: string) => write(path, read(path).replace(from, to));
  /** The checkout is a later version while a command runs. */
  async function asVersion<T>(version: string, command: () => Promise<T>): Promise<T> {
    const file = `${SOURCE}/package.json`;
    const before = read(file);
    write(file, before.replace(/^ {2}"version": "[^"]+"/m, `  "version": "${version}"`));
    return command().finally(() => write(file, before));
  }
  const install = (...args: string[]) => root.run([INSTALL, ...args], { env: OFFLINE, network: false, timeout: 10 * MINUTE });

  beforeAll(async () => {
    root = await makeDebianRoot('bookworm', ['systemd', 'procps', 'iproute2', 'curl', 'ufw', 'nftables', 'openssh-server']);
    putCheckout(root.put, SOURCE);
  }, WHOLE.timeout);
  afterAll(async () => {
    await booted?.close();
    root?.remove();
  }, MINUTE);

  test('installs the relay with one command, and says what cannot be started', WHOLE, async () => {
    const init = ['--hostname', 'relay.example.net', '--domain', 'example.org', '--email', 'admin@example.org'];
    const { code, stdout, stderr } = await root.run([INSTALL, ...init], WHOLE);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('systemd does not run here');
    expect(stdout).toContain('smarthost 0.');
    expect(stdout).toContain('example.org. 3600 IN TXT "v=spf1 a:relay.example.net ~all"');
    const { stdout: system } = await root.run(['node', '--version']);
    const { stdout: own } = await root.run(['/opt/smarthost/node_modules/.bin/node', '--version']);
    expect(system).toMatch(/^v18\./);
    expect(own).toMatch(/^v24\./);
    expect(read('/usr/local/bin/smarthost').trimEnd().split('\n')).toHaveLength(2);
    // What only a compiler needs is not left on the machine.
    const forCompilers = ['typescript', '@typescript', 'node-linux-*/include'].map(
      (name) => `/opt/smarthost/node_modules/${name}`,
    );
    const { stdout: left } = await root.run([
      'bash',
      '-c',
      `compgen -G '${forCompilers.join("'; compgen -G '")}'; ls -A /root/.cache`,
    ]);
    expect(left).toBe('');
    const { stdout: rights } = await root.run([
      'stat',
      '-c',
      '%n %U %a',
      '/var/lib/smarthost',
      '/etc/smarthost',
      '/opt/smarthost',
    ]);
    expect(rights).toBe('/var/lib/smarthost smarthost 700\n/etc/smarthost root 750\n/opt/smarthost root 755\n');
  });

  test('is as it was after the same command again', WHOLE, async () => {
    const facts = () =>
      root.run([
        'bash',
        '-c',
        'smarthost domain list --json; md5sum /etc/smarthost/* /etc/systemd/system/*.service; id smarthost',
      ]);
    const before = await facts();
    const { code, stdout, stderr } = await install('--hostname', 'other.example.net');
    expect(code, stderr).toBe(0);
    expect(stdout).toContain('/etc/smarthost/smarthost.yaml exists and is not changed');
    expect(await facts()).toEqual(before);
  });

  test('runs the relay as a service that reloads, comes back after a crash, and stops', WHOLE, async () => {
    booted = await bootRoot(root);
    const { run: sh } = booted;
    const log = () => sh('journalctl -u smarthost -o cat --no-pager').then(({ stdout }) => stdout);
    const active = () =>
      sh('sleep 2; systemctl is-active smarthost; systemctl show -P NRestarts smarthost').then(({ stdout }) => stdout);
    expect((await sh('systemctl enable --now smarthost')).code).toBe(0);
    await expect.poll(log).toContain('"event":"started"');
    expect((await sh("ss -Hltn 'sport != 22 and sport != 53' | awk '{ print $4 }' | sort")).stdout).toBe(
      '*:465\n*:587\n127.0.0.1:8025\n127.0.0.1:8026\n',
    );
    expect((await sh('curl -s http://127.0.0.1:8025/healthz')).stdout).toContain('ok');
    // its one capability, and no way to more
    const status = await sh('cat /proc/$(systemctl show -P MainPID smarthost)/status');
    expect(status.stdout).toMatch(/CapEff:\s+0000000000000400\n[\s\S]*NoNewPrivs:\s+1\nSeccomp:\s+2\n/);

    await sh('systemctl reload smarthost');
    await expect.poll(log).toContain('"event":"reloaded"');
    expect(await active()).toBe('active\n0\n');

    await sh('smarthost user add anna@example.org --password-stdin <<<"correct horse battery"');
    const send =
      `printf 'From: anna@example.org\\r\\n\\r\\nhello\\r\\n' | curl -sk --url smtps://127.0.0.1:465 --mail-from anna@example.org
      --mail-rcpt bob@example.com --user 'anna@example.org:correct horse battery' -T -`.replaceAll('\n', ' ');
    expect((await sh(send)).code).toBe(0);
    await sh('kill -9 $(systemctl show -P MainPID smarthost)');
    await expect.poll(active).toBe('active\n1\n');
    const { stdout: queue } = await sh('smarthost queue list --json');
    expect(JSON.parse(queue)).toMatchObject([{ user: 'anna@example.org', recipients: [{ recipient: 'bob@example.com' }] }]);

    expect((await sh('systemctl stop smarthost')).code).toBe(0);
    expect(await log()).toContain('"event":"stopped","reason":"SIGTERM"');
  });

  test('has a validating resolver for this machine only', WHOLE, async () => {
    const { run: sh } = booted!;
    expect((await sh('systemctl is-active unbound; unbound-checkconf')).stdout).toMatch(/^active\nunbound-checkconf: no errors/);
    expect((await sh("ss -Hlun 'sport = 53' | awk '{ print $4 }' | sort -u")).stdout).toMatch(
      /^127\.0\.0\.1:53\n(\[::1\]:53\n)?$/,
    );
    expect((await sh('unbound-checkconf -o ede; unbound-checkconf -o auto-trust-anchor-file')).stdout).toMatch(
      /^yes\n.*root\.key\n$/,
    );
    expect((await sh('cat /etc/resolv.conf')).stdout).not.toContain('127.0.0.1');
    write('/etc/smarthost/smarthost.yaml', read('/etc/smarthost/smarthost.yaml').replace(/^dns:.*$/m, ''));
    const { stdout } = await sh(INSTALL, { env: OFFLINE });
    expect(stdout).toContain(
      'For DANE, add this to /etc/smarthost/smarthost.yaml, and restart the relay:\n  dns: { servers: [127.0.0.1] }\n',
    );
  });

  test('leaves another resolver as it is, and installs none where none is wanted', WHOLE, async () => {
    const settings = '/etc/unbound/unbound.conf.d/smarthost.conf';
    const inside = (script: string) => root.run(['bash', '-ec', script], { env: OFFLINE, network: false });
    const other = await inside(`rm ${settings}; ${INSTALL}; test ! -e ${settings}`);
    expect(other.stdout).toContain('unbound is on this machine and stays as it is');
    expect(other.code).toBe(0);
    const none = await inside(`mv /usr/sbin/unbound /root/; ${INSTALL} --no-resolver; mv /root/unbound /usr/sbin/`);
    expect(none.stdout).not.toMatch(/unbound/i);
    expect(none.code).toBe(0);
    const hide = 'mkdir /root/away; mv /usr/sbin/unbound /usr/bin/apt-get /root/away/';
    const back = 'mv /root/away/unbound /usr/sbin/; mv /root/away/apt-get /usr/bin/';
    const offline = await inside(`${hide}; ${INSTALL}; ${back}`);
    expect(offline.stderr).toContain('unbound could not be installed: mail is delivered, but without DANE');
    expect(offline.code).toBe(0);
  });

  test('upgrades from a newer checkout, restarts what runs, and goes back', WHOLE, async () => {
    const { run: sh } = booted!;
    const before = await version();
    await sh('systemctl start smarthost');
    const upgrade = await asVersion('9.9.9', () => sh(INSTALL, { env: OFFLINE }));
    expect(upgrade.stdout, upgrade.stderr).toContain('The relay runs.\n\nsmarthost 9.9.9 is installed.');
    expect((await sh('journalctl -u smarthost -o cat --no-pager | grep started | tail -1')).stdout).toContain(
      '"version":"9.9.9"',
    );
    const back = await sh('/opt/smarthost.previous/deploy/install.sh', { env: OFFLINE });
    expect(back.stdout).toContain(`The relay runs.\n\nsmarthost ${before} is installed.`);
    expect((await sh('smarthost user list --json')).stdout).toContain('anna@example.org');
  });

  test('keeps the running version if the new one does not accept the configuration', WHOLE, async () => {
    const { run: sh } = booted!;
    const before = await version();
    write('/etc/smarthost/smarthost.yaml', `${read('/etc/smarthost/smarthost.yaml')}\nlistne: {}\n`);
    const { code, stderr } = await sh(INSTALL, { env: OFFLINE });
    expect(code).toBe(1);
    expect(stderr).toContain('the installed one was left as it is');
    expect(await version()).toBe(before);
    expect((await sh('systemctl is-active smarthost')).stdout).toBe('active\n');
    edit('/etc/smarthost/smarthost.yaml', '\nlistne: {}\n', '');
    await booted!.close();
    booted = undefined;
  });

  test('keeps the running version if the Node of the relay cannot be downloaded, and says so', WHOLE, async () => {
    const { integrity } = JSON.parse(read(`${SOURCE}/package-lock.json`)).packages[`node_modules/node-linux-${process.arch}`];
    const hash = Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex');
    const download = `_cacache/content-v2/sha512/${hash.slice(0, 2)}/${hash.slice(2, 4)}/${hash.slice(4)}`;
    await root.run(['bash', '-c', `cp -a /root/.npm /root/other; rm /root/other/${download}`]);
    const env = { ...OFFLINE, npm_config_cache: '/root/other' };
    const without = await root.run([INSTALL], { env, network: false, timeout: 10 * MINUTE });
    await root.run(['rm', '-r', '/root/other']);
    expect(without.stderr).toMatch(/^error: npm has not downloaded Node for this machine \(\w+\); nothing was changed\./);
    expect(without.code).toBe(1);
    expect(await version()).toMatch(/^\d+\.\d+\.\d+$/);
  });

  test('gets rules of ufw with --firewall, and is reported as ready only if SSH has a rule', WHOLE, async () => {
    const without = await install('--firewall');
    expect(without.stderr).toContain('the firewall is NOT ready: no rule of ufw allows SSH (port 22)');
    expect(without.code).toBe(1);
    await root.run(['ufw', 'allow', 'OpenSSH'], { network: false });
    const ready = await install('--firewall');
    expect(ready.stdout).toContain('ufw is off and stays off');
    expect(ready.code).toBe(0);
    const { stdout: rules } = await root.run(['ufw', 'show', 'added'], { network: false });
    expect(rules.match(/^ufw allow .*/gm)).toEqual([
      ...[465, 587, 80].map((port) => `ufw allow ${port}/tcp comment 'smarthost'`),
      'ufw allow OpenSSH',
    ]);
    expect(read('/etc/ufw/ufw.conf')).toContain('ENABLED=no');
  });

  test('gets rules of nftables if nftables blocks connections, also for the next boot', WHOLE, async () => {
    const chain = (ssh: string) => `flush ruleset
table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    ${ssh}
  }
}
`;
    const withRules = (script: string) => root.run(['bash', '-ec', script], { env: OFFLINE, network: false });
    write('/etc/nftables.conf', chain(''));
    const without = await withRules(`nft -f /etc/nftables.conf; ${INSTALL} --firewall`);
    expect(without.stderr).toContain('no rule of the chain inet filter input allows SSH (port 22)');
    expect(without.code).toBe(1);
    write('/etc/nftables.conf', chain('tcp dport { 22, 8080 } accept'));
    const script = `nft -f /etc/nftables.conf; ${INSTALL} --firewall; ${INSTALL} --firewall >/dev/null; nft list ruleset
      echo next boot; nft -f /etc/nftables.conf; nft list ruleset; ${INSTALL} --uninstall; echo after; nft list ruleset; cat /etc/nftables.conf`;
    const { stdout, code } = await withRules(script);
    expect(code).toBe(0);
    expect(stdout).toContain('The firewall is ready: SSH has a rule.');
    const [now, next, after] = stdout.split(/^next boot$|^after$/m);
    for (const part of [now, next]) expect(part?.match(/tcp dport { 80, 465, 587 } accept comment "smarthost"/g)).toHaveLength(1);
    expect(after).not.toContain('smarthost');
    expect(after).toContain('tcp dport { 22, 8080 } accept');
  });

  test('keeps mail and configuration without the relay, and nothing with --purge', WHOLE, async () => {
    const left = () =>
      root.run(
        [
          'bash',
          '-c',
          'ls -d /opt/smarthost* /usr/local/bin/smarthost /etc/smarthost /var/lib/smarthost /etc/systemd/system/smarthost.service; ufw show added | grep smarthost; getent passwd smarthost | cut -d: -f1',
        ],
        { network: false },
      );
    expect((await left()).stdout).toBe('/etc/smarthost\n/var/lib/smarthost\nsmarthost\n');
    expect((await install('--uninstall', '--purge')).code).toBe(0);
    expect((await left()).stdout).toBe('');
    expect((await install('--uninstall')).code).toBe(0);
  });

  describe.skipIf(!requirePeer('the history of this repository', hasCommit(FIRST)))('with 0.1', () => {
    const send =
      `printf 'From: anna@firm.example\\r\\n\\r\\nhello\\r\\n' | curl -skv --url smtps://127.0.0.1:465 --mail-from anna@firm.example
      --mail-rcpt you@there.example --user 'anna@firm.example:correct horse battery' -T - 2>&1`.replaceAll('\n', ' ');
    const sh = (command: string) => booted!.run(command, { env: OFFLINE });
    const waiting = async (): Promise<unknown[]> => JSON.parse((await sh('smarthost queue list --json')).stdout);

    test('upgrades to today: a setting counts, logins and keys stay, and mail that waited is delivered', WHOLE, async () => {
      putCommit(FIRST, join(root.path, '/usr/local/src/first'));
      const init = ['--hostname', 'relay.firm.example', '--domain', 'firm.example'];
      const first = await root.run(['/usr/local/src/first/deploy/install.sh', ...init], WHOLE);
      expect([first.code, first.stdout], first.stderr).toEqual([0, expect.stringContaining('smarthost 0.1.0 is installed.')]);
      const configuration = read('/etc/smarthost/smarthost.yaml');
      write('/etc/smarthost/smarthost.yaml', `${configuration}\nsubmission: { maxMessageSize: 1MiB }\n`);
      write('/etc/resolv.conf', `nameserver ${OUTSIDE_ADDRESS}\n`);
      booted = await bootRoot(root);
      await sh("smarthost user add anna@firm.example --password-stdin <<<'correct horse battery'");
      await sh('systemctl enable --now smarthost');
      await expect.poll(async () => (await sh(send)).code).toBe(0);
      const keys = (await sh('smarthost domain list --json')).stdout;

      expect((await sh('smarthost backup /var/backups/before.db')).stderr).toContain('1 of them waiting');
      const upgrade = await asVersion('9.9.9', () => sh(INSTALL));
      expect(upgrade.stdout, upgrade.stderr).toContain('The relay runs.\n\nsmarthost 9.9.9 is installed.');
      expect(JSON.parse((await sh('smarthost domain list --json')).stdout)).toMatchObject(JSON.parse(keys));
      expect((await sh(send)).stdout).toMatch(/^< 250[- ]SIZE 1048576\r?$/m);
      expect(await waiting()).toHaveLength(2);
      const outside = await startOutside(booted.init, {
        ...{ blocked: false, login: { user: 'relay', password: 'paid for' } },
        zone: { 'relay.firm.example': { A: [INSIDE_ADDRESS!] } },
      });
      try {
        // The resolver of the machine asks a server that did not answer only after a while.
        const arrived = async () => {
          await sh('smarthost queue retry --all');
          return outside.messages().map(({ to }) => to);
        };
        await expect.poll(arrived, { timeout: 4 * MINUTE, interval: 5 * SECOND }).toHaveLength(2);
        await expect.poll(waiting).toEqual([]);
      } finally {
        await outside.close();
      }
    });

    test('goes back with the backup of before, whose mail waits for the operator', WHOLE, async () => {
      const file = '/var/backups/empty.db';
      const empty = await sh(`systemctl stop smarthost; smarthost backup ${file}; smarthost restore --force ${file}`);
      expect(empty.stderr).toContain('Nothing waited. Start the relay: systemctl enable --now smarthost');
      const back = await sh('/opt/smarthost.previous/deploy/install.sh');
      expect(back.stdout).toContain('smarthost 0.1.0 is installed.');
      expect((await sh('smarthost restore --force /var/backups/before.db')).stderr).toContain('1 message that waited is on hold');
      await sh('systemctl start smarthost');
      await expect.poll(async () => (await sh(send)).code).toBe(0);
      expect(await waiting()).toHaveLength(2);
      expect((await sh('smarthost queue release --all')).code).toBe(0);
    });
  });
});
