/**
 * Runs first. It lets the browser draw what the document shows before all other modules run, which takes a slow machine longer. They are
 * fetched meanwhile, because the document names them.
 */
const drawn = new Promise<void>((resolve) => {
  requestAnimationFrame(() => setTimeout(resolve));
  setTimeout(resolve, 200); // a page that nobody sees is not drawn
});
void drawn.then(() => import('./main.ts'));
