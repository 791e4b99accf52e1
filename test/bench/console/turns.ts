/** Mail that comes at an even rate, by turns with something beside it and without, so that what else the machine does falls on both sides. */
import { quantile } from '../../support/sample.ts';
import { note, PASSWORD, type Rig, type RigOptions, startRig } from './rig.ts';
import { sentAt, steadyLoad } from './steady.ts';

const TURNS = 5;
const RATE = 50;
const SECONDS = 12;

type Turns = RigOptions & {
  /** What is beside the mail, in words. */
  readonly what: string;
  /** Begins it. @returns ends it. */
  begin(rig: Rig): Promise<() => Promise<void> | void>;
};

export async function measureTurns({ what, begin, ...options }: Turns): Promise<void> {
  const arrivals: number[] = [];
  const rig = await startRig({ ...options, onMessage: (data) => arrivals.push(Date.now() - sentAt(data)) });
  const order = { port: rig.relay.ports.submissions, password: PASSWORD, rate: RATE, seconds: SECONDS };
  const sides = { without: newSide(), beside: newSide() };
  const turn = async ({ cpu, accepted, delivered, failed }: Side) => {
    arrivals.length = 0;
    const before = rig.cpu();
    const result = await steadyLoad(order);
    cpu.push((rig.cpu() - before) / SECONDS / 10);
    accepted.push(...result.times);
    delivered.push(...arrivals);
    failed.push(result.failed);
  };
  try {
    await rig.ask('/status');
    await steadyLoad(order); // code is compiled, logins are remembered
    for (let i = 0; i < TURNS * 2; i++)
      if (((i + 1) >> 1) % 2 === 0) await turn(sides.without);
      else {
        const end = await begin(rig);
        await turn(sides.beside);
        await end();
      }
    tell(`${RATE} messages a second`, sides.without);
    tell(`the same beside ${what}`, sides.beside);
  } finally {
    await rig.close();
  }
}

type Side = Readonly<Record<'cpu' | 'accepted' | 'delivered' | 'failed', number[]>>;

const newSide = (): Side => ({ cpu: [], accepted: [], delivered: [], failed: [] });

function tell(what: string, { cpu, accepted, delivered, failed }: Side): void {
  note(`${what}: processor, of one core`, quantile(cpu, 0.5), '%');
  note(`${what}: processor, least`, Math.min(...cpu), '%');
  note(`${what}: processor, most`, Math.max(...cpu), '%');
  for (const [how, times] of [
    ['accepted', accepted],
    ['delivered', delivered],
  ] as const) {
    note(`${what}: ${how}, median`, quantile(times, 0.5), 'ms');
    note(`${what}: ${how}, p99`, quantile(times, 0.99), 'ms');
  }
  note(
    `${what}: failed`,
    failed.reduce((sum, one) => sum + one, 0),
    'messages',
  );
}
