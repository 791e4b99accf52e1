/** How our questions travel: datagrams, streams, servers that are silent, that lie, or that know no EDNS. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decode, encode, type Packet } from 'dns-packet';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createDns } from '../../../src/dns/dns.ts';
import { createResolver, createSystemServers, parseServers } from '../../../src/dns/resolver.ts';
import { SECOND } from '../../../src/system/clock.ts';
import { startDns } from '../../support/dns.ts';
import { startDnsServer } from '../../support/dns-server.ts';
import { saying } from '../../support/phrases.ts';
import { temporaryFolder } from '../../support/program.ts';

type Answering = (query: Packet, count: number) => readonly Partial<Packet>[];

/** A server over UDP that answers as it is told: none, one or several messages for a question. */
async function startServer(answer: Answering): Promise<string> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  let count = 0;
  socket.on('message', (bytes, { port, address }) => {
    const query = decode(bytes);
    for (const part of answer(query, count++))
      socket.send(encode({ type: 'response', id: query.id!, questions: query.questions!, ...part }), port, address);
  });
  return `127.0.0.1:${socket.address().port}`;
}

const a = (name: string, data: string, ttl = 60) => ({ type: 'A', name, ttl, data }) as const;

test('a server that cannot be reached counts as one that does not answer', async () => {
  // The system refuses datagrams to everybody (EACCES) as it refuses those to a network without a route.
  const resolver = createResolver({ servers: ['255.255.255.255:53'], timeout: 10 * SECOND });
  expect(await resolver.ask({ name: 'd.test', type: 'A' })).toEqual({
    kind: 'silent',
    why: saying(/^255\.255\.255\.255:53: E[A-Z]+$/),
  });
});

test('a server without time left ends the question once', async () => {
  const resolver = createResolver({ servers: ['127.0.0.1:9'], timeout: 0 });
  expect(await resolver.ask({ name: 'd.test', type: 'A' })).toMatchObject({ kind: 'silent' });
});

test('a forged answer that comes before the real one is ignored', async () => {
  const server = await startServer(({ id }) => [
    { id: id! ^ 1, answers: [a('d.test', '203.0.113.9')] },
    { questions: [{ type: 'A', name: 'e.test' }], answers: [a('d.test', '203.0.113.9')] },
    { answers: [a('d.test', '192.0.2.1')] },
  ]);
  expect(await createDns({ servers: [server] }).a('d.test')).toMatchObject({ kind: 'found', values: ['192.0.2.1'] });
});

test('a server without EDNS is asked without it', async () => {
  const server = await startServer(({ additionals }) =>
    additionals?.length ? [{ flags: 1 }] : [{ answers: [a('d.test', '192.0.2.1')] }],
  );
  expect(await createDns({ servers: [server] }).a('d.test')).toMatchObject({ kind: 'found' });
});

test('after a temporary SERVFAIL the question is repeated, after a refusal it is not', async () => {
  const passing = await startServer((_, count) => [count === 0 ? { flags: 2 } : { answers: [a('d.test', '192.0.2.1')] }]);
  expect(await createDns({ servers: [passing], timeout: 100 }).a('d.test')).toMatchObject({ kind: 'found' });
  let asked = 0;
  const closed = await startServer(({ questions }) => {
    if (questions![0]!.type === 'A') asked++;
    return [{ flags: 5 }];
  });
  expect(await createDns({ servers: [closed] }).a('d.test')).toMatchObject({ kind: 'temporary', rcode: 'REFUSED' });
  expect(asked).toBe(1);
});

test('a failure while the resolver answers nothing at all says nothing about a name', async () => {
  const answers = (types: readonly string[]) => (query: Packet) =>
    types.includes(query.questions![0]!.type) ? [{ flags: 3 }] : [{ flags: 2 }];
  const good = createDns({ servers: [await startServer(answers(['SOA']))], timeout: 100 });
  expect(await good.mx('d.test')).not.toHaveProperty('blind');
  for (const answer of [answers([]), () => [{ flags: 5 }], () => []]) {
    const server = await startServer(answer);
    expect(await createDns({ servers: [server], timeout: 100 }).mx('d.test')).toMatchObject({ kind: 'temporary', blind: true });
  }
  const recent = createDns({ servers: [await startServer(answers(['A']))], timeout: 100 });
  await recent.a('e.test');
  expect(await recent.mx('d.test')).not.toHaveProperty('blind');
});

test('the next server is asked where one fails', async () => {
  const broken = await startServer(() => [{ flags: 2 }]);
  const good = await startServer(() => [{ answers: [a('d.test', '192.0.2.1')] }]);
  expect(await createDns({ servers: [broken, good] }).a('d.test')).toMatchObject({ kind: 'found' });
});

test.each(['servfail', 'timeout'] as const)(
  'no server that does not validate overrules one that does, and says %s',
  async (fault) => {
    const own = await startDns({ 'd.test': { fault }, 'e.test': { A: ['192.0.2.1'], secure: true } });
    const other = await startDnsServer({ address: '127.0.0.2', zone: { 'd.test': { A: ['192.0.2.66'] }, 'e.test': {} } });
    onTestFinished(async () => void (await Promise.all([own.close(), other.close()])));
    const dns = createDns({ servers: [own.server, other.server], timeout: 300 });
    expect(await dns.a('d.test')).toMatchObject({ kind: 'temporary' });
    expect(await dns.a('e.test')).toMatchObject({ kind: 'found', secure: true });
    expect(other.queries).toEqual([]);
  },
);

