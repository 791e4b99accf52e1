/**
 * A provider that refuses the address of the relay, from the first refusal until it takes mail again. The clock of the relay is set
 * forward between the steps; all else is real: the program, its commands, and the mail that it sends.
 */
import { writeFile } from 'node:fs/promises';
import { HOUR, MINUTE, SECOND } from '../system/clock.ts';
import { type DemoLogin, submit } from './letters.ts';
import { type Site, smarthost } from './relay-process.ts';
import type { World } from './world.ts';

type Stage = {
  readonly say: (text?: string) => void;
  readonly world: World;
  readonly site: Required<Site>;
  readonly login: DemoLogin;
};

const PROVIDER = 'microsoft365';
/** Of the relay: it acts within seconds. */
const PATIENCE = 30 * SECOND;

export async function showBlock(stage: Stage): Promise<void> {
  const { say, world } = stage;
  const clock = { ahead: 0 };
  const setForward = async (duration: number) => {
    clock.ahead += duration;
    await writeFile(stage.site.clock, String(clock.ahead));
  };

  say('1  A provider refuses the address of the relay');
  world.block(true);
  const first = await send(stage, 'nina@north.test');
  await until(stage, ({ held }) => held === 1);
  const second = await send(stage, 'sven@south.test');
  await arrived(stage, await send(stage, 'anna@alpha.test'));
  await until(stage, ({ held }) => held === 2);
  say('   Mail for others goes on. What the provider refuses is held, and not returned.');
  await command(stage, 'queue', 'list');
  await command(stage, 'provider', 'show', PROVIDER);
  await mail(stage, 'operator', (text) => text.includes(`${PROVIDER} refuses mail`));

  say('2  Two hours later one message finds out whether it still does');
  const refused = await until(stage, ({ addresses: [one] }) => one?.state === 'blocked');
  await setForward(2 * HOUR + MINUTE);
  await until(stage, ({ addresses: [one] }) => one?.state === 'blocked' && one.since !== refused.addresses[0]!.since);
  say('   It does, and so the next message goes after four hours.');
  await command(stage, 'provider', 'list');

  say('3  Another two hours later the sender is told why its mail waits');
  await setForward(2 * HOUR);
  const third = await send(stage, 'nils@north.test');
  await mail(stage, 'sender', (text) => text.includes('Action: delayed') && text.includes('nina@north.test'));

  say('4  Another two hours later the provider has changed its mind');
  world.block(false);
  await setForward(2 * HOUR + MINUTE);
  for (const id of [first, second, third]) await arrived(stage, id);
  await until(stage, ({ held }) => held === 0);
  say('   The message that asked has come through, and the rest has followed, the oldest first.');
  await command(stage, 'provider', 'show', PROVIDER);

  say('5  An hour later a further message goes at once, and ends the block');
  await setForward(HOUR);
  await arrived(stage, await send(stage, 'nina@north.test'));
  await mail(stage, 'operator', (text) => text.includes(`${PROVIDER} takes mail again`));
  await command(stage, 'provider', 'list');
  await command(stage, 'trace', first);
}

/** @returns its queue id. */
async function send({ say, login }: Stage, to: string): Promise<string> {
  const reply = await submit({ port: 'submission', to: [to], subject: `For ${to}`, text: 'Hello.\n' }, login);
  say(`   ${`to ${to}`.padEnd(20)} the client heard   ${reply}`);
  return / queued as (\S+)/.exec(reply)?.[1] ?? '';
}

/** The relay has noted it too, so that its trace says so. What it writes to people names messages that wait. */
async function arrived({ world, site }: Stage, id: string): Promise<void> {
  const isOurs = (to = '') => Object.values(ADDRESSEE).some((name) => to.startsWith(name));
  await world.message(({ recipients: [to], data }) => !isOurs(to) && data.includes(`id ${id}`));
  const isRelayed = ([message]: Traced) => message?.recipients[0]?.state === 'relayed';
  await answer<Traced>(() => smarthost(site, 'trace', id, '--json'), isRelayed);
}

/** What the relay tells a person. */
async function mail({ say, world }: Stage, who: 'operator' | 'sender', wanted: (text: string) => boolean): Promise<void> {
  const { data } = await world.message(
    (message) => message.recipients[0]?.startsWith(ADDRESSEE[who]) === true && wanted(`${message.data}`),
  );
  const subject = /^Subject: (.*(?:\r\n[ \t].*)*)/m.exec(`${data}`)?.[1]?.replaceAll('\r\n', '');
  say(`   The ${who} got this mail: ${subject}`);
  say(`\n${indent(textOf(`${data}`))}`);
}

const ADDRESSEE = { operator: 'operator@', sender: 'app@' } as const;

type Traced = readonly { readonly recipients: readonly { readonly state: string }[] }[];
type Shown = { readonly held: number; readonly addresses: readonly { readonly state: string; readonly since: string }[] };

const until = ({ site }: Stage, wanted: (shown: Shown) => boolean) =>
  answer(() => smarthost(site, 'provider', 'show', PROVIDER, '--json'), wanted);

/** Asks a command of the relay until what it shows is as wanted. */
async function answer<T>(ask: () => Promise<string>, wanted: (shown: T) => boolean): Promise<T> {
  const began = performance.now();
  for (;;) {
    const shown = JSON.parse(await ask()) as T;
    if (wanted(shown)) return shown;
    if (performance.now() - began > PATIENCE) throw new Error(`the relay did not do what it should: ${JSON.stringify(shown)}`);
  }
}

async function command({ say, site }: Stage, ...words: string[]): Promise<void> {
  say(`   smarthost ${words.join(' ')}`);
  say(indent((await smarthost(site, ...words)) || 'Every provider takes mail as usual.\n'));
}

export const indent = (text: string) => text.replace(/^(?=.)/gm, '      ');

/** The first text of a message that the relay has written: it needs no more than this. */
function textOf(message: string): string {
  const [, boundary] = /boundary="?([^"\r\n;]+)/.exec(message) ?? [];
  const part = boundary === undefined ? message : message.split(`--${boundary}`)[1]!.trimStart();
  const at = part.indexOf('\r\n\r\n');
  const body = part.slice(at + 4).replaceAll('\r\n', '\n');
  const isQuoted = /quoted-printable/i.test(part.slice(0, at));
  const plain = isQuoted
    ? body.replace(/=\n/g, '').replace(/=([\dA-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
    : body;
  return `${plain.trim()}\n`;
}
