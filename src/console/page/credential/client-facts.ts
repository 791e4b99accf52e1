/** What the client of a login must be told, and lines to copy for the usual programs: the same in the wizard and on the page of a credential. */
import { html } from '../html.ts';
import { copyButton, factList } from '../parts/basics.ts';
import { type Sentence, said } from '../phrases.ts';
import { type TextKey, t } from '../texts.ts';

/** `GET /credentials/:name/client` */
export type ShownClient = {
  readonly host: string;
  readonly ports: readonly { readonly port: number; readonly encryption: 'TLS' | 'STARTTLS' }[];
  readonly recipes: Readonly<Record<string, string>>;
  readonly powershell: string;
  readonly advice: readonly string[];
  readonly exchangeAdvice: readonly string[];
  readonly phrases: { readonly advice: readonly Sentence[]; readonly exchangeAdvice: readonly Sentence[] };
};

/** @param password only while it is shown for the one time. */
export const clientFacts = ({ host, ports }: ShownClient, { name, password }: { name: string; password?: string | null }) =>
  factList([
    [t('credentials.client.server'), copied(host)],
    ...ports.map(({ port, encryption }) => {
      const words = t(encryption === 'TLS' ? 'credentials.client.port.tls' : 'credentials.client.port.starttls', {
        port: String(port),
      });
      return [t('credentials.client.port'), words] as const;
    }),
    [t('credentials.client.auth'), t('credentials.client.auth.text')],
    [t('credentials.once.user'), copied(name)],
    password != null && [
      t('credentials.once.password'),
      html`${copied(password)} <div class="hint">${t('credentials.once.says')}</div>`,
    ],
  ]);

const copied = (text: string) => html`<code>${text}</code> ${copyButton(text)}`;

type Recipe = readonly [name: string, text: string, advice: readonly string[]];

/** Those for Exchange come first for mail servers, and last for the others. */
export function clientRecipes(facts: ShownClient, mailServer: boolean) {
  const { phrases } = facts;
  const inWords = (name: keyof typeof phrases) => facts[name].map((sentence, at) => said(sentence, phrases[name][at] ?? null));
  const exchange: Recipe = ['powershell', facts.powershell, inWords('exchangeAdvice')];
  const others = Object.entries(facts.recipes).map(([name, text], at): Recipe => [name, text, at === 0 ? inWords('advice') : []]);
  return (mailServer ? [exchange, ...others] : [...others, exchange]).map(recipe);
}

const TITLES: Readonly<Record<string, TextKey>> = {
  postfix: 'credentials.recipe.postfix',
  msmtp: 'credentials.recipe.msmtp',
  url: 'credentials.recipe.url',
  laravel: 'credentials.recipe.laravel',
  django: 'credentials.recipe.django',
  try: 'credentials.recipe.try',
  powershell: 'credentials.recipe.powershell',
};

function recipe([name, text, advice]: Recipe) {
  const key = TITLES[name];
  const title = key === undefined ? name : t(key);
  return html`<details class="recipe">
    <summary>${title}</summary>
    <pre tabindex="0" aria-label=${title}>${text}</pre>
    ${copyButton(text)}
    ${advice.length > 0 && html`<ul>${advice.map((sentence) => html`<li>${sentence}</li>`)}</ul>`}
  </details>`;
}
