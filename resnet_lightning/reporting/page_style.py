"""How a page looks: on light and dark screens, on a phone and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #fff; --ink: #1c1c1e; --quiet: #5b5e64; --line: #d9dade; --strong: #85878d; --tint: #f4f4f6; --link: #1a4fa3;
  font: 100%/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #17181b; --ink: #e4e4e7; --quiet: #a4a7ae; --line: #36383e; --strong: #7b7e86; --tint: #212328;
    --link: #9cc0ff; --card: .5rem .75rem;
  }
}
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); }
main { max-width: 72rem; margin: 0 auto; padding: clamp(1.25rem, 4vw, 3.5rem) clamp(1rem, 4vw, 2rem) 5rem; }
p { max-width: 40rem; text-wrap: pretty; }
h1 { max-width: 46rem; margin: 0 0 .75rem; font-size: clamp(1.4rem, 1.1rem + 1.4vw, 1.9rem); font-weight: 650;
  line-height: 1.2; letter-spacing: -.011em; text-wrap: balance; }
h2 { margin: 3rem 0 .9rem; font-size: 1.2rem; line-height: 1.3; font-weight: 650; text-wrap: balance; }
p { margin: .5rem 0; }
a { color: var(--link); text-decoration-thickness: .06em; text-underline-offset: .18em; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.scrolling { overflow-x: auto; }

figure { margin: 0 0 1rem; }
.pair { display: flex; flex-wrap: wrap; gap: 1.5rem 2.5rem; align-items: flex-start; }
.pair > * { min-width: 0; max-width: 100%; }
@media (min-width: 60rem) {
  .pair > .figures { flex: 1 1 28rem; max-width: 34rem; }
  .pair > :last-child { flex: 0 1 auto; max-width: max(26rem, 50%); }
}
figure .scrolling { width: fit-content; max-width: 100%; padding: var(--card, 0);
  box-sizing: border-box; border-radius: 6px; background: #fff; }
img { display: block; }
@media (min-width: 60rem) { img { max-width: 100%; height: auto; zoom: 1.2; } }

.number { font-size: .8em; font-weight: 600; margin-right: .2em; }
p:target { background: var(--tint); }
table { border-collapse: collapse; font-size: .875rem; line-height: 1.4; }
caption { padding: 0 0 .6rem; text-align: left; color: var(--quiet); font-size: .875rem; }
caption span, th[scope=rowgroup] span { position: sticky; left: 0; display: inline-block;
  max-width: min(40rem, calc(100vw - 2rem)); }
th, td { padding: .34rem 0 .34rem 1.4rem; text-align: right; vertical-align: baseline; font-weight: 400;
  white-space: nowrap; font-variant-numeric: tabular-nums lining-nums; }
th[scope=col] { color: var(--quiet); font-size: .8125rem; line-height: 1.25; vertical-align: bottom;
  white-space: normal; min-width: 3.2rem; }
thead tr { border-bottom: 1px solid var(--strong); }
tbody tr { border-bottom: 1px solid var(--line); }
tbody:last-child tr:last-child { border-bottom-color: var(--strong); }
.words { text-align: left; }
td.words { white-space: normal; min-width: 8rem; }
main > .scrolling td { white-space: nowrap; min-width: 0; }
tr > :first-child { padding-left: 0; }
tr > th[scope=row], thead th:first-child { position: sticky; left: 0; background: var(--page); padding-right: .5rem; }
th[scope=rowgroup] { padding: 1.1rem 0 .34rem; font-weight: 600; white-space: normal; }
tr:target > td, tr:target > th[scope=row] { background: var(--tint); }
.notes { color: var(--quiet); font-size: .875rem; line-height: 1.5; }

details { border-bottom: 1px solid var(--line); }
summary { padding: .5rem 0; cursor: pointer; font-size: .875rem; overflow-wrap: anywhere; }
summary code { color: var(--quiet); }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: .8125rem; }
pre { margin: 0 0 1rem; padding: .9rem 1rem; overflow-x: auto; border-radius: 6px; background: var(--tint);
  line-height: 1.45; scroll-margin-top: 3.5rem; tab-size: 2; }

@page { size: A4; margin: 16mm 15mm; }
@media print {
  :root { color-scheme: light; --page: #fff; --ink: #000; --quiet: #444; --line: #ccc; --strong: #777; --tint: #fff;
    --link: #000; --card: 0; font-size: 10pt; }
  main { max-width: none; padding: 0; }
  .scrolling { overflow: visible; }
  .pair { display: block; }
  img { max-width: 100%; height: auto; zoom: 1; }
  figure, tr, caption { break-inside: avoid; }
  thead { display: table-header-group; }
  h1, h2, caption, thead, th[scope=rowgroup] { break-after: avoid; }
  table { width: 100%; font-size: 8pt; }
  section table { break-inside: avoid; }
  th, td, main > .scrolling td { white-space: normal; padding-left: .8em; }
  .words:not(:first-child) { min-width: 0; padding-left: 1.6em; }
  tr > th[scope=row], thead th:first-child { position: static; white-space: nowrap; }
  a { text-decoration: none; }
  a[href^=http]::after { content: " (" attr(href) ")"; }
  pre { overflow: visible; white-space: pre-wrap; padding: 0; font-size: 8pt; }
}
"""
