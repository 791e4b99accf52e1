/** Runs the steps of the Dockerfile in a Debian root, and starts the result as a container engine would. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { CHECKOUT } from '../support/checkout.ts';
import { type DebianRoot, hasDebianRoots, makeDebianRoot } from '../support/debian-root.ts';
import { buildImage, contextOf, type Image, readDockerfile, removeContext } from '../support/dockerfile.ts';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { run, temporaryFolder } from '../support/program.ts';

const MINUTE = 60_000;
const SUITES: Readonly<Record<string, string>> = { 'debian:13-slim': 'trixie' };
const compose = parse(readFileSync(join(CHECKOUT, 'deploy/compose.yaml'), 'utf8'));
const instructions = readDockerfile(join(CHECKOUT, 'Dockerfile'));

/** As an engine does by compose.yaml: nothing can be written but volume and tmpfs, no capability, ports open to all. */
const START = `
  image=$1 volume=$2
  mount --make-rprivate /; ip link set lo up
  mount --bind "$image" "$image"
  mount -t proc proc "$image/proc"
  mount -t tmpfs tmpfs "$image/dev"
  for device in null zero random urandom; do touch "$image/dev/$device"; mount --bind "/dev/$device" "$image/dev/$device"; done
  mount -t tmpfs tmpfs "$image/tmp"
  mount --bind "$volume" "$image/var/lib/smarthost"
  mount -o remount,bind,ro "$image"
  echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
  inside() {
    chroot "$image" setpriv --reuid=smarthost --regid=smarthost --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs \\
      env -i PATH=/usr/local/bin:/usr/bin:/bin SMARTHOST_HOSTNAME=relay.example.net "$@"
  }`;

describe('compose.yaml', () => {
  const { smarthost } = compose.services;

  test('gives the relay what the image needs and no more', () => {
    expect(smarthost).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
    const volumes = instructions.filter(({ word }) => word === 'VOLUME').map(({ rest }) => rest);
    expect(smarthost.volumes).toEqual(volumes.map((path) => `data:${path}`));
    const exposed = instructions.find(({ word }) => word === 'EXPOSE')!.rest.split(' ');
    expect(smarthost.ports).toEqual(exposed.map((port) => (port === '8026' ? `127.0.0.1:${port}:${port}` : `${port}:${port}`)));
  });

  test('waits longer than a stop takes', () => {
    expect(Number.parseInt(smarthost.stop_grace_period, 10)).toBeGreaterThan(30);
  });
});

describe('the resolver of compose.yaml', () => {
  const { smarthost, resolver } = compose.services;

  test('is the one that the relay asks and trusts, and nobody else can reach it', () => {
    const address = resolver.networks.resolver.ipv4_address;
    expect(smarthost.environment).toMatchObject({ SMARTHOST_DNS_SERVERS: address, SMARTHOST_DNS_TRUST_AD: 'true' });
    expect(Object.keys(smarthost.networks)).toContain('resolver');
    expect(compose.networks.resolver.internal).toBe(true);
    expect(resolver).not.toHaveProperty('ports');
    expect(resolver.build.dockerfile_inline).toContain(`interface: ${address}`);
    expect(resolver).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
  });

  test('starts unprivileged with the settings of its container', () => {
    const [, words] = /printf '%s\\n' ((?:.|\\\n)*?) > \S+container\.conf/.exec(resolver.build.dockerfile_inline)!;
    const container = [...words!.matchAll(/'([^']*)'/g)].map(([, line]) => line!).join('\n');
    const folder = temporaryFolder('resolver');
    const file = join(folder.path, 'unbound.conf');
    writeFileSync(file, `${readFileSync(join(CHECKOUT, 'deploy/unbound.conf'), 'utf8')}\n${container}\n`);
    try {
      if (requirePeer('unbound', hasCommand('unbound-checkconf')))
        expect(execFileSync('unbound-checkconf', [file], { encoding: 'utf8' })).toContain('no errors');
    } finally {
      folder.remove();
    }
  });
});

describe.skipIf(!requirePeer('mmdebstrap', hasDebianRoots()))('the image', () => {
  let base: DebianRoot;
  let image: Image;
  const context = contextOf(CHECKOUT);

  beforeAll(async () => {
    const bases = new Set(instructions.filter(({ word }) => word === 'FROM').map(({ rest }) => rest.split(' ')[0]!));
    expect([...bases]).toHaveLength(1);
    base = await makeDebianRoot(SUITES[[...bases][0]!]!);
    image = await buildImage(instructions, context, base);
  }, 60 * MINUTE);
  afterAll(() => {
    removeContext(context);
    image?.root.remove();
    base?.remove();
  });

  test('has the program and its Node, and no tool that installs software', async () => {
    const { stdout } = await image.root.run([
      'bash',
      '-c',
      'command -v npm node smarthost; smarthost version; du -sm /opt/smarthost',
    ]);
    const [found, version, size] = stdout.trim().split('\n');
    expect(found).toBe('/usr/local/bin/smarthost');
    expect(version).toMatch(/^\d+\.\d+\.\d+/);
    expect(Number.parseInt(size!, 10)).toBeLessThan(160);
  });

  test('runs unprivileged on a read-only root, answers its health check, and ends on SIGTERM', {
    timeout: 10 * MINUTE,
  }, async () => {
    expect(image.user).toBe('smarthost');
    expect(image.volumes).toEqual(['/var/lib/smarthost']);
    const health = quoted(image.health);
    const script = `${START}
      inside ${quoted([...image.entrypoint, ...image.command])} & relay=$!
      for _ in $(seq 100); do inside ${health} && echo healthy && break; sleep 0.2; done
      inside smarthost user add anna@example.org --password-stdin <<<'correct horse battery'
      inside smarthost user list --json
      for place in /opt/smarthost/x /etc/x /etc/smarthost/x; do inside touch $place 2>&1 | grep -o 'Read-only file system'; done
      kill -TERM $(cat "$volume/instance.pid"); wait $relay; echo "exit $?"
      inside ${health} || echo unhealthy
      stat -c '%U %a' "$volume/smarthost.db"`;
    const volume = copyOfVolume(image);
    const namespaces = ['--mount', '--pid', '--fork', '--net', '--kill-child', '--mount-proc'];
    const { stdout, stderr } = await run(
      'unshare',
      [...namespaces, 'bash', '-c', script, 'start', image.root.path, volume.path],
      {
        timeout: 9 * MINUTE,
      },
    );
    volume.remove();
    expect(stdout, stderr).toMatch(/^healthy$/m);
    expect(stdout).toContain('"name": "anna@example.org"');
    expect(stdout.match(/Read-only file system/g)).toHaveLength(3);
    expect(stdout).toMatch(/"event":"stopped","reason":"SIGTERM"[^\n]*\nexit 0\nunhealthy\n/);
    expect(stdout).toMatch(/ 600\n$/);
  });
});

const quoted = (words: readonly string[]) => words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');

/** An engine fills a new volume with what the image has there, owner and rights included. */
function copyOfVolume(image: Image) {
  const folder = temporaryFolder('volume');
  const path = join(folder.path, 'data');
  execFileSync('cp', ['-a', join(image.root.path, image.volumes[0]!), path]);
  return { path, remove: folder.remove };
}
