/**
 * The document of each page. It holds no data: the modules that it names ask the API. Until they have come it looks like what they draw
 * first, so that a reader sees after one answer where they are, and nothing moves afterwards.
 */
import type { PageBuild } from './page-build.ts';

type Asked = {
  readonly path: string;
  readonly hostname: string;
  readonly language: string;
  /** What the modules will most likely show: the page of the path to those who came with a session, the login to others. */
  readonly sight: 'page' | 'login' | 'first-run';
};

/** Names all modules of the page at once, so that the browser needs two round trips, whatever imports what. */
export function shellOf(
  build: PageBuild,
  { path, hostname, language, sight }: Asked,
): { readonly status: 200 | 404; readonly html: string } {
  const { pages, none, login, words } = build.plans;
  const page = pages.find((one) => new URLPattern({ pathname: one.path }).test({ pathname: path }));
  const first = sight === 'page' ? page : pages.find((one) => one.path === `/${sight}`);
  const { modules, texts, title } = sight === 'login' ? login : (first ?? none);
  const { loading, late, search, searchHint, pages: others } = words[language]!;
  const name = `<b>smarthost</b> <span>${escaped(hostname)}</span>`;
  const wait = `<p class="loading" role="status">${escaped(loading)}</p>
<p class="late">${escaped(late)} <code>smarthost help</code></p>`;
  const frame =
    sight === 'page'
      ? `<div class="frame">
<header class="top">
<a class="name" href="/">${name}</a>
<form role="search"><input type="search" aria-label="${escaped(search)}" placeholder="${escaped(searchHint)}" disabled></form>
</header>
<nav class="side" aria-label="${escaped(others)}"><button class="quiet unfold" disabled>☰ ${escaped(others)}</button></nav>
<main id="main">
<div class="head"><h1 tabindex="-1">${escaped(title[language]!)}</h1></div>
${wait}
</main>
</div>`
      : `<div class="frame bare">
<main id="main">
<div class="${sight === 'login' ? 'narrow login' : 'step'}">
<p class="brand">${name}</p>
${wait}
</div>
</main>
</div>`;
  const html = `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<title>smarthost</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="smarthost-relay" content="${escaped(hostname)}">
<meta name="color-scheme" content="light dark">
<link rel="icon" type="image/svg+xml" href="${build.icon}">
<link rel="stylesheet" href="${build.style}">
<script type="importmap">${build.importMap}</script>
${[...modules, ...texts[language]!].map((url) => `<link rel="modulepreload" href="${url}">`).join('\n')}
<script type="module" src="${build.start}"></script>
</head>
<body>
<div id="app">
${frame}
</div>
<noscript>
<main class="plain">
<h1>smarthost on ${escaped(hostname)}</h1>
<p>This mail relay runs, whatever you see here. Its pages need JavaScript. All that they show and do is done by commands too, on the machine of the relay:</p>
<dl>
<dt><code>smarthost doctor</code></dt><dd>whether receivers would take its mail, and what to do</dd>
<dt><code>smarthost queue list</code></dt><dd>what waits, and why</dd>
<dt><code>smarthost trace</code></dt><dd>what became of each message</dd>
<dt><code>smarthost user list</code></dt><dd>who may send</dd>
<dt><code>smarthost domain list</code></dt><dd>the domains, and their records for the DNS</dd>
<dt><code>smarthost help</code></dt><dd>all other commands</dd>
</dl>
</main>
</noscript>
</body>
</html>
`;
  return { status: page === undefined ? 404 : 200, html };
}

const escaped = (text: string) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
