/** The document of each page. It holds no data: the modules that it names ask the API. */
import type { PageBuild } from './page-build.ts';

type Asked = { readonly path: string; readonly hostname: string; readonly language: string };

/** Names all modules of the page at once, so that the browser needs two round trips, whatever imports what. */
export function shellOf(
  build: PageBuild,
  { path, hostname, language }: Asked,
): { readonly status: 200 | 404; readonly html: string } {
  const page = build.pages.find((one) => new URLPattern({ pathname: one.path }).test({ pathname: path }));
  const { modules, texts } = page ?? build.pages[0]!;
  const early = [...modules, ...(texts[language] ?? [])];
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
${early.map((url) => `<link rel="modulepreload" href="${url}">`).join('\n')}
<script type="module" src="${build.main}"></script>
</head>
<body>
<div id="app"></div>
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
