/** A sample of `npm run fuzz` for every run of the tests: the corpus of each parser, and the same changed inputs every time. */
import { describe, expect, test } from 'vitest';
import { sized } from '../support/size.ts';
import { readCorpus } from './fuzz-run.ts';
import { mutate, randomFrom, wordsOf } from './mutate.ts';
import { TARGETS } from './targets.ts';

const seed = Number(process.env['FUZZ_SEED'] ?? 3461);
/** Changed inputs of each parser; those that need more time for one have fewer. */
const TRIES = sized(5000, 500, 2000);
const SLOW: Readonly<Record<string, number>> = sized(
  { configuration: 200, environment: 500, dnsTexts: 1000, dnsAnswers: 2000 },
  { configuration: 50, environment: 100, dnsTexts: 200, dnsAnswers: 200 },
);

describe.each(Object.entries(TARGETS))('%s', (name, run) => {
  const corpus = readCorpus(name).map((text) => Buffer.from(text, 'latin1'));

  async function hold(input: Buffer, cut: number, which: string): Promise<string> {
    try {
      return await run(input, cut);
    } catch (error) {
      const [what, where] = [`${which} (FUZZ_SEED=${seed})`, `cut at ${cut}`];
      throw new Error(`${name}: ${what}, ${where}, base64 ${input.toString('base64')}`, { cause: error });
    }
  }

  test('keeps its promises for every input of its corpus, also if the input is cut', async () => {
    const answers = new Set<string>();
    for (const [which, input] of corpus.entries()) {
      const step = run.length < 2 ? input.length + 1 : Math.ceil((input.length + 1) / 50); // not all care for cuts
      for (let cut = 0; cut <= input.length; cut += step) answers.add(await hold(input, cut, `input ${which} of the corpus`));
    }
    expect(answers.size, 'a corpus shows more than one answer').toBeGreaterThan(1);
  });

  test('keeps its promises for changed inputs', async () => {
    const random = randomFrom(seed);
    const words = wordsOf(corpus);
    const answers = new Set<string>();
    for (let tries = 0; tries < (SLOW[name] ?? TRIES); tries++) {
      const input = mutate(corpus, words, random);
      answers.add(await hold(input, random(input.length + 1), `changed input ${tries}`));
    }
    expect(answers.size, 'what is changed is still understood in part').toBeGreaterThan(1);
  });
});
