/** Guessers at the login of the console: what they cost the logins of mail, and whether the time of an answer tells which names there are. */
import { request } from 'node:http';
import { RawClient } from '../../support/raw-client.ts';
import { quantile, welch } from '../../support/sample.ts';
import { note, PASSWORD, type Rig, startRig } from './rig.ts';

const GUESSERS = 50;
const LOGINS = 150;
const TRIES = Number(process.env['LOGIN_TRIES'] ?? 600);

/** 50 at once, each from many addresses, so that no address is slowed. Every login of mail is the first one of its name, so that no password is remembered. */
export async function measureGuessers(): Promise<void> {
  const rig = await startRig({ messages: 10 });
  try {
    await rig.ask('/status');
    const without = await logins(rig, 0);
    const end = new AbortController();
    let guessed = 0;
    const guessers = Array.from({ length: GUESSERS }, async (_, i) => {
      for (let n = 0; !end.signal.aborted; n++) {
        await guess(rig, `127.${30 + i}.${n >> 8}.${1 + (n & 127)}`, 'admin');
        guessed++;
      }
    });
    const beside = await logins(rig, LOGINS);
    end.abort();
    await Promise.all(guessers);
    note('a login of mail with a password that is not remembered, p99', quantile(without, 0.99), 'ms');
    note(`the same beside ${GUESSERS} guessers at the console, p99`, quantile(beside, 0.99), 'ms');
    note('passwords that they guessed meanwhile', guessed, 'guesses');
  } finally {
    await rig.close();
  }
}

/** Known and unknown names in random order, each from an address of its own. */
export async function measureLoginTime(): Promise<void> {
  const rig = await startRig({ messages: 10 });
  const times = { known: [] as number[], unknown: [] as number[] };
  try {
    for (let i = -5; i < TRIES; i++)
      for (const kind of Math.random() < 0.5 ? (['known', 'unknown'] as const) : (['unknown', 'known'] as const)) {
        const took = await guess(
          rig,
          `127.${kind === 'known' ? 40 : 41}.${(i + 5) >> 7}.${1 + ((i + 5) & 127)}`,
          kind === 'known' ? 'admin' : 'nadmi',
        );
        if (i >= 0) times[kind].push(took);
      }
    const limit = quantile([...times.known, ...times.unknown], 0.75);
    const faster = (list: readonly number[]) => list.filter((one) => one <= limit);
    note('login with a known name, median', quantile(times.known, 0.5), 'ms');
    note('login with an unknown name, median', quantile(times.unknown, 0.5), 'ms');
    note(`t of Welch over ${TRIES} of each`, welch(times.known, times.unknown), '');
    note('the same for the faster three quarters', welch(faster(times.known), faster(times.unknown)), '');
  } finally {
    await rig.close();
  }
}

/** Milliseconds of each login with AUTH, from the first octet to 235. @param from the number of the first name. */
async function logins({ relay }: Rig, from: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = from; i < from + LOGINS; i++) {
    const began = performance.now();
    const client = await RawClient.tls(relay.ports.submissions);
    await client.reply();
    await client.ask('EHLO client.test');
    const reply = await client.ask(`AUTH PLAIN ${Buffer.from(`\0user${i}@sender.test\0${PASSWORD}`).toString('base64')}`);
    if (!reply.startsWith('235')) throw new Error(reply);
    times.push(performance.now() - began);
    client.close();
  }
  return times;
}

/** A wrong password, from its own connection. @returns milliseconds. */
function guess(rig: Rig, localAddress: string, name: string): Promise<number> {
  const began = performance.now();
  const body = JSON.stringify({ name, password: `wrong ${Math.random()}` });
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'sec-fetch-site': 'same-origin',
  };
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        ...{ host: '127.0.0.1', port: rig.port, path: '/api/v1/session', method: 'POST' },
        headers,
        localAddress,
        agent: false,
      },
      (response) => response.resume().once('end', () => resolve(performance.now() - began)),
    );
    asked.once('error', reject).end(body);
  });
}
