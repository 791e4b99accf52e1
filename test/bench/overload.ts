/**
 * What memory the relay takes under overload, and how much of it it gives back: 2,000 idle connections, 200 that are slow and 50
 * that guess passwords, from 250 addresses, each opened again as it is closed. It ends by itself.
 * `node test/bench/overload.ts [minutes] [minutes after]`
 */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { RawClient } from '../support/raw-client.ts';
import { startScenario } from '../support/relay-scenario.ts';

const [minutes = 4, after = 5] = process.argv.slice(2).map(Number);
const MIB = 1024 * 1024;
const scenario = await startScenario();
const { relay } = scenario;
const pid = relay.pid();
const sockets = new Set<Socket>();
let over = false;

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** In bytes, of /proc/PID/status. */
const memory = (name: string) =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
const show = (bytes: number) => (bytes / MIB).toFixed(0);

async function idle(port: number, localAddress: string, trickle: boolean): Promise<void> {
  while (!over) {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    sockets.add(socket);
    socket.on('error', () => {}).resume();
    const timer = trickle ? setInterval(() => socket.writable && socket.write('E'), 1000) : undefined;
    await new Promise((resolve) => socket.once('close', resolve));
    clearInterval(timer);
    sockets.delete(socket);
    await pause(1000);
  }
}

async function guess(port: number, localAddress: string): Promise<void> {
  for (let i = 0; !over; i++) {
    const client = RawClient.clear(port, localAddress);
    sockets.add(client.socket);
    try {
      await client.upgrade();
      await client.reply();
      await client.ask('EHLO x');
      for (; !over; i++) await client.ask(`AUTH PLAIN ${Buffer.from(`\0guess${i}\0${i}`).toString('base64')}`);
    } catch {
      // it is turned away, or closed
    }
    client.close();
    sockets.delete(client.socket);
    await pause(200);
  }
}

console.log(`started: ${show(memory('VmRSS'))} MB`);
const { submissions, submission } = relay.ports;
const running = [
  ...Array.from({ length: 2000 }, (_, i) => idle(i % 2 ? submissions : submission, `127.0.10.${1 + (i % 200)}`, false)),
  ...Array.from({ length: 200 }, (_, i) => idle(submission, `127.0.10.${1 + i}`, true)),
  ...Array.from({ length: 50 }, (_, i) => guess(submissions, `127.0.11.${1 + i}`)),
];
const began = Date.now();
let peak = 0;
const report = async (until: number, word: string) => {
  for (let i = 0; Date.now() < until; i++) {
    await pause(1000);
    peak = Math.max(peak, memory('VmRSS'));
    if (i % 15 === 14)
      console.log(
        `${((Date.now() - began) / 1000).toFixed(0)} s, ${word}: ${show(memory('VmRSS'))} MB, ${show(memory('RssAnon'))} of its own`,
      );
  }
};
await report(began + minutes * 60_000, 'overload');
over = true;
for (const socket of sockets) socket.destroy();
await Promise.all(running);
await report(Date.now() + after * 60_000, 'after');
console.log(`peak ${show(Math.max(peak, memory('VmHWM')))} MB, at the end ${show(memory('VmRSS'))} MB`);
await scenario.close();