test('where the server that validates is gone, another one is asked, but not for TLSA records', async () => {
  const other = await startDnsServer({ address: '127.0.0.2', zone: { 'd.test': { A: ['192.0.2.1'] } } });
  onTestFinished(() => other.close());
  const dns = createDns({ servers: ['127.0.0.1:1', other.server], timeout: 300 });
  expect(await dns.a('d.test')).toMatchObject({ kind: 'found', secure: false });
  expect(await dns.tlsa('_25._tcp.d.test')).toMatchObject({
    kind: 'temporary',
    why: saying(/is not validated$/),
  });
});

test('a negative answer is cached as long as the zone says', async () => {
  const soa = { type: 'SOA', name: 'test', ttl: 900, data: { mname: 'ns.test', rname: 'h.test', minimum: 300 } } as const;
  const server = await startServer(() => [{ flags: 3, authorities: [soa as never] }]);
  expect(await createDns({ servers: [server] }).mx('d.test')).toMatchObject({
    kind: 'nxdomain',
    ttl: 300 * SECOND,
  });
});

test('an answer is cached for the shortest TTL of its chain', async () => {
  const server = await startServer(() => [
    { answers: [{ type: 'CNAME', name: 'd.test', ttl: 20, data: 'e.test' }, a('e.test', '192.0.2.1', 600)] },
  ]);
  expect(await createDns({ servers: [server] }).a('d.test')).toMatchObject({ ttl: 20 * SECOND, name: 'e.test' });
});

test('a broken record is left out, and if all are broken the look-up fails', async () => {
  const raw = (lengths: readonly number[]) => [
    {
      answers: lengths.map((length) => ({ type: 'UNKNOWN_1', name: 'd.test', ttl: 60, data: Buffer.alloc(length, 9) })) as never,
    },
  ];
  const mixed = await startServer(() => raw([2, 4]));
  const none = await startServer(() => raw([2]));
  expect(await createDns({ servers: [mixed] }).a('d.test')).toMatchObject({ kind: 'found', values: ['9.9.9.9'] });
  expect(await createDns({ servers: [none] }).a('d.test')).toMatchObject({ kind: 'temporary' });
});

test('an alias that cannot be read fails its look-up alone, and the name can be asked for again', async () => {
  // Its last label would end after the message.
  const broken = { type: 'UNKNOWN_5', name: 'd.test', ttl: 60, data: Buffer.from([63]) };
  const server = await startServer((_, count) =>
    count === 0 ? [{ answers: [broken as never] }] : [{ answers: [a('d.test', '192.0.2.1')] }],
  );
  let now = 0;
  const dns = createDns({ servers: [server], now: () => now });
  expect(await dns.a('d.test')).toMatchObject({ kind: 'temporary', why: saying('the alias of d.test cannot be read') });
  now = 10 * SECOND;
  expect(await dns.a('d.test')).toMatchObject({ kind: 'found' });
});

test('the AD bit counts only from this machine or from a server that the operator trusts', async () => {
  const dns = await startDns({ 'd.test': { A: ['192.0.2.1'], secure: true } });
  onTestFinished(() => dns.close());
  expect(await createDns({ servers: [dns.server] }).a('d.test')).toMatchObject({ secure: true });
  const stub = createSocket('udp4').bind(dns.port, '127.0.0.53');
  await once(stub, 'listening');
  onTestFinished(() => void stub.close());
  stub.on('message', (bytes, { port, address }) => {
    const { id, questions } = decode(bytes);
    stub.send(
      encode({ type: 'response', id: id!, flags: 0x20, questions: questions!, answers: [a('d.test', '192.0.2.1')] }),
      port,
      address,
    );
  });
  const servers = [`127.0.0.53:${dns.port}`];
  expect(await createDns({ servers }).a('d.test')).toMatchObject({ kind: 'found', secure: false });
  expect(await createDns({ servers, trustAd: true }).a('d.test')).toMatchObject({ kind: 'found', secure: true });
});

test('more questions than there are sockets wait their turn', async () => {
  const dns = await startDns(Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`d${i}.test`, { A: ['192.0.2.1'] }])));
  onTestFinished(() => dns.close());
  const { ask } = createResolver({ servers: [dns.server], timeout: 20 * SECOND });
  const replies = await Promise.all(Array.from({ length: 600 }, (_, i) => ask({ name: `d${i}.test`, type: 'A' })));
  expect(replies.filter(({ kind }) => kind === 'answered').length).toBe(600);
});

test('the servers of the system are read again when the file has changed', () => {
  expect(parseServers('# x\nnameserver 192.0.2.1\nnameserver\t2001:db8::1\noptions edns0\n')).toEqual([
    '192.0.2.1',
    '2001:db8::1',
  ]);
  expect(parseServers('search test\n')).toEqual(['127.0.0.1']);
  const folder = temporaryFolder('resolv');
  onTestFinished(() => folder.remove());
  const path = join(folder.path, 'resolv.conf');
  const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
  onTestFinished(() => clock.mockRestore());
  const servers = createSystemServers(path);
  expect(servers()).toEqual(['127.0.0.1']); // there is no such file yet
  writeFileSync(path, 'nameserver 192.0.2.1\n');
  clock.mockReturnValue(2 * SECOND);
  expect(servers()).toEqual(['192.0.2.1']);
  writeFileSync(path, 'nameserver 192.0.2.22\n');
  clock.mockReturnValue(4 * SECOND);
  expect(servers()).toEqual(['192.0.2.22']);
});
